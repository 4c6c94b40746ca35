//! Mattermost: an incoming webhook.

use serde_json::{Value, json};

use super::{NotifyError, Sender, cut, expose, put};
use crate::config::{MattermostAttachment, MattermostConfig, MattermostPriority};

const TEXT_CHARS_MAX: usize = 16_383;
/// Texts that are read; where their template fails, a plain message stands there.
const BODIES: &[&str] = &["text", "title", "fallback"];

pub(super) async fn send(config: &MattermostConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = expose(&config.webhook_url).await?;
    let text = sender.text(&config.text);
    let mut body = json!({});
    for (key, template) in config.texts.iter() {
        put(&mut body, key, sender.word(template));
    }
    if config.attachments.is_empty() {
        let mut attachment = attachment_json(&config.default_attachment, sender);
        put(&mut attachment, "text", text);
        body["attachments"] = json!([attachment]);
    } else {
        body["attachments"] = config.attachments.iter().map(|one| attachment_json(one, sender)).collect();
        put(&mut body, "text", cut(&text, TEXT_CHARS_MAX));
    }
    if !config.card.is_empty() {
        body["props"] = json!({ "card": sender.text(&config.card) });
    }
    if let Some(priority) = config.priority.as_ref().filter(|priority| !priority.priority.is_empty()) {
        body["priority"] = priority_json(priority, &sender.word(&priority.priority));
    }
    sender.post(url.trim(), &body, &[], None).await
}

fn attachment_json(attachment: &MattermostAttachment, sender: &Sender<'_>) -> Value {
    let mut shown = json!({});
    for (key, template) in attachment.texts.iter() {
        let text = if BODIES.contains(&key) { sender.text(template) } else { sender.word(template) };
        put(&mut shown, key, text);
    }
    let mut fields = Vec::new();
    for (title, value, short) in &attachment.fields {
        let mut field = json!({ "title": sender.word(title), "value": sender.text(value) });
        if let Some(short) = short {
            field["short"] = (*short).into();
        }
        fields.push(field);
    }
    if !fields.is_empty() {
        shown["fields"] = fields.into();
    }
    shown
}

/// What Mattermost takes: an unknown priority is the standard one, and only urgent messages are repeated.
fn priority_json(config: &MattermostPriority, rendered: &str) -> Value {
    let priority = match rendered.to_lowercase().as_str() {
        "urgent" => "urgent",
        "important" => "important",
        _ => "standard",
    };
    let mut shown = json!({ "priority": priority });
    if config.requested_ack && priority != "standard" {
        shown["requested_ack"] = true.into();
    }
    if config.persistent_notifications && priority == "urgent" {
        shown["persistent_notifications"] = true.into();
    }
    shown
}
