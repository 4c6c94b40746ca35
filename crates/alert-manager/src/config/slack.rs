//! `slack_configs`

use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields;
use super::global::Global;

/// How Slack knows us.
#[derive(Clone, Debug)]
pub enum SlackAuth {
    /// An incoming webhook.
    Webhook(SecretSource),
    /// An app's token and the API's address.
    App(SecretSource, String),
}

/// A Slack message; texts are templates.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    /// Where and as who.
    pub auth: SlackAuth,
    /// The channel or user.
    pub channel: String,
    /// Our name.
    pub username: String,
    /// The bar's colour.
    pub color: String,
    /// The attachment's title.
    pub title: String,
    /// Where the title leads.
    pub title_link: String,
    /// The text before the attachment.
    pub pretext: String,
    /// The attachment's text.
    pub text: String,
    /// The message's own text.
    pub message_text: String,
    /// The text for clients that show no attachments.
    pub fallback: String,
    /// The id for actions.
    pub callback_id: String,
    /// The footer.
    pub footer: String,
    /// An emoji as our picture.
    pub icon_emoji: String,
    /// A picture of us.
    pub icon_url: String,
    /// An image.
    pub image_url: String,
    /// A small image.
    pub thumb_url: String,
    /// Whether names become links.
    pub link_names: bool,
    /// Which texts are in Slack's markup.
    pub mrkdwn_in: Vec<String>,
    /// Fields of the attachment.
    pub fields: Vec<SlackField>,
    /// Whether fields stand side by side unless they say otherwise.
    pub short_fields: bool,
    /// Buttons.
    pub actions: Vec<SlackAction>,
    /// Whether a group's later messages change its first one.
    pub update_message: bool,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The client.
    pub http: HttpClientConfig,
}

/// A field of the attachment.
#[derive(Clone, Debug)]
pub struct SlackField {
    /// Its title.
    pub title: String,
    /// Its text.
    pub value: String,
    /// Whether it stands beside others.
    pub short: Option<bool>,
}

/// A button.
#[derive(Clone, Debug)]
pub struct SlackAction {
    /// Its type.
    pub kind: String,
    /// Its text.
    pub text: String,
    /// Where it leads.
    pub url: String,
    /// Its look.
    pub style: String,
    /// Its name for the receiving app.
    pub name: String,
    /// Its value for the receiving app.
    pub value: String,
    /// What is asked first.
    pub confirm: Option<SlackConfirm>,
}

/// A question before an action.
#[derive(Clone, Debug)]
pub struct SlackConfirm {
    /// The question.
    pub text: String,
    /// Its title.
    pub title: String,
    /// Yes.
    pub ok_text: String,
    /// No.
    pub dismiss_text: String,
}

impl SlackConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let auth = read_auth(map, global)?;
        let http = fields::http(map, &global.http)?;
        if matches!(auth, SlackAuth::App(..)) && http.authorization.is_some() {
            return Err(map.error("http authorization can't be used with a slack app token"));
        }
        let update_message = map.read_or("update_message", false, Node::bool)?;
        if update_message
            && !matches!(&auth, SlackAuth::App(_, url) if url.ends_with("/api/chat.postMessage"))
        {
            return Err(map.error("update_message needs an app token and the API's chat.postMessage"));
        }
        let text = |key: &str, default: &str| fields::template(map, key, default);
        let shipped = |key: &str, name: &str| {
            fields::template(map, key, &format!("{{{{ template \"slack.default.{name}\" . }}}}"))
        };
        Ok(Self {
            auth,
            channel: text("channel", "")?,
            username: shipped("username", "username")?,
            color: shipped("color", "color")?,
            title: shipped("title", "title")?,
            title_link: shipped("title_link", "titlelink")?,
            pretext: shipped("pretext", "pretext")?,
            text: shipped("text", "text")?,
            message_text: text("message_text", "")?,
            fallback: shipped("fallback", "fallback")?,
            callback_id: shipped("callback_id", "callbackid")?,
            footer: shipped("footer", "footer")?,
            icon_emoji: shipped("icon_emoji", "iconemoji")?,
            icon_url: shipped("icon_url", "iconurl")?,
            image_url: text("image_url", "")?,
            thumb_url: text("thumb_url", "")?,
            link_names: map.read_or("link_names", false, Node::bool)?,
            mrkdwn_in: map.read_or(
                "mrkdwn_in",
                ["fallback", "pretext", "text"].map(str::to_owned).to_vec(),
                Node::strings,
            )?,
            fields: map.read_or("fields", Vec::new(), |list| list.list_of(read_field))?,
            short_fields: map.read_or("short_fields", false, Node::bool)?,
            actions: map.read_or("actions", Vec::new(), |list| list.list_of(read_action))?,
            update_message,
            timeout: fields::timeout(map)?,
            http,
        })
    }
}

fn read_auth(map: &Map, global: &Global) -> Result<SlackAuth, Reported> {
    let api_url = fields::secret(map, "api_url", "api_url_file")?;
    let app_token = fields::secret(map, "app_token", "app_token_file")?;
    let app_url = map.read_or("app_url", global.slack_app_url.clone(), Node::non_empty_string)?;
    match (api_url, app_token) {
        (Some(_), Some(_)) => Err(map.error("at most one of api_url and app_token must be configured")),
        (Some(url), None) => Ok(SlackAuth::Webhook(url)),
        (None, Some(token)) => Ok(SlackAuth::App(token, app_url)),
        (None, None) => match (&global.slack_api_url, &global.slack_app_token) {
            (Some(url), _) => Ok(SlackAuth::Webhook(url.clone())),
            (None, Some(token)) => Ok(SlackAuth::App(token.clone(), app_url)),
            (None, None) => {
                Err(map.error("no global Slack API URL or app token set either inline or in a file"))
            }
        },
    }
}

fn read_field(node: &Node) -> Result<SlackField, Reported> {
    let map = node.map()?;
    let field = SlackField {
        title: fields::template(&map, "title", "")?,
        value: fields::template(&map, "value", "")?,
        short: map.read("short", Node::bool)?,
    };
    map.finish()?;
    match () {
        () if field.title.is_empty() => Err(node.error("missing title in Slack field configuration")),
        () if field.value.is_empty() => Err(node.error("missing value in Slack field configuration")),
        () => Ok(field),
    }
}

fn read_action(node: &Node) -> Result<SlackAction, Reported> {
    let map = node.map()?;
    let text = |key: &str| fields::template(&map, key, "");
    let action = SlackAction {
        kind: text("type")?,
        text: text("text")?,
        url: text("url")?,
        style: text("style")?,
        name: text("name")?,
        value: text("value")?,
        confirm: map.read("confirm", read_confirm)?,
    };
    map.finish()?;
    match () {
        () if action.kind.is_empty() => Err(node.error("missing type in Slack action configuration")),
        () if action.text.is_empty() => Err(node.error("missing text in Slack action configuration")),
        () if action.url.is_empty() && action.name.is_empty() => {
            Err(node.error("missing name or url in Slack action configuration"))
        }
        () => Ok(action),
    }
}

fn read_confirm(node: &Node) -> Result<SlackConfirm, Reported> {
    let map = node.map()?;
    let text = |key: &str| fields::template(&map, key, "");
    let confirm = SlackConfirm {
        text: text("text")?,
        title: text("title")?,
        ok_text: text("ok_text")?,
        dismiss_text: text("dismiss_text")?,
    };
    map.finish()?;
    if confirm.text.is_empty() {
        return Err(node.error("missing text in Slack confirmation configuration"));
    }
    Ok(confirm)
}
