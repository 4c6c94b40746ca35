//! A webhook: the notification as JSON.

use serde::Serialize;

use super::{NotifyError, Sender, expose};
use crate::config::WebhookConfig;
use crate::data::{AlertData, Pairs};

/// What is sent where the configuration has no payload of its own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'m> {
    receiver: &'m str,
    status: &'m str,
    alerts: &'m [AlertData],
    #[serde(rename = "notification_reason")]
    notification_reason: &'m str,
    group_labels: &'m Pairs,
    common_labels: &'m Pairs,
    common_annotations: &'m Pairs,
    route_labels: &'m Pairs,
    #[serde(rename = "externalURL")]
    external_url: &'m str,
    version: &'static str,
    group_key: &'m str,
    truncated_alerts: usize,
}

pub(super) async fn send(config: &WebhookConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = sender.exact(&expose(&config.url).await?)?;
    match &config.payload {
        Some(tree) => {
            let body = tree.render(&|text| Ok::<_, NotifyError>(sender.text(text)))?;
            sender.post(url.trim(), &body, &[], config.timeout).await
        }
        None => sender.post(url.trim(), &payload(sender), &[], config.timeout).await,
    }
}

pub(super) fn body(sender: &Sender<'_>) -> serde_json::Value {
    // Only a map whose keys are no texts could fail, and there is none.
    serde_json::to_value(payload(sender)).unwrap_or_default()
}

fn payload<'m>(sender: &Sender<'m>) -> Payload<'m> {
    let message = sender.message;
    let data = &message.data;
    Payload {
        receiver: &data.receiver,
        status: data.status,
        alerts: &data.alerts,
        notification_reason: data.notification_reason,
        group_labels: &data.group_labels,
        common_labels: &data.common_labels,
        common_annotations: &data.common_annotations,
        route_labels: &data.route_labels,
        external_url: &data.external_url,
        version: "4",
        group_key: &message.group_key,
        truncated_alerts: message.truncated,
    }
}
