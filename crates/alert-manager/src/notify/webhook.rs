//! A webhook: the notification as JSON.

use serde_json::json;

use super::{NotifyError, Sender, expose};
use crate::config::WebhookConfig;

pub(super) async fn send(config: &WebhookConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = sender.exact(&expose(&config.url).await?)?;
    let body = match &config.payload {
        Some(tree) => tree.render(&|text| Ok::<_, NotifyError>(sender.text(text)))?,
        None => body(sender),
    };
    sender.post(url.trim(), &body, &[], config.timeout).await
}

pub(super) fn body(sender: &Sender<'_>) -> serde_json::Value {
    let data = sender.data();
    json!({
        "receiver": data.receiver,
        "status": data.status,
        "alerts": data.alerts,
        "notification_reason": data.notification_reason,
        "groupLabels": data.group_labels,
        "commonLabels": data.common_labels,
        "commonAnnotations": data.common_annotations,
        "routeLabels": data.route_labels,
        "externalURL": data.external_url,
        "version": "4",
        "groupKey": sender.message.group_key,
        "truncatedAlerts": sender.message.truncated,
    })
}
