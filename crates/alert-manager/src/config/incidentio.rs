//! `incidentio_configs`

use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields;
use super::global::Global;

/// An alert for incident.io.
#[derive(Clone, Debug)]
pub struct IncidentioConfig {
    /// Where to post to.
    pub url: SecretSource,
    /// The token; none where `http_config` authorizes.
    pub token: Option<SecretSource>,
    /// The most alerts in one message; 0: all.
    pub max_alerts: usize,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The client.
    pub http: HttpClientConfig,
}

impl IncidentioConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        map.read("url", fields::url)?;
        let Some(url) = fields::secret(map, "url", "url_file")? else {
            return Err(map.error("one of url or url_file must be configured"));
        };
        let token = fields::secret(map, "alert_source_token", "alert_source_token_file")?;
        let mut http = fields::http(map, &global.http)?;
        match (&token, &http.authorization) {
            (Some(_), Some(_)) if map.has("http_config") => {
                return Err(map.error(
                    "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization",
                ));
            }
            (None, None) => {
                return Err(map.error(
                    "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured",
                ));
            }
            // The token takes the place of what is set for all.
            (Some(_), _) => http.authorization = None,
            (None, Some(_)) => {}
        }
        Ok(Self {
            url,
            token,
            max_alerts: map.read_or("max_alerts", 0, Node::integer)?,
            timeout: fields::timeout(map)?,
            http,
        })
    }
}
