//! Who asks AWS: from the environment, or from the role of the machine that this runs on.

use std::time::Duration;

use ::config::Secret;
use http_client::{HeaderMap, HeaderName, HeaderValue, HttpClient, Method, Request, Url};

const BASE: &str = "http://169.254.169.254";
const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// A key with its secret, and a token where it is only for a time.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) secret: Secret,
    pub(super) token: Option<Secret>,
}

impl Credentials {
    pub(super) fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Some(Self {
            key: variable("AWS_ACCESS_KEY_ID")?,
            secret: Secret::new(variable("AWS_SECRET_ACCESS_KEY")?),
            token: variable("AWS_SESSION_TOKEN").map(Secret::new),
        })
    }
}

/// What an instance of AWS can ask about itself.
#[derive(Debug)]
pub(super) struct MetadataService {
    client: HttpClient,
}

impl MetadataService {
    pub(super) fn new(client: HttpClient) -> Self {
        Self { client }
    }

    /// The region of this machine.
    pub(super) async fn region(&self) -> Result<String, String> {
        let region = self.get("/latest/meta-data/placement/region").await;
        region.map_err(|error| format!("EC2 SD configuration requires a region: {error}"))
    }

    /// What the role of this machine may use at present.
    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        let base = "/latest/meta-data/iam/security-credentials/";
        let failed =
            |error: String| format!("no credentials for AWS are configured, and no role has any: {error}");
        let role = self.get(base).await.map_err(failed)?;
        let answer =
            self.get(&format!("{base}{}", role.lines().next().unwrap_or_default())).await.map_err(failed)?;
        let answer: serde_json::Value =
            serde_json::from_str(&answer).map_err(|error| failed(error.to_string()))?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        match (text("AccessKeyId"), text("SecretAccessKey")) {
            (Some(key), Some(secret)) => {
                Ok(Credentials { key, secret: Secret::new(secret), token: text("Token").map(Secret::new) })
            }
            _ => Err(failed("the role's answer has no key".to_owned())),
        }
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
            HeaderValue::from_static("60"),
        );
        let token = self.send(Method::PUT, "/latest/api/token", headers).await?;
        let mut headers = HeaderMap::new();
        let token = HeaderValue::from_str(token.trim()).map_err(|error| error.to_string())?;
        headers.insert(HeaderName::from_static("x-aws-ec2-metadata-token"), token);
        self.send(Method::GET, path, headers).await
    }

    async fn send(&self, method: Method, path: &str, headers: HeaderMap) -> Result<String, String> {
        let url = Url::parse(&format!("{BASE}{path}")).map_err(|error| error.to_string())?;
        let request = Request { method, url, headers, body: None, timeout: TIMEOUT };
        let mut response = self.client.send(request).await.map_err(|error| error.chain())?;
        if !response.status().is_success() {
            return Err(format!("{path}: status {}", response.status()));
        }
        let mut body = Vec::new();
        response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(|error| error.chain())?;
        Ok(String::from_utf8_lossy(&body).trim().to_owned())
    }
}
