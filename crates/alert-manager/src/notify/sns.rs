//! Amazon SNS: `Publish` of its query API, signed.

use std::collections::BTreeMap;

use http_client::{HeaderName, HeaderValue, Request, Url};

use super::sigv4::{Credentials, Signable, sign};
use super::{NotifyError, Sender, expose};
use crate::config::SnsConfig;

const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Text messages to phones are shorter.
const PHONE_BYTES_MAX: usize = 1600;

pub(super) async fn send(config: &SnsConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let sigv4 = &config.sigv4;
    let region = match sigv4.region.as_str() {
        "" => variable("AWS_REGION"),
        region => region.to_owned(),
    };
    if region.is_empty() {
        return Err(NotifyError::permanent("region not configured in sns.sigv4.region or in AWS_REGION"));
    }
    let credentials = match &sigv4.secret_key {
        Some(secret) => Credentials {
            access_key: sigv4.access_key.clone(),
            secret_key: expose(secret).await?,
            session_token: String::new(),
        },
        None => Credentials {
            access_key: variable("AWS_ACCESS_KEY_ID"),
            secret_key: variable("AWS_SECRET_ACCESS_KEY"),
            session_token: variable("AWS_SESSION_TOKEN"),
        },
    };
    if credentials.access_key.is_empty() {
        return Err(NotifyError::permanent(
            "no AWS credentials: neither sigv4.access_key nor AWS_ACCESS_KEY_ID",
        ));
    }
    let url = match sender.exact(config.texts.get("api_url"))? {
        url if url.is_empty() => format!("https://sns.{region}.amazonaws.com/"),
        url => url,
    };
    let url =
        Url::parse(&url).map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters(config, sender)?)
        .finish();
    const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
    let signable = Signable {
        method: "POST",
        url: &url,
        headers: &[("content-type", CONTENT_TYPE)],
        body: body.as_bytes(),
        region: &region,
        service: "sns",
        now_ns: sender.message.now,
    };
    let headers = sign(&signable, &credentials);
    let mut request = Request::post(url.clone(), sender.timeout(None), CONTENT_TYPE, body);
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value)
            .map_err(|_| NotifyError::permanent("the credentials are no valid header value"))?;
        request.headers.insert(HeaderName::from_static(name), value);
    }
    sender.post_request(request, &[]).await
}

fn parameters(config: &SnsConfig, sender: &Sender<'_>) -> Result<Vec<(String, String)>, NotifyError> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| parameters.push((name.to_owned(), value));
    add("Action", "Publish".to_owned());
    add("Version", "2010-03-31".to_owned());
    let mut bytes_max = MESSAGE_BYTES_MAX;
    for (key, name) in
        [("topic_arn", "TopicArn"), ("phone_number", "PhoneNumber"), ("target_arn", "TargetArn")]
    {
        if config.texts.get(key).is_empty() {
            continue;
        }
        let value = sender.exact(config.texts.get(key))?;
        if key == "phone_number" {
            bytes_max = PHONE_BYTES_MAX;
        }
        if value.ends_with(".fifo") {
            add("MessageDeduplicationId", sender.message.key_hash());
            add("MessageGroupId", sender.message.key_hash());
        }
        add(name, value);
    }
    let mut attributes: BTreeMap<String, String> =
        config.attributes.iter().map(|(name, value)| (sender.word(name), sender.word(value))).collect();
    let mut message = sender.text(config.texts.get("message"));
    if message.len() > bytes_max {
        let mut end = bytes_max;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        attributes.insert("truncated".to_owned(), "true".to_owned());
    }
    add("Message", message);
    if !config.texts.get("subject").is_empty() {
        add("Subject", sender.text(config.texts.get("subject")));
    }
    for (idx, (name, value)) in attributes.into_iter().enumerate() {
        let key = |part: &str| format!("MessageAttributes.entry.{}.{part}", idx + 1);
        add(&key("Name"), name);
        add(&key("Value.DataType"), "String".to_owned());
        add(&key("Value.StringValue"), value);
    }
    Ok(parameters)
}
