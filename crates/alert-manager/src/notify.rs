//! Telling somebody: one attempt by one integration.

use std::sync::Arc;
use std::time::Duration;

use go_template::{TemplateError, Value};
use http_client::{ClientOptions, HttpClient, HttpClientError, Request, SecretSource, Url};
use sha2::{Digest, Sha256};

use crate::config::{Integration, IntegrationKind};
use crate::data::Data;
use crate::templates::Templates;

mod discord;
mod email;
mod msteams;
mod pagerduty;
mod slack;
mod telegram;
mod webhook;

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Our name to others.
pub const USER_AGENT: &str = concat!("Alertmanager/", env!("CARGO_PKG_VERSION"));

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
}

impl Notifier {
    /// Makes one. Blocks, as it reads certificates.
    pub fn new(integration: &Integration, templates: &Arc<Templates>) -> Result<Self, HttpClientError> {
        let http = match &integration.kind {
            IntegrationKind::Webhook(config) => Some(&config.http),
            IntegrationKind::Slack(config) => Some(&config.http),
            IntegrationKind::Pagerduty(config) => Some(&config.http),
            IntegrationKind::Telegram(config) => Some(&config.http),
            IntegrationKind::Discord(config) => Some(&config.http),
            IntegrationKind::MsTeamsV2(config) => Some(&config.http),
            IntegrationKind::Email(_) => None,
        };
        let options = ClientOptions { user_agent: USER_AGENT.to_owned(), ..ClientOptions::default() };
        let client = http.map(|http| HttpClient::new(http.clone(), options)).transpose()?;
        Ok(Self { integration: integration.clone(), client, templates: Arc::clone(templates) })
    }

    /// The integration.
    pub fn integration(&self) -> &Integration {
        &self.integration
    }

    /// Tells; the answer is the provider's own words.
    pub async fn notify(&self, message: &Message) -> Result<String, NotifyError> {
        let render = Render { templates: &self.templates, data: message.data.to_value() };
        if let IntegrationKind::Email(config) = &self.integration.kind {
            return email::send(config, message, &render).await;
        }
        let Some(client) = &self.client else {
            return Err(NotifyError::permanent("this integration has no HTTP client"));
        };
        let sender = Sender { client, message, render };
        match &self.integration.kind {
            IntegrationKind::Webhook(config) => webhook::send(config, &sender).await,
            IntegrationKind::Slack(config) => slack::send(config, &sender).await,
            IntegrationKind::Pagerduty(config) => pagerduty::send(config, &sender).await,
            IntegrationKind::Telegram(config) => telegram::send(config, &sender).await,
            IntegrationKind::Discord(config) => discord::send(config, &sender).await,
            IntegrationKind::MsTeamsV2(config) => msteams::send(config, &sender).await,
            IntegrationKind::Email(_) => Err(NotifyError::permanent("mail does not go by HTTP")),
        }
    }
}

/// Templates with a message's data.
struct Render<'m> {
    templates: &'m Templates,
    data: Value,
}

impl Render<'_> {
    fn text(&self, text: &str) -> Result<String, TemplateError> {
        self.templates.text(text, &self.data)
    }

    fn html(&self, text: &str) -> Result<String, TemplateError> {
        self.templates.html(text, &self.data)
    }
}

/// What an integration over HTTP works with.
struct Sender<'m> {
    client: &'m HttpClient,
    message: &'m Message,
    render: Render<'m>,
}

impl Sender<'_> {
    fn text(&self, text: &str) -> Result<String, TemplateError> {
        self.render.text(text)
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
        body: &serde_json::Value,
        retried: &[u16],
        timeout: Option<Duration>,
    ) -> Result<String, NotifyError> {
        self.post_request(self.request(url, body, timeout)?, retried).await
    }

    fn request(
        &self,
        url: &str,
        body: &serde_json::Value,
        timeout: Option<Duration>,
    ) -> Result<Request, NotifyError> {
        let url = Url::parse(url)
            .map_err(|error| NotifyError::permanent(format!("the URL is not valid: {error}")))?;
        Ok(Request::post(url, self.timeout(timeout), "application/json", body.to_string()))
    }

    async fn post_request(&self, request: Request, retried: &[u16]) -> Result<String, NotifyError> {
        let response = self.client.send(request).await?;
        let status = response.status();
        let answer = response.text_start(ANSWER_BYTES_MAX).await;
        if status.is_success() {
            return Ok(format!("{status}: {answer}"));
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
            message: format!("unexpected status code {}: {answer}", status.as_u16()),
        })
    }
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
