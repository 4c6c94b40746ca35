//! Amazon SNS: `Publish` of its query API, signed.

use std::collections::BTreeMap;

use http_client::Url;

use super::aws::{self, Environment, RoleCache};
use super::{NotifyError, Sender};
use crate::config::SnsConfig;

const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Text messages to phones are shorter.
const PHONE_BYTES_MAX: usize = 1600;

pub(super) async fn send(
    config: &SnsConfig,
    sender: &Sender<'_>,
    roles: &RoleCache,
) -> Result<String, NotifyError> {
    send_as(config, sender, roles, &aws::environment).await
}

/// The same in an environment.
pub(super) async fn send_as(
    config: &SnsConfig,
    sender: &Sender<'_>,
    roles: &RoleCache,
    variable: Environment<'_>,
) -> Result<String, NotifyError> {
    let region = aws::region(&config.sigv4, variable).await?;
    let credentials = aws::credentials(&config.sigv4, &region, sender, roles, variable).await?;
    let url = match sender.exact(config.texts.get("api_url"))? {
        url if url.is_empty() => format!("https://sns.{region}.amazonaws.com/"),
        url => url,
    };
    let url =
        Url::parse(&url).map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters(config, sender)?)
        .finish();
    let request = aws::signed(url, form, (&region, "sns"), &credentials, sender)?;
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
