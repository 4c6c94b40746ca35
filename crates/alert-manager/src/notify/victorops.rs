//! VictorOps: an incident by its endpoint for REST.

use serde_json::json;

use super::{NotifyError, Sender, cut, expose, hide, join_url};
use crate::config::VictoropsConfig;

const STATE_MESSAGE_CHARS_MAX: usize = 20_480;
const FIRING_TYPES: &[&str] = &["INFO", "WARNING", "CRITICAL"];

pub(super) async fn send(config: &VictoropsConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let key = expose(&config.api_key).await?;
    let key = key.trim();
    let word = |name: &str| sender.word(config.texts.get(name));
    let kind = match (sender.is_firing(), word("message_type")) {
        (false, _) => "RECOVERY".to_owned(),
        (true, kind) if FIRING_TYPES.contains(&kind.as_str()) => kind,
        (true, _) => "CRITICAL".to_owned(),
    };
    let mut body = json!({
        "message_type": kind,
        "entity_id": sender.message.key_hash(),
        "entity_display_name": sender.text(config.texts.get("entity_display_name")),
        "monitoring_tool": word("monitoring_tool"),
        "state_message": cut(&sender.text(config.texts.get("state_message")), STATE_MESSAGE_CHARS_MAX),
    });
    for (name, value) in &config.custom_fields {
        body[name.as_str()] = sender.word(value).into();
    }
    let routing = sender.exact(config.texts.get("routing_key"))?;
    let url = join_url(&config.api_url, &format!("{key}/{routing}"));
    hide(sender.post(&url, &body, &[], None).await, key)
}
