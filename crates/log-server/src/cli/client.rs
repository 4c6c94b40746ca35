//! Asking a server.

use std::time::Duration;

use config::Secret;
use http_client::{
    BasicAuth, ClientOptions, HostAliases, HttpClient, HttpClientConfig, Method, Request, SecretSource, Url,
    header,
};
use serde_json::Value;
use service::Failure;

use super::ServerArgs;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

impl ServerArgs {
    /// The URL of an endpoint.
    pub(super) fn url(&self, path: &str, params: &[(&str, String)]) -> Result<Url, Failure> {
        let text = format!("{}{path}", self.addr.trim_end_matches('/'));
        let mut url =
            Url::parse(&text).map_err(|error| Failure::usage(format!("--addr {}: {error}", self.addr)))?;
        url.query_pairs_mut().extend_pairs(params);
        Ok(url)
    }

    /// The user and the password, where given.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        Some((self.username.as_deref()?, self.password.as_deref().unwrap_or("")))
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        self.org_id.as_deref()
    }

    /// The text of an endpoint's answer; an answer that is an error is one.
    pub(super) async fn get(&self, path: &str, params: &[(&str, String)]) -> Result<String, Failure> {
        self.send(Method::GET, path, params).await
    }

    /// The same by another method.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, String)],
    ) -> Result<String, Failure> {
        let mut config = HttpClientConfig::default();
        if let Some((user, password)) = self.credentials() {
            config.basic_auth = Some(BasicAuth {
                username: Some(SecretSource::Inline(Secret::new(user.to_owned()))),
                password: Some(SecretSource::Inline(Secret::new(password.to_owned()))),
            });
        }
        let options = ClientOptions {
            user_agent: format!("watchbell-logs/{}", env!("CARGO_PKG_VERSION")),
            gzip: true,
            aliases: HostAliases::default(),
        };
        let client = HttpClient::new(config, options).map_err(Failure::runtime)?;
        let mut request = Request::get(self.url(path, params)?, TIMEOUT);
        request.method = method;
        for (name, value) in self.headers()? {
            request.headers.insert(name, value);
        }
        let mut response = client.send(request).await.map_err(Failure::runtime)?;
        let status = response.status();
        let mut body = Vec::new();
        response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(Failure::runtime)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        Err(Failure::runtime(format!("{status}: {}", text.trim())))
    }

    /// The headers that each request has: the tenant, a token, tags.
    pub(super) fn headers(&self) -> Result<Vec<(header::HeaderName, header::HeaderValue)>, Failure> {
        let mut headers = Vec::new();
        let mut add = |name: header::HeaderName, value: &str, flag: &str| -> Result<(), Failure> {
            let value = header::HeaderValue::from_str(value)
                .map_err(|_| Failure::usage(format!("{flag} is no valid value of a header")))?;
            headers.push((name, value));
            Ok(())
        };
        if let Some(tenant) = self.tenant() {
            add(header::HeaderName::from_static("x-scope-orgid"), tenant, "--org-id")?;
        }
        if let Some(token) = self.token()? {
            add(header::AUTHORIZATION, &format!("Bearer {token}"), "--bearer-token")?;
        }
        if let Some(tags) = &self.query_tags {
            add(header::HeaderName::from_static("x-query-tags"), tags, "--query-tags")?;
        }
        for text in &self.header {
            let (name, value) = text
                .split_once(['=', ':'])
                .ok_or_else(|| Failure::usage(format!("--header {text}: NAME=VALUE is expected")))?;
            let name = header::HeaderName::from_bytes(name.trim().as_bytes())
                .map_err(|_| Failure::usage(format!("--header {text}: no valid name")))?;
            add(name, value.trim(), "--header")?;
        }
        Ok(headers)
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        match (&self.bearer_token, &self.bearer_token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                Ok(Some(text.trim().to_owned()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The same as JSON.
    pub(super) async fn get_json(
        &self,
        path: &str,
        params: &[(&str, String)],
    ) -> Result<(String, Value), Failure> {
        let text = self.get(path, params).await?;
        let value = serde_json::from_str(&text)
            .map_err(|error| Failure::runtime(format!("the answer is not JSON: {error}")))?;
        Ok((text, value))
    }
}
