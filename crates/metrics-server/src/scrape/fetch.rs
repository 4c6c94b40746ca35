//! One request to a target.

use exposition::{Format, accept_header};
use http_client::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http_client::{HttpClient, HttpClientError, Request, StatusCode};
use model::ByteSize;
use service::{DecompressError, Encoding, decompress_gzip};

use super::append::{AppendEnv, Body};
use super::target::Target;
use crate::config::ScrapeConfig;

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The bound of a body where the job sets none.
const BODY_BYTES_MAX: u64 = 512 << 20;
const LIMIT_KEY: &str = "body_size_limit";

/// A body as it came.
#[derive(Debug)]
pub(crate) struct Fetched {
    bytes: Vec<u8>,
    format: Format,
    is_gzip: bool,
}

/// The headers of all requests to a target.
pub(crate) fn headers(config: &ScrapeConfig, target: &Target) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let encoding = if config.enable_compression { "gzip" } else { "identity" };
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    let accept = accept_header(&config.scrape.protocols, config.scrape.escaping);
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(ACCEPT, accept);
    }
    if let Ok(timeout) = HeaderValue::from_str(&target.timeout.as_secs_f64().to_string()) {
        headers.insert(TIMEOUT_HEADER, timeout);
    }
    headers
}

/// Fetches a target's body.
///
/// # Errors
/// What the target's page shows.
pub(crate) async fn fetch(
    client: &HttpClient,
    env: &AppendEnv,
    headers: &HeaderMap,
) -> Result<Fetched, String> {
    let (config, target) = (&env.config, &env.target);
    let mut request = Request::get(target.url.clone(), target.timeout);
    request.headers = headers.clone();
    let mut response = client.send(request).await.map_err(|error| error.chain())?;
    if response.status() != StatusCode::OK {
        return Err(format!("server returned HTTP status {}", response.status()));
    }
    let format = Format::from_content_type(response.header(CONTENT_TYPE), config.fallback_protocol)
        .map_err(|error| error.to_string())?;
    let encoding = response.header(CONTENT_ENCODING).unwrap_or_default();
    let is_gzip = match Encoding::from_header(encoding) {
        Some(Encoding::Identity) => false,
        Some(Encoding::Gzip) => true,
        _ => return Err(format!("body has content encoding {encoding:?}, which was not asked for")),
    };
    let mut bytes = env.buffers.take();
    match response.read_body(limit(config), &mut bytes).await {
        Ok(()) => Ok(Fetched { bytes, format, is_gzip }),
        Err(error @ HttpClientError::BodyTooLarge { .. }) => {
            env.metrics.exceeded_body.inc();
            Err(format!("{error} ({LIMIT_KEY})"))
        }
        Err(error) => Err(error.chain()),
    }
}

/// Expands a body. CPU work.
///
/// # Errors
/// Where it is not what it claims to be, or too large.
pub(crate) fn expand(env: &AppendEnv, fetched: Fetched) -> Result<Body, String> {
    let Fetched { bytes, format, is_gzip } = fetched;
    if !is_gzip {
        return Ok(Body { bytes, format });
    }
    let mut expanded = env.buffers.take();
    let outcome = decompress_gzip(&bytes, ByteSize(limit(&env.config)), LIMIT_KEY, &mut expanded);
    env.buffers.give_back(bytes);
    match outcome {
        Ok(()) => Ok(Body { bytes: expanded, format }),
        Err(error) => {
            if matches!(error, DecompressError::TooLarge { .. }) {
                env.metrics.exceeded_body.inc();
            }
            Err(error.to_string())
        }
    }
}

fn limit(config: &ScrapeConfig) -> u64 {
    match config.scrape.limits.body_size.0 {
        0 => BODY_BYTES_MAX,
        limit => limit,
    }
}
