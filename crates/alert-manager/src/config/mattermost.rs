//! `mattermost_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// A message in Mattermost; texts are templates.
#[derive(Clone, Debug)]
pub struct MattermostConfig {
    /// Where to post to.
    pub webhook_url: SecretSource,
    /// `channel`, `username`, `icon_url`, `icon_emoji`, `type`
    pub texts: Texts,
    /// The message's text where there are attachments of one's own, else the attachment's.
    pub text: String,
    /// The attachment where none of one's own are set.
    pub default_attachment: MattermostAttachment,
    /// Attachments of one's own.
    pub attachments: Vec<MattermostAttachment>,
    /// The text that is shown beside the message.
    pub card: String,
    /// How urgent it is.
    pub priority: Option<MattermostPriority>,
    /// The client.
    pub http: HttpClientConfig,
}

/// An attachment; texts are templates.
#[derive(Clone, Debug)]
pub struct MattermostAttachment {
    /// Its texts under the names that Mattermost gives them.
    pub texts: Texts,
    /// Title, text, and whether it stands beside others, where that is said.
    pub fields: Vec<(String, String, Option<bool>)>,
}

/// How urgent a message is.
#[derive(Clone, Debug)]
pub struct MattermostPriority {
    /// `urgent`, `important` or `standard`; a template.
    pub priority: String,
    /// Whether an acknowledgement is asked for.
    pub requested_ack: bool,
    /// Whether it is repeated until then.
    pub persistent_notifications: bool,
}

const COLOR: &str = r#"{{ template "mattermost.default.color" . }}"#;
const FALLBACK: &str = r#"{{ template "mattermost.default.fallback" . }}"#;
const TITLE: &str = r#"{{ template "mattermost.default.title" . }}"#;
const TITLE_LINK: &str = r#"{{ template "mattermost.default.titlelink" . }}"#;

impl MattermostConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let url = fields::secret(map, "webhook_url", "webhook_url_file")?;
        let Some(webhook_url) = url.or_else(|| global.mattermost_webhook_url.clone()) else {
            return Err(map.error("missing webhook_url or webhook_url_file on mattermost_config"));
        };
        let props = map.optional("props").map(|node| node.map()).transpose()?;
        let card = match &props {
            Some(props) => {
                let card = fields::template(props, "card", "")?;
                props.finish()?;
                card
            }
            None => String::new(),
        };
        Ok(Self {
            webhook_url,
            texts: Texts::read(
                map,
                &[
                    ("channel", ""),
                    ("username", r#"{{ template "mattermost.default.username" . }}"#),
                    ("icon_url", ""),
                    ("icon_emoji", ""),
                    ("type", ""),
                ],
            )?,
            text: fields::template(map, "text", r#"{{ template "mattermost.default.text" . }}"#)?,
            default_attachment: MattermostAttachment {
                texts: attachment_texts(map, [FALLBACK, COLOR, TITLE, TITLE_LINK])?,
                fields: read_fields(map)?,
            },
            attachments: map.read_or("attachments", Vec::new(), |list| list.list_of(read_attachment))?,
            card,
            priority: map.read("priority", read_priority)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

fn attachment_texts(map: &Map, defaults: [&str; 4]) -> Result<Texts, Reported> {
    let [fallback, color, title, title_link] = defaults;
    Texts::read(
        map,
        &[
            ("fallback", fallback),
            ("color", color),
            ("pretext", ""),
            ("author_name", ""),
            ("author_link", ""),
            ("author_icon", ""),
            ("title", title),
            ("title_link", title_link),
            ("thumb_url", ""),
            ("footer", ""),
            ("footer_icon", ""),
            ("image_url", ""),
        ],
    )
}

fn read_attachment(node: &Node) -> Result<MattermostAttachment, Reported> {
    let map = node.map()?;
    let mut texts = attachment_texts(&map, [""; 4])?;
    texts.push("text", fields::template(&map, "text", "")?);
    let attachment = MattermostAttachment { texts, fields: read_fields(&map)? };
    map.finish()?;
    Ok(attachment)
}

fn read_fields(map: &Map) -> Result<Vec<(String, String, Option<bool>)>, Reported> {
    map.read_or("fields", Vec::new(), |list| {
        list.list_of(|node| {
            let map = node.map()?;
            let (title, value) = (fields::template(&map, "title", "")?, fields::template(&map, "value", "")?);
            let short = map.read("short", Node::bool)?;
            map.finish()?;
            match () {
                () if title.is_empty() => Err(node.error("missing title in Mattermost field configuration")),
                () if value.is_empty() => Err(node.error("missing value in Mattermost field configuration")),
                () => Ok((title, value, short)),
            }
        })
    })
}

fn read_priority(node: &Node) -> Result<MattermostPriority, Reported> {
    let map = node.map()?;
    let priority = MattermostPriority {
        priority: fields::template(&map, "priority", "")?,
        requested_ack: map.read_or("requested_ack", false, Node::bool)?,
        persistent_notifications: map.read_or("persistent_notifications", false, Node::bool)?,
    };
    map.finish()?;
    Ok(priority)
}
