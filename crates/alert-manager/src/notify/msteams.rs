//! Microsoft Teams: an Adaptive Card, and the older card.

use serde_json::json;

use super::{NotifyError, Sender, expose};
use crate::config::{MsTeamsConfig, MsTeamsV2Config};

pub(super) async fn send(config: &MsTeamsV2Config, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = expose(&config.webhook_url).await?;
    let color = if sender.is_firing() { "Attention" } else { "Good" };
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            {
                "type": "TextBlock", "text": sender.text(&config.title), "weight": "Bolder", "size": "Medium",
                "wrap": true, "style": "heading", "color": color,
            },
            { "type": "TextBlock", "text": sender.text(&config.text), "wrap": true },
        ],
        "msteams": { "width": "full" },
    });
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        }],
    });
    sender.post(url.trim(), &body, &[429], None).await
}

/// The older card.
pub(super) async fn send_older(config: &MsTeamsConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = expose(&config.webhook_url).await?;
    let body = json!({
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": sender.text(&config.title),
        "summary": sender.text(&config.summary),
        "text": sender.text(&config.text),
        "themeColor": if sender.is_firing() { "8C1A1A" } else { "2DC72D" },
    });
    sender.post(url.trim(), &body, &[], None).await
}
