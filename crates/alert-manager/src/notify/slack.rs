//! Slack: a message with one attachment.

use serde_json::{Value, json};

use super::{NotifyError, Sender, cut, expose, put};
use crate::config::{SlackAction, SlackAuth, SlackConfig};

const TITLE_CHARS_MAX: usize = 1024;

pub(super) async fn send(config: &SlackConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let mut body = json!({ "attachments": [attachment(config, sender)?] });
    put(&mut body, "channel", sender.text(&config.channel)?);
    put(&mut body, "username", sender.text(&config.username)?);
    put(&mut body, "icon_emoji", sender.text(&config.icon_emoji)?);
    put(&mut body, "icon_url", sender.text(&config.icon_url)?);
    put(&mut body, "text", sender.text(&config.message_text)?);
    if config.link_names {
        body["link_names"] = true.into();
    }
    let answer = match &config.auth {
        SlackAuth::Webhook(url) => {
            let url = expose(url).await?;
            sender.post(url.trim(), &body, &[], config.timeout).await?
        }
        SlackAuth::App(token, url) => {
            let mut request = sender.request(url, &body, config.timeout)?;
            let token = format!("Bearer {}", expose(token).await?.trim());
            let value = http_client::HeaderValue::from_str(&token)
                .map_err(|_| NotifyError::permanent("the app token is no valid header value"))?;
            request.headers.insert(http_client::header::AUTHORIZATION, value);
            sender.post_request(request, &[]).await?
        }
    };
    check(&answer)?;
    Ok(answer)
}

/// Slack says no with 200, too.
fn check(answer: &str) -> Result<(), NotifyError> {
    let body = answer.split_once(": ").map_or("", |(_, body)| body);
    if let Ok(Value::Object(reply)) = serde_json::from_str(body) {
        if reply.get("ok") == Some(&Value::Bool(false)) {
            let error = reply.get("error").and_then(Value::as_str).unwrap_or("unknown error");
            return Err(NotifyError::permanent(format!("error response from Slack: {error}")));
        }
        return Ok(());
    }
    if body == "ok" {
        return Ok(());
    }
    Err(NotifyError::permanent(format!("received an error response from Slack: {body}")))
}

fn attachment(config: &SlackConfig, sender: &Sender<'_>) -> Result<Value, NotifyError> {
    let mut attachment = json!({ "mrkdwn_in": config.mrkdwn_in });
    put(&mut attachment, "title", cut(&sender.text(&config.title)?, TITLE_CHARS_MAX));
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
        put(&mut attachment, key, sender.text(text)?);
    }
    let mut fields = Vec::new();
    for field in &config.fields {
        fields.push(json!({
            "title": sender.text(&field.title)?,
            "value": sender.text(&field.value)?,
            "short": field.short.unwrap_or(config.short_fields),
        }));
    }
    if !fields.is_empty() {
        attachment["fields"] = fields.into();
    }
    let actions: Result<Vec<Value>, NotifyError> =
        config.actions.iter().map(|action| action_json(action, sender)).collect();
    let actions = actions?;
    if !actions.is_empty() {
        attachment["actions"] = actions.into();
    }
    Ok(attachment)
}

fn action_json(action: &SlackAction, sender: &Sender<'_>) -> Result<Value, NotifyError> {
    let mut shown = json!({ "type": sender.text(&action.kind)?, "text": sender.text(&action.text)? });
    for (key, text) in
        [("url", &action.url), ("style", &action.style), ("name", &action.name), ("value", &action.value)]
    {
        put(&mut shown, key, sender.text(text)?);
    }
    if let Some(confirm) = &action.confirm {
        let mut asked = json!({ "text": sender.text(&confirm.text)? });
        put(&mut asked, "title", sender.text(&confirm.title)?);
        put(&mut asked, "ok_text", sender.text(&confirm.ok_text)?);
        put(&mut asked, "dismiss_text", sender.text(&confirm.dismiss_text)?);
        shown["confirm"] = asked;
    }
    Ok(shown)
}
