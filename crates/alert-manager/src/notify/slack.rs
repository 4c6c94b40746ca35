//! Slack: a message with one attachment.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{NotifyError, Sender, body_of, cut, expose, put};
use crate::config::{SlackAction, SlackAuth, SlackConfig};

const TITLE_CHARS_MAX: usize = 1024;

/// What is remembered of a group's first message, so that later ones change it.
const TIMESTAMP: &str = "threadTs";
const CHANNEL: &str = "channelId";

pub(super) async fn send(
    config: &SlackConfig,
    sender: &Sender<'_>,
    memory: &mut BTreeMap<String, String>,
) -> Result<String, NotifyError> {
    let mut body = json!({ "attachments": [attachment(config, sender)] });
    put(&mut body, "channel", sender.word(&config.channel));
    put(&mut body, "username", sender.word(&config.username));
    put(&mut body, "icon_emoji", sender.word(&config.icon_emoji));
    put(&mut body, "icon_url", sender.word(&config.icon_url));
    put(&mut body, "text", sender.text(&config.message_text));
    if config.link_names {
        body["link_names"] = true.into();
    }
    let answer = match &config.auth {
        SlackAuth::Webhook(url) => {
            let url = expose(url).await?;
            sender.post(url.trim(), &body, &[], config.timeout).await?
        }
        SlackAuth::App(token, url) => {
            let mut url = url.clone();
            if let (true, Some(ts), Some(channel)) =
                (config.update_message, memory.get(TIMESTAMP), memory.get(CHANNEL))
            {
                body["ts"] = ts.as_str().into();
                body["channel"] = channel.as_str().into();
                url = url.replace("chat.postMessage", "chat.update");
            }
            let mut request = sender.request(&url, &body, config.timeout)?;
            let token = format!("Bearer {}", expose(token).await?.trim());
            let value = http_client::HeaderValue::from_str(&token)
                .map_err(|_| NotifyError::permanent("the app token is no valid header value"))?;
            request.headers.insert(http_client::header::AUTHORIZATION, value);
            sender.post_request(request, &[]).await?
        }
    };
    let reply = check(&answer)?;
    if config.update_message {
        for (key, field) in [(TIMESTAMP, "ts"), (CHANNEL, "channel")] {
            if let Some(text) = reply[field].as_str() {
                memory.insert(key.to_owned(), text.to_owned());
            }
        }
    }
    Ok(answer)
}

/// Slack says no with 200, too.
fn check(answer: &str) -> Result<Value, NotifyError> {
    let body = body_of(answer);
    if let Some(reply) = serde_json::from_str(body).ok().filter(Value::is_object) {
        if reply["ok"] == false {
            let error = reply["error"].as_str().unwrap_or("unknown error");
            return Err(NotifyError::permanent(format!("error response from Slack: {error}")));
        }
        return Ok(reply);
    }
    if body == "ok" {
        return Ok(Value::Null);
    }
    Err(NotifyError::permanent(format!("received an error response from Slack: {body}")))
}

fn attachment(config: &SlackConfig, sender: &Sender<'_>) -> Value {
    let mut attachment = json!({ "mrkdwn_in": config.mrkdwn_in });
    put(&mut attachment, "title", cut(&sender.text(&config.title), TITLE_CHARS_MAX));
    for (key, text) in [
        ("title_link", &config.title_link),
        ("pretext", &config.pretext),
        ("text", &config.text),
        ("fallback", &config.fallback),
        ("callback_id", &config.callback_id),
        ("image_url", &config.image_url),
        ("thumb_url", &config.thumb_url),
        ("footer", &config.footer),
        ("color", &config.color),
    ] {
        let is_body = matches!(key, "text" | "fallback" | "pretext");
        put(&mut attachment, key, if is_body { sender.text(text) } else { sender.word(text) });
    }
    let mut fields = Vec::new();
    for field in &config.fields {
        fields.push(json!({
            "title": sender.word(&field.title),
            "value": sender.text(&field.value),
            "short": field.short.unwrap_or(config.short_fields),
        }));
    }
    if !fields.is_empty() {
        attachment["fields"] = fields.into();
    }
    let actions: Vec<Value> = config.actions.iter().map(|action| action_json(action, sender)).collect();
    if !actions.is_empty() {
        attachment["actions"] = actions.into();
    }
    attachment
}

fn action_json(action: &SlackAction, sender: &Sender<'_>) -> Value {
    let mut shown = json!({ "type": sender.word(&action.kind), "text": sender.word(&action.text) });
    for (key, text) in
        [("url", &action.url), ("style", &action.style), ("name", &action.name), ("value", &action.value)]
    {
        put(&mut shown, key, sender.word(text));
    }
    if let Some(confirm) = &action.confirm {
        let mut asked = json!({ "text": sender.word(&confirm.text) });
        put(&mut asked, "title", sender.word(&confirm.title));
        put(&mut asked, "ok_text", sender.word(&confirm.ok_text));
        put(&mut asked, "dismiss_text", sender.word(&confirm.dismiss_text));
        shown["confirm"] = asked;
    }
    shown
}
