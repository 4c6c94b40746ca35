//! The client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, StatusCode, Url};
use tokio::sync::Mutex;

use crate::aliases::HostAliases;
use crate::config::{HttpClientConfig, ProxyConfig, SecretSource, TlsClientConfig};
use crate::error::HttpClientError;
use crate::oauth2::TokenSource;
use crate::tls::{self, Materials};

const REDIRECTS_MAX: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// What a client is besides its block.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// The `User-Agent`.
    pub user_agent: String,
    /// Whether compressed answers are asked for and unpacked.
    pub gzip: bool,
    /// Other places for names.
    pub aliases: HostAliases,
}

/// A client made from a block. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HttpClientConfig,
    options: ClientOptions,
    /// Where all requests go, in place of their URL's host.
    socket: Option<PathBuf>,
    has_tls_files: bool,
    current: Mutex<Built>,
    token: Option<TokenSource>,
}

/// The client as built from the files' present texts.
#[derive(Clone, Debug)]
struct Built {
    materials: Materials,
    client: reqwest::Client,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers; authentication and the block's own headers are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Body>,
    /// How long the whole exchange may take, the answer's body included.
    pub timeout: Duration,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
    method: Method,
}

impl Request {
    /// A GET.
    pub fn get(url: Url, timeout: Duration) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, timeout }
    }

    /// A POST.
    pub fn post(url: Url, timeout: Duration, content_type: &'static str, body: impl Into<Body>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url, headers, body: Some(body.into()), timeout }
    }
}

impl HttpClient {
    /// Builds a client. Blocks, as it reads certificates.
    ///
    /// # Errors
    /// Where a file cannot be read or a certificate cannot be used.
    pub fn new(config: HttpClientConfig, options: ClientOptions) -> Result<Self, HttpClientError> {
        Self::build(config, options, None)
    }

    /// The same for a server that listens on a socket of this machine: whatever a request's URL says, it goes there.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn over_socket(
        config: HttpClientConfig,
        options: ClientOptions,
        socket: PathBuf,
    ) -> Result<Self, HttpClientError> {
        Self::build(config, options, Some(socket))
    }

    fn build(
        config: HttpClientConfig,
        options: ClientOptions,
        socket: Option<PathBuf>,
    ) -> Result<Self, HttpClientError> {
        let materials = tls::read_materials(&config.tls)?;
        let client = build((&config.tls, &config.proxy), &config, &options, &materials, socket.as_deref())?;
        let token = match &config.oauth2 {
            Some(oauth2) => {
                let materials = tls::read_materials(&oauth2.tls)?;
                let plain = HttpClientConfig::default();
                let client = build((&oauth2.tls, &oauth2.proxy), &plain, &options, &materials, None)?;
                Some(TokenSource::new((**oauth2).clone(), client))
            }
            None => None,
        };
        let has_tls_files = [&config.tls.ca, &config.tls.cert, &config.tls.key]
            .into_iter()
            .flatten()
            .any(SecretSource::is_file);
        let current = Mutex::new(Built { materials, client });
        Ok(Self(Arc::new(Inner { config, options, socket, has_tls_files, current, token })))
    }

    /// The block that the client was built from.
    pub fn config(&self) -> &HttpClientConfig {
        &self.0.config
    }

    /// Sends a request and waits for the answer's head.
    ///
    /// # Errors
    /// Where a file cannot be read, no token is given or no answer comes in time. Any status is an answer.
    pub async fn send(&self, request: Request) -> Result<Response, HttpClientError> {
        let client = self.current_client().await?;
        let Request { method, mut url, mut headers, body, timeout } = request;
        self.add_headers(&mut headers).await?;
        let shown = config::mask_url_password(url.as_str());
        self.0.options.aliases.apply(&mut url, &mut headers);
        let mut builder = client.request(method.clone(), url).headers(headers).timeout(timeout);
        if let Some(body) = body {
            builder = builder.body(body);
        }
        match builder.send().await {
            Ok(inner) => Ok(Response { inner, method }),
            Err(error) => Err(HttpClientError::Request {
                method: method.to_string(),
                url: shown,
                source: error.without_url(),
            }),
        }
    }

    /// The client, built anew where a certificate's file has changed.
    async fn current_client(&self) -> Result<reqwest::Client, HttpClientError> {
        if !self.0.has_tls_files {
            return Ok(self.0.current.lock().await.client.clone());
        }
        let inner = Arc::clone(&self.0);
        let before = self.0.current.lock().await.clone();
        let built = blocking(move || {
            let materials = tls::read_materials(&inner.config.tls)?;
            if materials == before.materials {
                return Ok(before);
            }
            let blocks = (&inner.config.tls, &inner.config.proxy);
            let client = build(blocks, &inner.config, &inner.options, &materials, inner.socket.as_deref())?;
            Ok(Built { materials, client })
        })
        .await?;
        let client = built.client.clone();
        *self.0.current.lock().await = built;
        Ok(client)
    }

    async fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), HttpClientError> {
        let config = &self.0.config;
        if let Some(authorization) = self.authorization().await? {
            let mut value = HeaderValue::from_str(authorization.expose())
                .map_err(|_| HttpClientError::Header { what: "authorization".to_owned() })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        for (name, values) in &config.headers {
            let invalid = || HttpClientError::Header { what: format!("http_headers {name}") };
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            let inline = values.values.iter().map(|value| Secret::new(value.as_str()));
            let mut all: Vec<Secret> = inline.chain(values.secrets.iter().cloned()).collect();
            for path in values.files.clone() {
                all.push(blocking(move || tls::read_file("http_headers files", &path)).await?);
            }
            for value in all {
                let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
                value.set_sensitive(true);
                headers.append(name.clone(), value);
            }
        }
        Ok(())
    }

    async fn authorization(&self) -> Result<Option<Secret>, HttpClientError> {
        let config = &self.0.config;
        if let Some(auth) = &config.basic_auth {
            let username = resolve("username_file", auth.username.as_ref()).await?.unwrap_or_default();
            let password = resolve("password_file", auth.password.as_ref()).await?.unwrap_or_default();
            let pair = STANDARD.encode(format!("{}:{}", username.expose(), password.expose()));
            return Ok(Some(Secret::new(format!("Basic {pair}"))));
        }
        if let Some(auth) = &config.authorization {
            let credentials = resolve("credentials_file", auth.credentials.as_ref()).await?;
            return Ok(credentials.map(|text| Secret::new(format!("{} {}", auth.scheme, text.expose()))));
        }
        let (Some(token), Some(oauth2)) = (&self.0.token, &config.oauth2) else {
            return Ok(None);
        };
        let secret = match &oauth2.jwt {
            Some(jwt) => resolve("client_certificate_key_file", Some(&jwt.key)).await?,
            None => resolve("client_secret_file", oauth2.client_secret.as_ref()).await?,
        };
        token.header(secret).await.map(Some)
    }
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header's value, where it is there and is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.inner.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The next part of the body, unpacked; `None` at its end.
    ///
    /// # Errors
    /// Where the connection breaks or the time is up.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]>>, HttpClientError> {
        self.inner.chunk().await.map_err(|error| HttpClientError::Request {
            method: self.method.to_string(),
            url: config::mask_url_password(self.inner.url().as_str()),
            source: error.without_url(),
        })
    }

    /// Appends the whole body, unpacked, to `out`.
    ///
    /// # Errors
    /// Where it has more than `limit` bytes, the connection breaks or the time is up.
    pub async fn read_body(&mut self, limit: u64, out: &mut Vec<u8>) -> Result<(), HttpClientError> {
        let start = out.len();
        while let Some(chunk) = self.chunk().await? {
            let chunk = chunk.as_ref();
            if (out.len() - start + chunk.len()) as u64 > limit {
                return Err(HttpClientError::BodyTooLarge { limit });
            }
            out.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// The start of the body as text, for an error's message.
    pub async fn text_start(mut self, bytes_max: usize) -> String {
        let mut out = Vec::new();
        while out.len() < bytes_max {
            match self.chunk().await {
                Ok(Some(chunk)) => out.extend_from_slice(chunk.as_ref()),
                _ => break,
            }
        }
        out.truncate(bytes_max);
        String::from_utf8_lossy(&out).trim().to_owned()
    }
}

async fn resolve(
    key: &'static str,
    source: Option<&SecretSource>,
) -> Result<Option<Secret>, HttpClientError> {
    match source {
        None => Ok(None),
        Some(SecretSource::Inline(secret)) => Ok(Some(secret.clone())),
        Some(SecretSource::File(path)) => {
            let path = path.clone();
            blocking(move || tls::read_file(key, &path)).await.map(Some)
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HttpClientError> + Send + 'static,
) -> Result<T, HttpClientError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(HttpClientError::Stopping))
}

fn build(
    (tls, proxy): (&TlsClientConfig, &ProxyConfig),
    config: &HttpClientConfig,
    options: &ClientOptions,
    materials: &Materials,
    socket: Option<&Path>,
) -> Result<reqwest::Client, HttpClientError> {
    let redirects = if config.follow_redirects {
        reqwest::redirect::Policy::limited(REDIRECTS_MAX)
    } else {
        reqwest::redirect::Policy::none()
    };
    let mut builder = reqwest::Client::builder()
        .use_preconfigured_tls(tls::client_config(tls, materials, config.enable_http2)?)
        .redirect(redirects)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .gzip(options.gzip)
        .user_agent(&options.user_agent);
    if !config.enable_http2 {
        builder = builder.http1_only();
    }
    if let Some(socket) = socket {
        builder = builder.unix_socket(socket);
    }
    if !proxy.from_environment || !proxy.connect_headers.is_empty() {
        builder = builder.no_proxy();
    }
    for proxy in proxies(proxy)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(HttpClientError::Build)
}

/// The proxies of a block. Those of the environment are given here only where they need headers: the client finds them itself.
fn proxies(config: &ProxyConfig) -> Result<Vec<reqwest::Proxy>, HttpClientError> {
    let mut headers = HeaderMap::new();
    for (name, values) in &config.connect_headers {
        let invalid = || HttpClientError::Header { what: format!("proxy_connect_header {name}") };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        for value in values {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
    let mut proxies = Vec::new();
    if let Some(url) = &config.url {
        let exceptions = config.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        let all = reqwest::Proxy::all(url.clone()).map_err(HttpClientError::Build)?;
        proxies.push(all.no_proxy(exceptions));
    } else if config.from_environment && !headers.is_empty() {
        let variable = |names: [&str; 2]| names.into_iter().find_map(|name| std::env::var(name).ok());
        if let Some(url) = variable(["HTTP_PROXY", "http_proxy"]).filter(|url| !url.is_empty()) {
            proxies.push(reqwest::Proxy::http(url).map_err(HttpClientError::Build)?);
        }
        if let Some(url) = variable(["HTTPS_PROXY", "https_proxy"]).filter(|url| !url.is_empty()) {
            proxies.push(reqwest::Proxy::https(url).map_err(HttpClientError::Build)?);
        }
        proxies = proxies.into_iter().map(|proxy| proxy.no_proxy(reqwest::NoProxy::from_env())).collect();
    }
    if !headers.is_empty() {
        proxies = proxies.into_iter().map(|proxy| proxy.headers(headers.clone())).collect();
    }
    Ok(proxies)
}

#[cfg(test)]
mod tests;
