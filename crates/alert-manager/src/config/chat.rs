//! `telegram_configs`, `discord_configs`, `msteams_configs`, `msteamsv2_configs`, `webex_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields;
use super::global::Global;

/// A Telegram message.
#[derive(Clone, Debug)]
pub struct TelegramConfig {
    /// The API's address.
    pub api_url: String,
    /// The bot's token.
    pub bot_token: SecretSource,
    /// The chat's number, in place or in a file.
    pub chat: TelegramChat,
    /// The thread in the chat.
    pub message_thread_id: Option<i64>,
    /// The text; a template.
    pub message: String,
    /// Whether no sound is made.
    pub disable_notifications: bool,
    /// The markup: empty, `HTML`, `Markdown` or `MarkdownV2`.
    pub parse_mode: String,
    /// The client.
    pub http: HttpClientConfig,
}

/// A chat's number.
#[derive(Clone, Debug)]
pub enum TelegramChat {
    /// In place.
    Id(i64),
    /// In a file.
    File(SecretSource),
}

impl TelegramConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let token =
            fields::secret(map, "bot_token", "bot_token_file")?.or_else(|| global.telegram_bot_token.clone());
        let Some(bot_token) = token else {
            return Err(map.error("missing bot_token or bot_token_file on telegram_config"));
        };
        map.at_most_one(&["chat_id", "chat_id_file"])?;
        let id = map.read("chat_id", Node::integer::<i64>)?.filter(|id| *id != 0);
        let file = map.read("chat_id_file", Node::file_path)?;
        let chat = match (id, file) {
            (Some(id), _) => TelegramChat::Id(id),
            (None, Some(file)) => TelegramChat::File(SecretSource::File(file)),
            (None, None) => return Err(map.error("missing chat_id on telegram_config")),
        };
        let modes = ["", "HTML", "Markdown", "MarkdownV2"].map(|mode| (mode, mode.to_owned()));
        Ok(Self {
            api_url: map.read_or("api_url", global.telegram_api_url.clone(), Node::non_empty_string)?,
            bot_token,
            chat,
            message_thread_id: map.read("message_thread_id", Node::integer)?,
            message: fields::template(map, "message", r#"{{ template "telegram.default.message" . }}"#)?,
            disable_notifications: map.read_or("disable_notifications", false, Node::bool)?,
            parse_mode: match map.present("parse_mode") {
                Some(node) => node.one_of(&modes)?,
                None => "HTML".to_owned(),
            },
            http: fields::http(map, &global.http)?,
        })
    }
}

/// A Discord message; texts are templates.
#[derive(Clone, Debug)]
pub struct DiscordConfig {
    /// Where to post to.
    pub webhook_url: SecretSource,
    /// The message's own text.
    pub content: String,
    /// The embed's title.
    pub title: String,
    /// The embed's text.
    pub message: String,
    /// Our name.
    pub username: String,
    /// A picture of us.
    pub avatar_url: String,
    /// The client.
    pub http: HttpClientConfig,
}

fn webhook_url(map: &Map, kind: &str) -> Result<SecretSource, Reported> {
    let url = fields::secret(map, "webhook_url", "webhook_url_file")?;
    url.ok_or_else(|| {
        map.error(format_args!("one of webhook_url or webhook_url_file must be configured for {kind}"))
    })
}

impl DiscordConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        Ok(Self {
            webhook_url: webhook_url(map, "discord")?,
            content: fields::template(map, "content", r#"{{ template "discord.default.content" . }}"#)?,
            title: fields::template(map, "title", r#"{{ template "discord.default.title" . }}"#)?,
            message: fields::template(map, "message", r#"{{ template "discord.default.message" . }}"#)?,
            username: fields::template(map, "username", "")?,
            avatar_url: fields::template(map, "avatar_url", "")?,
            http: fields::http(map, &global.http)?,
        })
    }
}

/// A card for Microsoft Teams; texts are templates.
#[derive(Clone, Debug)]
pub struct MsTeamsV2Config {
    /// Where to post to.
    pub webhook_url: SecretSource,
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
    /// The client.
    pub http: HttpClientConfig,
}

impl MsTeamsV2Config {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        Ok(Self {
            webhook_url: webhook_url(map, "msteamsv2")?,
            title: fields::template(map, "title", r#"{{ template "msteamsv2.default.title" . }}"#)?,
            text: fields::template(map, "text", r#"{{ template "msteamsv2.default.text" . }}"#)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

/// An older card for Microsoft Teams; texts are templates.
#[derive(Clone, Debug)]
pub struct MsTeamsConfig {
    /// Where to post to.
    pub webhook_url: SecretSource,
    /// The title.
    pub title: String,
    /// The summary.
    pub summary: String,
    /// The text.
    pub text: String,
    /// The client.
    pub http: HttpClientConfig,
}

impl MsTeamsConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        Ok(Self {
            webhook_url: webhook_url(map, "msteams")?,
            title: fields::template(map, "title", r#"{{ template "msteams.default.title" . }}"#)?,
            summary: fields::template(map, "summary", r#"{{ template "msteams.default.summary" . }}"#)?,
            text: fields::template(map, "text", r#"{{ template "msteams.default.text" . }}"#)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

/// A message in Webex; texts are templates.
#[derive(Clone, Debug)]
pub struct WebexConfig {
    /// The API's address.
    pub api_url: String,
    /// The text.
    pub message: String,
    /// The room.
    pub room_id: String,
    /// The client; it authorizes.
    pub http: HttpClientConfig,
}

impl WebexConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let room_id = fields::template(map, "room_id", "")?;
        if room_id.is_empty() {
            return Err(map.error("missing room_id on webex_config"));
        }
        let http = fields::http(map, &global.http)?;
        if !map.has("http_config") || http.authorization.is_none() {
            return Err(map.error("missing webex_configs.http_config.authorization"));
        }
        Ok(Self {
            api_url: fields::api_url(map, "api_url", Some(&global.webex_api_url), "Webex API")?,
            message: fields::template(map, "message", r#"{{ template "webex.default.message" . }}"#)?,
            room_id,
            http,
        })
    }
}
