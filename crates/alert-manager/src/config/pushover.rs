//! `pushover_configs`

use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// A push to a phone; texts are templates.
#[derive(Clone, Debug)]
pub struct PushoverConfig {
    /// Whose phone.
    pub user_key: SecretSource,
    /// Who we are.
    pub token: SecretSource,
    /// Where to post to: Pushover's own, unless a gateway stands between.
    pub api_url: String,
    /// `title`, `message`, `url`, `url_title`, `device`, `sound`, `priority`
    pub texts: Texts,
    /// After how long an emergency is repeated.
    pub retry: Duration,
    /// Until when.
    pub expire: Duration,
    /// After how long the message deletes itself; zero: never.
    pub ttl: Duration,
    /// Whether the message is HTML.
    pub html: bool,
    /// Whether its characters are of one width.
    pub monospace: bool,
    /// The client.
    pub http: HttpClientConfig,
}

impl PushoverConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let Some(user_key) = fields::secret(map, "user_key", "user_key_file")? else {
            return Err(map.error("one of user_key or user_key_file must be configured"));
        };
        let Some(token) = fields::secret(map, "token", "token_file")? else {
            return Err(map.error("one of token or token_file must be configured"));
        };
        let html = map.read_or("html", false, Node::bool)?;
        let monospace = map.read_or("monospace", false, Node::bool)?;
        if html && monospace {
            return Err(map.error("at most one of monospace & html must be configured"));
        }
        Ok(Self {
            user_key,
            token,
            api_url: map.read_or(
                "api_url",
                "https://api.pushover.net/1/messages.json".to_owned(),
                fields::url,
            )?,
            texts: Texts::read(
                map,
                &[
                    ("title", r#"{{ template "pushover.default.title" . }}"#),
                    ("message", r#"{{ template "pushover.default.message" . }}"#),
                    ("url", r#"{{ template "pushover.default.url" . }}"#),
                    ("url_title", ""),
                    ("device", ""),
                    ("sound", ""),
                    ("priority", r#"{{ if eq .Status "firing" }}2{{ else }}0{{ end }}"#),
                ],
            )?,
            retry: map.read_or("retry", Duration::from_secs(60), Node::go_duration)?,
            expire: map.read_or("expire", Duration::from_secs(3600), Node::go_duration)?,
            ttl: map.read_or("ttl", Duration::ZERO, Node::go_duration)?,
            html,
            monospace,
            http: fields::http(map, &global.http)?,
        })
    }
}
