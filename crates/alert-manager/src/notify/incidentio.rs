//! incident.io: an alert source over HTTP.

use http_client::{HeaderValue, header};
use serde_json::Value;

use super::{NotifyError, Sender, expose, webhook};
use crate::config::IncidentioConfig;

const BODY_BYTES_MAX: usize = 512 << 10;

pub(super) async fn send(config: &IncidentioConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let mut body = webhook::body(sender);
    body["version"] = "1".into();
    if body.to_string().len() > BODY_BYTES_MAX
        && let Some(Value::Array(alerts)) = body.get_mut("alerts")
    {
        alerts.truncate(1);
    }
    let url = expose(&config.url).await?;
    let mut request = sender.request(url.trim(), &body, config.timeout)?;
    if let Some(token) = &config.token {
        let value = HeaderValue::from_str(&format!("Bearer {}", expose(token).await?.trim()))
            .map_err(|_| NotifyError::permanent("alert_source_token is no valid header value"))?;
        request.headers.insert(header::AUTHORIZATION, value);
    }
    sender.post_request(request, &[429]).await
}
