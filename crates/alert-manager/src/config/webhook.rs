//! `webhook_configs`

use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Tree};
use super::global::Global;

/// A webhook.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where to post to; a template.
    pub url: SecretSource,
    /// The most alerts in one message; 0: all.
    pub max_alerts: usize,
    /// The body instead of ours.
    pub payload: Option<Tree>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The client.
    pub http: HttpClientConfig,
}

impl WebhookConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let url = fields::secret(map, "url", "url_file")?;
        let Some(url) = url else {
            return Err(map.error("one of url or url_file must be configured"));
        };
        if let SecretSource::Inline(text) = &url {
            // The original's amtool of before 0.26 reads it as a URL.
            map.optional("url").iter().for_each(Node::mark_secret_url);
            crate::templates::check(text.expose()).map_err(|error| map.error(error))?;
        }
        Ok(Self {
            url,
            max_alerts: map.read_or("max_alerts", 0, Node::integer)?,
            payload: map.read("payload", Tree::read)?,
            timeout: fields::timeout(map)?,
            http: fields::http(map, &global.http)?,
        })
    }
}
