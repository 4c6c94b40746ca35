//! A client of the running server.

use std::time::Duration;

use http_client::{ClientOptions, HttpClient, HttpClientConfig, Method, Request, Url};
use serde_json::Value;
use service::Failure;

use super::Remote;

const ANSWER_BYTES_MAX: u64 = 256 << 20;

pub(super) struct Client {
    http: HttpClient,
    base: Url,
    timeout: Duration,
}

impl Client {
    /// A client of Alertmanager's API.
    pub(super) fn new(remote: &Remote) -> Result<Self, Failure> {
        Self::below(remote, "/api/v2")
    }

    /// A client of what we have beside it.
    pub(super) fn own(remote: &Remote) -> Result<Self, Failure> {
        Self::below(remote, "/api/watchbell/v1")
    }

    fn below(remote: &Remote, path: &str) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("--alertmanager.url {}: {error}", remote.url))
        };
        let mut base = Url::parse(&remote.url).map_err(|error| bad(&error))?;
        let path = format!("{}{path}", base.path().trim_end_matches('/'));
        base.set_path(&path);
        let mut config = HttpClientConfig::default();
        if !base.username().is_empty() {
            config.basic_auth = Some(http_client::BasicAuth {
                username: Some(http_client::SecretSource::Inline(config::Secret::new(base.username()))),
                password: Some(http_client::SecretSource::Inline(config::Secret::new(
                    base.password().unwrap_or_default(),
                ))),
            });
            base.set_username("")
                .and_then(|()| base.set_password(None))
                .map_err(|()| bad(&"the user cannot be set"))?;
        }
        let options = ClientOptions {
            user_agent: crate::notify::USER_AGENT.to_owned(),
            gzip: true,
            ..ClientOptions::default()
        };
        let http = HttpClient::new(config, options).map_err(Failure::runtime)?;
        Ok(Self { http, base, timeout: Duration::from_secs(remote.timeout) })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Request::get(url, self.timeout)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Request::post(self.url(path), self.timeout, "application/json", body.to_string())).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        let mut request = Request::get(self.url(path), self.timeout);
        request.method = Method::DELETE;
        self.send(request).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    async fn send(&self, request: Request) -> Result<Value, Failure> {
        let mut response = self.http.send(request).await.map_err(|error| Failure::runtime(error.chain()))?;
        let status = response.status();
        let mut body = Vec::new();
        response
            .read_body(ANSWER_BYTES_MAX, &mut body)
            .await
            .map_err(|error| Failure::runtime(error.chain()))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let said = said.as_str().or_else(|| said["message"].as_str()).unwrap_or(text.trim());
            return Err(Failure::runtime(format!("the server answered {status}: {said}")));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|error| Failure::runtime(format!("the server's answer is no JSON: {error}")))
    }
}
