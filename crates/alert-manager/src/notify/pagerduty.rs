//! PagerDuty: Events API v2, and the older generic one.

use serde_json::{Map, Value, json};

use super::{NotifyError, Sender, cut, expose, put};
use crate::config::{PagerdutyConfig, PagerdutyKey};

const SUMMARY_CHARS_MAX: usize = 1024;
const EVENT_BYTES_MAX: usize = 512_000;

pub(super) async fn send(config: &PagerdutyConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let details = details(config, sender);
    let summary = cut(&sender.text(&config.description), SUMMARY_CHARS_MAX);
    let (mut body, retried): (Value, &[u16]) = match &config.key {
        PagerdutyKey::Routing(key) => {
            let key = sender.exact(expose(key).await?.trim())?;
            (version_2(config, sender, &key, &summary, &details), &[429])
        }
        PagerdutyKey::Service(key) => {
            let key = sender.exact(expose(key).await?.trim())?;
            (version_1(config, sender, &key, &summary, &details), &[403])
        }
    };
    let len = body.to_string().len();
    if len > EVENT_BYTES_MAX {
        let notice = json!({ "error": format!(
            "custom details have been removed because the original event of {len} bytes exceeds the maximum of {EVENT_BYTES_MAX}"
        )});
        let place = if body.get("payload").is_some() {
            &mut body["payload"]["custom_details"]
        } else {
            &mut body["details"]
        };
        *place = notice;
    }
    sender.post(&config.url, &body, retried, config.timeout).await
}

fn details(config: &PagerdutyConfig, sender: &Sender<'_>) -> Map<String, Value> {
    let mut texts: Vec<(String, String)> = [
        ("firing", r#"{{ template "pagerduty.default.instances" .Alerts.Firing }}"#),
        ("resolved", r#"{{ template "pagerduty.default.instances" .Alerts.Resolved }}"#),
        ("num_firing", "{{ .Alerts.Firing | len }}"),
        ("num_resolved", "{{ .Alerts.Resolved | len }}"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec();
    texts.extend(config.details.clone());
    let mut details = Map::new();
    for (name, text) in texts {
        details.insert(name, sender.text(&text).into());
    }
    details
}

/// A severity whose template has failed is one that wakes somebody up.
fn severity(rendered: &str) -> &str {
    if rendered.is_empty() { "error" } else { rendered }
}

fn event(sender: &Sender<'_>) -> &'static str {
    if sender.is_firing() { "trigger" } else { "resolve" }
}

fn version_2(
    config: &PagerdutyConfig,
    sender: &Sender<'_>,
    key: &str,
    summary: &str,
    details: &Map<String, Value>,
) -> Value {
    let mut payload = json!({
        "summary": summary,
        "source": sender.word(&config.source),
        "severity": severity(&sender.word(&config.severity)),
        "custom_details": details,
    });
    put(&mut payload, "class", sender.word(&config.class));
    put(&mut payload, "component", sender.word(&config.component));
    put(&mut payload, "group", sender.word(&config.group));
    let mut body = json!({
        "routing_key": key,
        "event_action": event(sender),
        "dedup_key": sender.message.key_hash(),
        "payload": payload,
    });
    put(&mut body, "client", sender.word(&config.client));
    put(&mut body, "client_url", sender.word(&config.client_url));
    let mut images = Vec::new();
    for image in &config.images {
        let mut shown = json!({ "src": sender.word(&image.src) });
        put(&mut shown, "alt", sender.word(&image.alt));
        put(&mut shown, "href", sender.word(&image.href));
        if shown["src"] != "" {
            images.push(shown);
        }
    }
    let mut links = Vec::new();
    for link in &config.links {
        let mut shown = json!({ "href": sender.word(&link.href) });
        put(&mut shown, "text", sender.word(&link.text));
        if shown["href"] != "" {
            links.push(shown);
        }
    }
    for (name, list) in [("images", images), ("links", links)] {
        if !list.is_empty() {
            body[name] = list.into();
        }
    }
    body
}

fn version_1(
    config: &PagerdutyConfig,
    sender: &Sender<'_>,
    key: &str,
    summary: &str,
    details: &Map<String, Value>,
) -> Value {
    let mut body = json!({
        "service_key": key,
        "event_type": event(sender),
        "incident_key": sender.message.key_hash(),
        "description": summary,
        "details": details,
    });
    if sender.is_firing() {
        put(&mut body, "client", sender.word(&config.client));
        put(&mut body, "client_url", sender.word(&config.client_url));
    }
    body
}
