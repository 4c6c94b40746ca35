//! `rocketchat_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// A message in Rocket.Chat; texts are templates.
#[derive(Clone, Debug)]
pub struct RocketchatConfig {
    /// The server.
    pub api_url: String,
    /// The token.
    pub token: SecretSource,
    /// The user that the token is of.
    pub token_id: SecretSource,
    /// `channel`, `color`, `title`, `title_link`, `text`, `emoji`, `icon_url`, `image_url`, `thumb_url`
    pub texts: Texts,
    /// Fields of the attachment: title, text, whether it stands beside others.
    pub fields: Vec<(String, String, bool)>,
    /// Buttons: `text`, `url`, `msg`.
    pub actions: Vec<Texts>,
    /// The client.
    pub http: HttpClientConfig,
}

impl RocketchatConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let token_id = fields::secret(map, "token_id", "token_id_file")?;
        let Some(token_id) = token_id.or_else(|| global.rocketchat_token_id.clone()) else {
            return Err(map.error("no global Rocketchat TokenID set either inline or in a file"));
        };
        let token = fields::secret(map, "token", "token_file")?.or_else(|| global.rocketchat_token.clone());
        let Some(token) = token else {
            return Err(map.error("no global Rocketchat Token set either inline or in a file"));
        };
        let short_fields = map.read_or("short_fields", false, Node::bool)?;
        map.read("link_names", Node::bool)?;
        Ok(Self {
            api_url: fields::api_url(map, "api_url", Some(&global.rocketchat_api_url), "Rocketchat")?,
            token,
            token_id,
            texts: Texts::read(
                map,
                &[
                    ("channel", ""),
                    ("color", r#"{{ if eq .Status "firing" }}red{{ else }}green{{ end }}"#),
                    ("title", r#"{{ template "rocketchat.default.title" . }}"#),
                    ("title_link", r#"{{ template "rocketchat.default.titlelink" . }}"#),
                    ("text", r#"{{ template "rocketchat.default.text" . }}"#),
                    ("emoji", r#"{{ template "rocketchat.default.emoji" . }}"#),
                    ("icon_url", r#"{{ template "rocketchat.default.iconurl" . }}"#),
                    ("image_url", ""),
                    ("thumb_url", ""),
                ],
            )?,
            fields: map
                .read_or("fields", Vec::new(), |list| list.list_of(|node| read_field(node, short_fields)))?,
            actions: map.read_or("actions", Vec::new(), |list| list.list_of(read_action))?,
            http: fields::http(map, &global.http)?,
        })
    }
}

fn read_field(node: &Node, short_fields: bool) -> Result<(String, String, bool), Reported> {
    let map = node.map()?;
    let field = (
        fields::template(&map, "title", "")?,
        fields::template(&map, "value", "")?,
        map.read_or("short", short_fields, Node::bool)?,
    );
    map.finish()?;
    Ok(field)
}

fn read_action(node: &Node) -> Result<Texts, Reported> {
    let map = node.map()?;
    let action = Texts::read(&map, &[("text", ""), ("url", ""), ("msg", "")])?;
    map.without_meaning(
        &[
            "type",
            "image_url",
            "is_webview",
            "webview_height_ratio",
            "msg_in_chat_window",
            "msg_processing_type",
        ],
        "only plain buttons are sent",
    );
    map.finish()?;
    Ok(action)
}
