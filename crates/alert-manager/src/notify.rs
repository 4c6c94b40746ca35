//! Telling somebody: one attempt by one integration.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use go_template::TemplateError;
use http_client::{
    ClientOptions, HeaderName, HeaderValue, HttpClient, HttpClientError, Request, SecretSource, StatusCode,
    Url,
};
use model::TimestampNs;
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::config::{Integration, IntegrationKind};
use crate::data::{Data, common};
use crate::templates::Templates;

mod aws;
mod discord;
mod email;
mod incidentio;
mod jira;
mod mattermost;
mod msteams;
mod opsgenie;
mod pagerduty;
mod preview;
mod pushover;
mod render;
mod rocketchat;
pub(crate) mod sigv4;
mod slack;
mod smtp_auth;
mod sns;
mod telegram;
mod test_message;
mod victorops;
mod webex;
mod webhook;
mod wechat;

pub use preview::Preview;
use render::Render;
pub use test_message::{TEST_TIMEOUT, test_message};

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Attempts by one integration at a time: one that hangs leaves room for others.
const ATTEMPTS_MAX: usize = 50;

/// Our name to others.
pub const USER_AGENT: &str = concat!("Alertmanager/", env!("CARGO_PKG_VERSION"));

/// The header that lets a receiver recognise what it has been told already.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is told.
#[derive(Clone, Debug)]
pub struct Message {
    /// The group's key; the same for all notifications of a group.
    pub group_key: String,
    /// What templates see.
    pub data: Data,
    /// The day, for mail threads: `2026-11-22`.
    pub date: String,
    /// How long this attempt may take.
    pub timeout: Duration,
    /// As of when.
    pub now: TimestampNs,
    /// The same for all attempts at one message: a receiver that has it can drop what comes twice.
    pub idempotency_key: String,
    /// How many alerts were left out.
    pub truncated: usize,
    /// What was remembered of the group's last message.
    pub memory: BTreeMap<String, String>,
}

impl Message {
    /// The group's key as hexadecimal digits, where a receiver wants a short one.
    pub fn key_hash(&self) -> String {
        Sha256::digest(self.group_key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    /// Whether the same may work later.
    pub retry: bool,
    /// The metric's word for it.
    pub reason: &'static str,
    /// What happened, without secrets.
    pub message: String,
}

impl NotifyError {
    /// An error that trying again does not mend.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retry: false, reason: "other", message: message.into() }
    }

    /// An error that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { retry: true, reason: "other", message: message.into() }
    }
}

impl From<TemplateError> for NotifyError {
    fn from(error: TemplateError) -> Self {
        Self::permanent(error.to_string())
    }
}

impl From<HttpClientError> for NotifyError {
    fn from(error: HttpClientError) -> Self {
        let reason = if error.is_timeout() { "contextDeadlineExceeded" } else { "other" };
        Self { retry: true, reason, message: error.chain() }
    }
}

/// An integration that is ready to tell.
#[derive(Clone, Debug)]
pub struct Notifier {
    integration: Integration,
    client: Option<HttpClient>,
    templates: Arc<Templates>,
    /// A token that a provider gave us.
    token: Arc<wechat::Token>,
    /// Keys that AWS gave us for a role.
    roles: Arc<aws::RoleCache>,
    /// Attempts at a time.
    permits: Arc<Semaphore>,
}

impl Notifier {
    /// Makes one. Blocks, as it reads certificates.
    pub fn new(integration: &Integration, templates: &Arc<Templates>) -> Result<Self, HttpClientError> {
        let options = ClientOptions { user_agent: USER_AGENT.to_owned(), ..ClientOptions::default() };
        let client =
            integration.kind.http().map(|http| HttpClient::new(http.clone(), options)).transpose()?;
        Ok(Self {
            integration: integration.clone(),
            client,
            templates: Arc::clone(templates),
            token: Arc::default(),
            roles: Arc::default(),
            permits: Arc::new(Semaphore::new(ATTEMPTS_MAX)),
        })
    }

    /// The integration.
    pub fn integration(&self) -> &Integration {
        &self.integration
    }

    /// The places for attempts under way.
    pub fn permits(&self) -> &Semaphore {
        &self.permits
    }

    /// Tells; what is told has the provider's own words.
    pub async fn notify(&self, message: &Message) -> Result<Told, NotifyError> {
        let message = &*self.fitting(message);
        let render = Render::new(&self.templates, &message.data);
        let mut memory = message.memory.clone();
        let (answer, template_error) = if let IntegrationKind::Email(config) = &self.integration.kind {
            (email::send(config, message, &render).await?, render.failure())
        } else {
            let Some(client) = &self.client else {
                return Err(NotifyError::permanent("this integration has no HTTP client"));
            };
            let sender = Sender { client, message, render, dry: None };
            (self.notify_over_http(&sender, &mut memory).await?, sender.render.failure())
        };
        Ok(Told { answer, memory, template_error })
    }

    /// The message with no more alerts than the integration wants; what they have in common is then of those.
    fn fitting<'m>(&self, message: &'m Message) -> Cow<'m, Message> {
        let alerts_max = match &self.integration.kind {
            IntegrationKind::Webhook(config) => config.max_alerts,
            IntegrationKind::Incidentio(config) => config.max_alerts,
            _ => 0,
        };
        let count = message.data.alerts.len();
        if alerts_max == 0 || count <= alerts_max {
            return Cow::Borrowed(message);
        }
        let mut message = message.clone();
        message.truncated = count - alerts_max;
        let data = &mut message.data;
        data.alerts.truncate(alerts_max);
        let fires = data.alerts.iter().any(|alert| alert.status == "firing");
        data.status = if fires { "firing" } else { "resolved" };
        data.common_labels = common(data.alerts.iter().map(|alert| &alert.labels));
        data.common_annotations = common(data.alerts.iter().map(|alert| &alert.annotations));
        Cow::Owned(message)
    }

    /// What would be sent. Where a provider is asked first, as if it knew nothing of the group.
    pub async fn preview(&self, message: &Message) -> Result<Vec<Preview>, NotifyError> {
        let message = &*self.fitting(message);
        let render = Render::new(&self.templates, &message.data);
        if let IntegrationKind::Email(config) = &self.integration.kind {
            let mail = email::compose(config, message, &render)?;
            return Ok(vec![Preview::of_mail(&config.smarthost, &mail.formatted())]);
        }
        let Some(client) = &self.client else {
            return Err(NotifyError::permanent("this integration has no HTTP client"));
        };
        let requests = Mutex::default();
        let sender = Sender { client, message, render, dry: Some(&requests) };
        // A token that only a preview was given must not be used.
        let own = Self { token: Arc::default(), ..self.clone() };
        own.notify_over_http(&sender, &mut message.memory.clone()).await?;
        drop(sender);
        Ok(requests.into_inner())
    }

    async fn notify_over_http(
        &self,
        sender: &Sender<'_>,
        memory: &mut BTreeMap<String, String>,
    ) -> Result<String, NotifyError> {
        match &self.integration.kind {
            IntegrationKind::Webhook(config) => webhook::send(config, sender).await,
            IntegrationKind::Slack(config) => slack::send(config, sender, memory).await,
            IntegrationKind::Pagerduty(config) => pagerduty::send(config, sender).await,
            IntegrationKind::Telegram(config) => telegram::send(config, sender).await,
            IntegrationKind::Discord(config) => discord::send(config, sender).await,
            IntegrationKind::MsTeamsV2(config) => msteams::send(config, sender).await,
            IntegrationKind::Opsgenie(config) => opsgenie::send(config, sender).await,
            IntegrationKind::Victorops(config) => victorops::send(config, sender).await,
            IntegrationKind::Pushover(config) => pushover::send(config, sender).await,
            IntegrationKind::Wechat(config) => wechat::send(config, sender, &self.token).await,
            IntegrationKind::Sns(config) => sns::send(config, sender, &self.roles).await,
            IntegrationKind::Webex(config) => webex::send(config, sender).await,
            IntegrationKind::MsTeams(config) => msteams::send_older(config, sender).await,
            IntegrationKind::Jira(config) => jira::send(config, sender).await,
            IntegrationKind::Rocketchat(config) => rocketchat::send(config, sender).await,
            IntegrationKind::Mattermost(config) => mattermost::send(config, sender).await,
            IntegrationKind::Incidentio(config) => incidentio::send(config, sender).await,
            IntegrationKind::Email(_) => Err(NotifyError::permanent("mail does not go by HTTP")),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The provider's own words.
    pub answer: String,
    /// What is to be remembered for the group's next message.
    pub memory: BTreeMap<String, String>,
    /// Where a template has failed and a plain message was sent instead: why.
    pub template_error: Option<String>,
}

/// What an integration over HTTP works with.
struct Sender<'m> {
    client: &'m HttpClient,
    message: &'m Message,
    render: Render<'m>,
    /// Where requests go that are not sent.
    dry: Option<&'m Mutex<Vec<Preview>>>,
}

impl Sender<'_> {
    /// A text that is read: where its template fails, a plain message.
    fn text(&self, text: &str) -> String {
        self.render.text(text)
    }

    /// Like [`Self::text`], as HTML.
    fn html(&self, text: &str) -> String {
        self.render.html(text)
    }

    /// A text that the message can do without: empty where its template fails.
    fn word(&self, text: &str) -> String {
        self.render.word(text)
    }

    /// A text without which nothing can be sent: keys, addresses.
    fn exact(&self, text: &str) -> Result<String, TemplateError> {
        self.render.exact(text)
    }

    fn data(&self) -> &Data {
        &self.message.data
    }

    fn is_firing(&self) -> bool {
        self.message.data.status == "firing"
    }

    fn timeout(&self, own: Option<Duration>) -> Duration {
        own.map_or(self.message.timeout, |own| own.min(self.message.timeout))
    }

    /// Posts JSON. 2xx is success; 5xx and `retried` may pass.
    async fn post(
        &self,
        url: &str,
        body: &(impl Serialize + Sync),
        retried: &[u16],
        timeout: Option<Duration>,
    ) -> Result<String, NotifyError> {
        self.post_request(self.request(url, body, timeout)?, retried).await
    }

    fn request(
        &self,
        url: &str,
        body: &impl Serialize,
        timeout: Option<Duration>,
    ) -> Result<Request, NotifyError> {
        let url = Url::parse(url)
            .map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
        let body = serde_json::to_string(body)
            .map_err(|error| NotifyError::permanent(format!("the message cannot be written: {error}")))?;
        Ok(Request::post(url, self.timeout(timeout), "application/json", body))
    }

    async fn post_request(&self, request: Request, retried: &[u16]) -> Result<String, NotifyError> {
        let (status, answer) = self.exchange(request, retried, ANSWER_BYTES_MAX).await?;
        Ok(format!("{status}: {answer}"))
    }

    /// Sends a request; gives the answer's status and its first bytes.
    async fn exchange(
        &self,
        mut request: Request,
        retried: &[u16],
        bytes_max: usize,
    ) -> Result<(StatusCode, String), NotifyError> {
        if let Ok(key) = HeaderValue::from_str(&self.message.idempotency_key) {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        if let Some(dry) = self.dry {
            dry.lock().push(Preview::of(&request));
            return Ok((StatusCode::OK, preview::GOOD_ANSWER.to_owned()));
        }
        let response = self.client.send(request).await?;
        let status = response.status();
        let answer = response.text_start(bytes_max).await;
        if status.is_success() {
            return Ok((status, answer));
        }
        let reason = match status.as_u16() {
            401 | 403 => "authError",
            429 => "rateLimited",
            400..=499 => "clientError",
            500..=599 => "serverError",
            _ => "other",
        };
        let retry = status.is_server_error() || retried.contains(&status.as_u16());
        Err(NotifyError {
            retry,
            reason,
            message: format!("unexpected status code {}: {}", status.as_u16(), start_of(&answer)),
        })
    }
}

/// The body in an answer that [`Sender::post`] gave.
fn body_of(answer: &str) -> &str {
    answer.split_once(": ").map_or("", |(_, body)| body)
}

/// What an error shows of an answer.
fn start_of(answer: &str) -> &str {
    let end = answer.char_indices().nth(1024).map_or(answer.len(), |(at, _)| at);
    &answer[..end]
}

/// A URL with a path behind it, whether or not it ends with a slash.
fn join_url(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// Errors show URLs: takes a secret out.
fn hide<T>(outcome: Result<T, NotifyError>, secret: &str) -> Result<T, NotifyError> {
    outcome.map_err(|error| match secret {
        "" => error,
        secret => {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let message = error.message.replace(secret, "<secret>").replace(&encoded, "<secret>");
            NotifyError { message, ..error }
        }
    })
}

/// A text of at most so many bytes, its last character an ellipsis where it was cut.
fn cut_bytes(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// A secret's text. A file that can't be read may be there later.
async fn expose(source: &SecretSource) -> Result<String, NotifyError> {
    let source = source.clone();
    tokio::task::spawn_blocking(move || crate::config::expose(&source))
        .await
        .map_err(|error| NotifyError::passing(error.to_string()))?
        .map_err(|error| NotifyError::passing(format!("the secret's file cannot be read: {error}")))
}

/// A text of at most so many characters, the last an ellipsis where it was cut.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Sets a key where the text is not empty.
fn put(object: &mut serde_json::Value, key: &str, text: String) {
    if !text.is_empty() {
        object[key] = text.into();
    }
}

#[cfg(test)]
mod tests;
