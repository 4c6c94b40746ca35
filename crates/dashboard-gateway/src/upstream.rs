//! A server behind the gateway: one that speaks our gRPC, or any compatible one over HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use http_client::{ClientOptions, HttpClient, HttpClientConfig};
use parking_lot::Mutex;
use resources::RequestContext;
use service::{Failure, inject_context};
use sys::Clock;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use url::Url;

use crate::error::ApiError;

/// For how long a server that did not speak our gRPC is asked over HTTP only.
const HTTP_ONLY: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one gRPC message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What it is, for messages: "metrics server".
    role: &'static str,
    url: Url,
    http: HttpClient,
    /// None for https: the servers' own TLS is spoken over HTTP only.
    channel: Option<Channel>,
    clock: Arc<dyn Clock>,
    http_only_until: Mutex<Option<Duration>>,
}

impl Upstream {
    /// Connects to nothing yet. Must be called within a tokio runtime. Blocks shortly.
    pub(crate) fn new(role: &'static str, url: Url, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let config = HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() };
        let user_agent = format!("watchbell-gateway/{}", env!("CARGO_PKG_VERSION"));
        let http = HttpClient::new(config, ClientOptions { user_agent, ..ClientOptions::default() })
            .map_err(Failure::usage)?;
        let channel = if url.scheme() == "http" {
            let endpoint = Endpoint::from_shared(url.as_str().trim_end_matches('/').to_owned());
            let endpoint = endpoint
                .map_err(Failure::usage)?
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(30))
                .keep_alive_while_idle(false);
            Some(endpoint.connect_lazy())
        } else {
            None
        };
        Ok(Self(Arc::new(Inner { role, url, http, channel, clock, http_only_until: Mutex::default() })))
    }

    pub(crate) fn role(&self) -> &'static str {
        self.0.role
    }

    /// The URL without its password.
    pub(crate) fn shown_url(&self) -> String {
        config::mask_url_password(self.0.url.as_str()).trim_end_matches('/').to_owned()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0.url
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.0.http
    }

    /// The gRPC channel, unless the server is known to speak none.
    pub(crate) fn grpc(&self) -> Option<Channel> {
        let until = *self.0.http_only_until.lock();
        if until.is_some_and(|until| self.0.clock.monotonic() < until) {
            return None;
        }
        self.0.channel.clone()
    }

    /// Whether a first answer says that the server does not speak our gRPC; then HTTP is used for a while.
    pub(crate) fn speaks_no_grpc(&self, status: &Status) -> bool {
        // An error of the transport below: the server was not reached, or it does not speak HTTP/2 without TLS. Over HTTP the
        // former is seen again, with a better message.
        let transport = std::error::Error::source(status).is_some();
        let foreign = match status.code() {
            tonic::Code::Unimplemented => true,
            tonic::Code::DeadlineExceeded => false,
            // An answer that is not gRPC at all: tonic says so in the text alone.
            _ => transport || status.message().starts_with("grpc-status header missing"),
        };
        if foreign && status.code() != tonic::Code::Unavailable {
            *self.0.http_only_until.lock() = Some(self.0.clock.monotonic() + HTTP_ONLY);
        }
        foreign
    }

    /// A gRPC request in the name of `context`.
    pub(crate) fn request<T>(&self, context: &RequestContext, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        inject_context(context, request.metadata_mut().as_mut());
        self.add_authorization(request.metadata_mut().as_mut());
        if let Some(timeout) = context.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// The address of a path (with its query) of the server.
    pub(crate) fn address(&self, path_and_query: &str) -> Result<Url, ApiError> {
        let mut text = self.0.url.as_str().trim_end_matches('/').to_owned();
        text.push_str(path_and_query);
        let bad = |_| ApiError::bad_request("the path is not valid");
        let url = Url::parse(&text).map_err(bad)?;
        // Dots in a path must not lead out of the server's own prefix.
        let prefix = self.0.url.path().trim_end_matches('/');
        if url.origin() != self.0.url.origin() || !url.path().starts_with(prefix) {
            return Err(ApiError::bad_request("the path leads out of the data source"));
        }
        Ok(url)
    }

    /// Adds the credentials of the URL.
    pub(crate) fn add_authorization(&self, headers: &mut HeaderMap) {
        use base64::Engine as _;
        let Inner { url, .. } = &*self.0;
        let Some(password) = url.password() else { return };
        let pair = format!("{}:{}", percent_decode(url.username()), percent_decode(password));
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {encoded}")) {
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
    }

    /// The error of a server that does not answer.
    pub(crate) fn away(&self, error: &str) -> ApiError {
        let message = format!("{} at {} does not answer: {error}", self.0.role, self.shown_url());
        ApiError::new(StatusCode::BAD_GATEWAY, message)
    }
}

/// User names and passwords in URLs are percent-encoded.
fn percent_decode(text: &str) -> String {
    let pairs = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut decoded = url::form_urlencoded::parse(pairs.as_bytes());
    decoded.next().map_or(String::new(), |(_, value)| value.into_owned())
}
