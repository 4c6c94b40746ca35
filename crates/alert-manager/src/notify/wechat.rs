//! WeChat: a message by an application of one's company.

use std::time::Duration;

use http_client::{Request, Url};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{NotifyError, Sender, body_of, expose, hide, join_url, put};
use crate::config::WechatConfig;

/// How long a token is used.
const TOKEN_LIFE: Duration = Duration::from_secs(2 * 3600);
/// The provider's word for a token that is too old.
const TOKEN_EXPIRED: i64 = 42_001;

/// The token, with the (monotonic) time at which it was given.
pub(super) type Token = Mutex<Option<(std::time::Instant, String)>>;

pub(super) async fn send(
    config: &WechatConfig,
    sender: &Sender<'_>,
    token: &Token,
) -> Result<String, NotifyError> {
    let known = token.lock().clone().filter(|(at, _)| at.elapsed() < TOKEN_LIFE);
    let access = match known {
        Some((_, access)) => access,
        None => {
            let access = new_token(config, sender).await?;
            *token.lock() = Some((std::time::Instant::now(), access.clone()));
            access
        }
    };
    let word = |key: &str| sender.word(config.texts.get(key));
    let (text, markdown) = match (sender.text(config.texts.get("message")), config.is_markdown) {
        (message, true) => (String::new(), message),
        (message, false) => (message, String::new()),
    };
    let mut body = json!({
        "text": { "content": text },
        "markdown": { "content": markdown },
        "safe": "0",
        "msgtype": if config.is_markdown { "markdown" } else { "text" },
    });
    put(&mut body, "touser", word("to_user"));
    put(&mut body, "toparty", word("to_party"));
    put(&mut body, "totag", word("to_tag"));
    put(&mut body, "agentid", word("agent_id"));
    let url = format!("{}?access_token={access}", join_url(&config.api_url, "message/send"));
    // Any status but 200 may pass.
    let outcome =
        sender.post(&url, &body, &[], None).await.map_err(|error| NotifyError { retry: true, ..error });
    let answer = hide(outcome, &access)?;
    let reply: Value = serde_json::from_str(body_of(&answer))
        .map_err(|error| NotifyError::passing(format!("the answer is no JSON: {error}")))?;
    let said = || reply["errmsg"].as_str().unwrap_or_default().to_owned();
    match reply["errcode"].as_i64() {
        Some(0) => Ok(answer),
        Some(TOKEN_EXPIRED) => {
            *token.lock() = None;
            Err(NotifyError::passing(said()))
        }
        _ => Err(NotifyError::permanent(said())),
    }
}

async fn new_token(config: &WechatConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let secret = sender.exact(expose(&config.api_secret).await?.trim())?;
    let corp = sender.exact(config.texts.get("corp_id"))?;
    let mut url = Url::parse(&join_url(&config.api_url, "gettoken"))
        .map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
    url.query_pairs_mut().append_pair("corpid", &corp).append_pair("corpsecret", &secret);
    let answer = hide(sender.post_request(Request::get(url, sender.timeout(None)), &[]).await, &secret)?;
    let reply: Value = serde_json::from_str(body_of(&answer)).unwrap_or_default();
    match reply["access_token"].as_str() {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(NotifyError::permanent(format!("invalid APISecret for CorpID: {corp}"))),
    }
}
