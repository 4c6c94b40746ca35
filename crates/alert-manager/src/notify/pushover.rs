//! Pushover: a push whose parameters stand in the URL.

use http_client::{Request, Url};

use super::{NotifyError, Sender, cut, expose, hide};
use crate::config::PushoverConfig;

const TITLE_CHARS_MAX: usize = 250;
const MESSAGE_CHARS_MAX: usize = 1024;
const URL_CHARS_MAX: usize = 512;

pub(super) async fn send(config: &PushoverConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let token = sender.exact(expose(&config.token).await?.trim())?;
    let user = sender.exact(expose(&config.user_key).await?.trim())?;
    let message = match config.html {
        true => sender.html(config.texts.get("message")),
        false => sender.text(config.texts.get("message")),
    };
    let message = cut(&message, MESSAGE_CHARS_MAX);
    let message = match message.trim() {
        // An empty one is refused.
        "" => "(no details)",
        message => message,
    };
    let word = |key: &str| sender.word(config.texts.get(key));
    let mut parameters = vec![
        ("device", word("device")),
        ("expire", config.expire.as_secs().to_string()),
        ("message", message.to_owned()),
        ("priority", word("priority")),
        ("retry", config.retry.as_secs().to_string()),
        ("sound", word("sound")),
        ("title", cut(&sender.text(config.texts.get("title")), TITLE_CHARS_MAX)),
        ("token", token.clone()),
        ("url", cut(&word("url"), URL_CHARS_MAX)),
        ("url_title", word("url_title")),
        ("user", user.clone()),
    ];
    if config.html {
        parameters.push(("html", "1".to_owned()));
    } else if config.monospace {
        parameters.push(("monospace", "1".to_owned()));
    }
    if config.ttl.as_secs() > 0 {
        parameters.push(("ttl", config.ttl.as_secs().to_string()));
    }
    parameters.sort();
    let mut url = Url::parse(&config.api_url)
        .map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
    url.query_pairs_mut().clear().extend_pairs(parameters);
    let request = Request::post(url, sender.timeout(None), "text/plain", String::new());
    hide(hide(sender.post_request(request, &[429]).await, &token), &user)
}
