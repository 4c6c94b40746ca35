//! Tokens by OAuth2, for client credentials or for an assertion, kept until shortly before they expire.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use config::Secret;
use reqwest::StatusCode;
use serde::Deserialize;
use sys::{Clock, SystemClock};
use tokio::sync::Mutex;

use crate::config::{JwtConfig, OAuth2Config};
use crate::error::HttpClientError;
use crate::jwt::Assertion;

/// How long before its end a token is no longer used.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The most bytes of a token server's answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Gets and keeps the token of one configuration.
#[derive(Debug)]
pub(crate) struct TokenSource {
    config: OAuth2Config,
    client: reqwest::Client,
    token: Mutex<Option<Token>>,
    /// How many assertions were made.
    asked: AtomicU64,
}

#[derive(Debug)]
struct Token {
    /// With which secret or key it was asked for: a new one means a new token.
    client_secret: Option<Secret>,
    header: Secret,
    expires: Option<Instant>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: Option<f64>,
}

impl TokenSource {
    pub(crate) fn new(config: OAuth2Config, client: reqwest::Client) -> Self {
        Self { config, client, token: Mutex::new(None), asked: AtomicU64::new(0) }
    }

    /// The value of the `Authorization` header.
    pub(crate) async fn header(&self, client_secret: Option<Secret>) -> Result<Secret, HttpClientError> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref()
            && token.client_secret == client_secret
            && token.expires.is_none_or(|expires| Instant::now() + EXPIRY_MARGIN < expires)
        {
            return Ok(token.header.clone());
        }
        let answer = self.ask(client_secret.as_ref()).await?;
        let scheme = match answer.token_type.as_str() {
            "" => "Bearer",
            kind if kind.eq_ignore_ascii_case("bearer") => "Bearer",
            kind => kind,
        };
        let header = Secret::new(format!("{scheme} {}", answer.access_token));
        let expires = answer
            .expires_in
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|left| !left.is_zero())
            .and_then(|left| Instant::now().checked_add(left));
        *held = Some(Token { client_secret, header: header.clone(), expires });
        Ok(header)
    }

    /// Asks with the credentials in a header, and once more with them in the form, as some servers want it.
    async fn ask(&self, client_secret: Option<&Secret>) -> Result<Answer, HttpClientError> {
        if let Some(jwt) = &self.config.jwt {
            let (status, body) = self.send(self.assertion_form(jwt, client_secret)?, None).await?;
            return self.answer(status, &body);
        }
        let (status, body) = self.post(client_secret, true).await?;
        let (status, body) =
            if status.is_success() { (status, body) } else { self.post(client_secret, false).await? };
        self.answer(status, &body)
    }

    fn answer(&self, status: StatusCode, body: &[u8]) -> Result<Answer, HttpClientError> {
        if !status.is_success() {
            return Err(self.error(format!("status {status}")));
        }
        serde_json::from_slice(body).map_err(|error| self.error(format!("answer is not a token: {error}")))
    }

    /// The form with an assertion signed by `key`.
    fn assertion_form(&self, jwt: &JwtConfig, key: Option<&Secret>) -> Result<String, HttpClientError> {
        let key = key.ok_or_else(|| self.error("no client_certificate_key".to_owned()))?;
        let config = &self.config;
        let assertion = Assertion {
            algorithm: jwt.algorithm,
            key_id: jwt.key_id.as_deref(),
            issuer: jwt.issuer.as_deref().unwrap_or(&config.client_id),
            subject: &config.client_id,
            audience: jwt.audience.as_deref().unwrap_or(config.token_url.as_str()),
            scopes: &config.scopes,
            claims: &jwt.claims,
        };
        let now_ms = SystemClock::new().now_ms();
        let id = format!("{now_ms:x}-{}", self.asked.fetch_add(1, Ordering::Relaxed));
        let signed = assertion.sign(key, &id, now_ms / 1000)?;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", JWT_GRANT).append_pair("assertion", &signed);
        for (name, value) in &config.endpoint_params {
            form.append_pair(name, value);
        }
        Ok(form.finish())
    }

    async fn post(
        &self,
        client_secret: Option<&Secret>,
        in_header: bool,
    ) -> Result<(StatusCode, Vec<u8>), HttpClientError> {
        let secret = client_secret.map_or("", Secret::expose);
        let form = self.form(secret, in_header);
        self.send(form, in_header.then_some(secret)).await
    }

    /// Posts a form; with a secret, client id and secret go along in a header.
    async fn send(
        &self,
        form: String,
        secret: Option<&str>,
    ) -> Result<(StatusCode, Vec<u8>), HttpClientError> {
        let mut request = self
            .client
            .post(self.config.token_url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        if let Some(secret) = secret {
            request = request.basic_auth(&self.config.client_id, Some(secret));
        }
        let mut response =
            request.send().await.map_err(|error| self.error(error.without_url().to_string()))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.error(error.to_string()))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(self.error("answer is too large".to_owned()));
            }
        }
        Ok((response.status(), body))
    }

    fn form(&self, secret: &str, in_header: bool) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.config.scopes.is_empty() {
            form.append_pair("scope", &self.config.scopes.join(" "));
        }
        for (name, value) in &self.config.endpoint_params {
            form.append_pair(name, value);
        }
        if !in_header {
            form.append_pair("client_id", &self.config.client_id).append_pair("client_secret", secret);
        }
        form.finish()
    }

    fn error(&self, reason: String) -> HttpClientError {
        HttpClientError::Token { url: self.config.token_url.to_string(), reason }
    }
}
