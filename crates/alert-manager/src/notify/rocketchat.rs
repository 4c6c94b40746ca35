//! Rocket.Chat: `chat.postMessage` with one attachment.

use http_client::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{NotifyError, Sender, body_of, cut, expose, join_url, put};
use crate::config::RocketchatConfig;

const TITLE_CHARS_MAX: usize = 1024;

pub(super) async fn send(config: &RocketchatConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let word = |key: &str| sender.word(config.texts.get(key));
    let mut attachment = json!({});
    put(&mut attachment, "title", cut(&sender.text(config.texts.get("title")), TITLE_CHARS_MAX));
    put(&mut attachment, "text", sender.text(config.texts.get("text")));
    for key in ["title_link", "image_url", "thumb_url", "color"] {
        put(&mut attachment, key, word(key));
    }
    if !config.fields.is_empty() {
        let field = |(title, value, short): &(String, String, bool)| {
            let mut field = json!({ "short": short });
            put(&mut field, "title", sender.word(title));
            put(&mut field, "value", sender.text(value));
            field
        };
        attachment["fields"] = config.fields.iter().map(field).collect();
    }
    if !config.actions.is_empty() {
        let mut actions = Vec::new();
        for texts in &config.actions {
            let mut action = json!({ "type": "button", "is_webview": false, "msg_in_chat_window": false });
            for (key, text) in texts.iter() {
                put(&mut action, key, sender.word(text));
            }
            actions.push(action);
        }
        attachment["actions"] = actions.into();
    }
    let mut body = json!({ "attachments": [attachment] });
    put(&mut body, "channel", word("channel"));
    put(&mut body, "emoji", word("emoji"));
    put(&mut body, "avatar", word("icon_url"));
    let mut request = sender.request(&join_url(&config.api_url, "api/v1/chat.postMessage"), &body, None)?;
    for (name, secret) in [("x-auth-token", &config.token), ("x-user-id", &config.token_id)] {
        let value = HeaderValue::from_str(expose(secret).await?.trim())
            .map_err(|_| NotifyError::permanent(format!("{name} is no valid header value")))?;
        request.headers.insert(HeaderName::from_static(name), value);
    }
    let answer = sender.post_request(request, &[]).await?;
    let reply: Value = serde_json::from_str(body_of(&answer))
        .map_err(|error| NotifyError::passing(format!("the answer is no JSON: {error}")))?;
    if reply["success"] != true {
        let error = reply["error"].as_str().unwrap_or_default();
        let refused = NotifyError::permanent(format!("error response from Rocketchat: {error}"));
        return Err(NotifyError { reason: "clientError", ..refused });
    }
    Ok(answer)
}
