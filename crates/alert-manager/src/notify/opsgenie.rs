//! Opsgenie: an alert is made, kept up to date, closed.

use http_client::{HeaderValue, Method, Request, header};
use serde_json::{Value, json};

use super::{NotifyError, Sender, cut, expose, join_url, put};
use crate::config::OpsgenieConfig;

const MESSAGE_CHARS_MAX: usize = 130;

pub(super) async fn send(config: &OpsgenieConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let key = sender.exact(expose(&config.api_key).await?.trim())?;
    let authorization = HeaderValue::from_str(&format!("GenieKey {key}"))
        .map_err(|_| NotifyError::permanent("the API key is no valid header value"))?;
    let mut answer = String::new();
    for (method, path, body) in requests(config, sender) {
        let mut request: Request = sender.request(&join_url(&config.api_url, &path), &body, None)?;
        request.method = method;
        request.headers.insert(header::AUTHORIZATION, authorization.clone());
        answer = sender.post_request(request, &[429]).await?;
    }
    Ok(answer)
}

fn requests(config: &OpsgenieConfig, sender: &Sender<'_>) -> Vec<(Method, String, Value)> {
    let alias = sender.message.key_hash();
    let text = |key: &str| sender.text(config.texts.get(key));
    let word = |key: &str| sender.word(config.texts.get(key));
    if !sender.is_firing() {
        let path = format!("v2/alerts/{alias}/close?identifierType=alias");
        return vec![(Method::POST, path, json!({ "source": word("source") }))];
    }
    let message = cut(&text("message"), MESSAGE_CHARS_MAX);
    let mut details = sender.data().common_labels.clone();
    details.extend(config.details.iter().map(|(name, value)| (name.clone(), sender.word(value))));
    let mut body =
        json!({ "alias": alias, "message": message, "details": details, "source": word("source") });
    put(&mut body, "description", text("description"));
    put(&mut body, "note", word("note"));
    put(&mut body, "priority", word("priority"));
    put(&mut body, "entity", word("entity"));
    for (key, list) in [
        ("responders", responders(config, sender)),
        ("tags", split(&word("tags"))),
        ("actions", split(&word("actions"))),
    ] {
        if !list.is_empty() {
            body[key] = list.into();
        }
    }
    let mut requests = vec![(Method::POST, "v2/alerts".to_owned(), body)];
    if config.update_alerts {
        let path = |what: &str| format!("v2/alerts/{alias}/{what}?identifierType=alias");
        let mut changed = json!({});
        put(&mut changed, "message", message);
        requests.push((Method::PUT, path("message"), changed));
        let mut changed = json!({});
        put(&mut changed, "description", text("description"));
        requests.push((Method::PUT, path("description"), changed));
    }
    requests
}

fn responders(config: &OpsgenieConfig, sender: &Sender<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    for responder in &config.responders {
        let kind = sender.word(&responder.kind).to_lowercase();
        let (id, name, username) =
            (sender.word(&responder.id), sender.word(&responder.name), sender.word(&responder.username));
        if kind == "teams" {
            all.extend(split(&name).into_iter().map(|name| json!({ "name": name, "type": "team" })));
            continue;
        }
        if id.is_empty() && name.is_empty() && username.is_empty() {
            continue;
        }
        let mut shown = json!({ "type": kind });
        put(&mut shown, "id", id);
        put(&mut shown, "name", name);
        put(&mut shown, "username", username);
        all.push(shown);
    }
    all
}

/// The words between commas.
fn split(text: &str) -> Vec<Value> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect()
}
