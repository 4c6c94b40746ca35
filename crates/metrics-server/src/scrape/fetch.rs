//! One request to a target.

use exposition::{Format, accept_header};
use http_client::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http_client::{HttpClient, HttpClientError, Request, StatusCode};

use super::append::Body;
use super::metrics::Metrics;
use super::target::Target;
use crate::config::ScrapeConfig;

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The bound of a body where the job sets none.
const BODY_BYTES_MAX: u64 = 512 << 20;

/// Fetches a target's body into `bytes`, which is emptied first.
///
/// # Errors
/// What the target's page shows.
pub(crate) async fn fetch(
    client: &HttpClient,
    config: &ScrapeConfig,
    target: &Target,
    metrics: &Metrics,
    mut bytes: Vec<u8>,
) -> Result<Body, String> {
    bytes.clear();
    let mut request = Request::get(target.url.clone(), target.timeout);
    let accept = accept_header(&config.scrape.protocols, config.scrape.escaping);
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        request.headers.insert(ACCEPT, accept);
    }
    if let Ok(timeout) = HeaderValue::from_str(&target.timeout.as_secs_f64().to_string()) {
        request.headers.insert(TIMEOUT_HEADER, timeout);
    }
    let mut response = client.send(request).await.map_err(|error| error.chain())?;
    if response.status() != StatusCode::OK {
        return Err(format!("server returned HTTP status {}", response.status()));
    }
    let format = Format::from_content_type(response.header(CONTENT_TYPE), config.fallback_protocol)
        .map_err(|error| error.to_string())?;
    let limit = config.scrape.limits.body_size.0;
    let limit = if limit == 0 { BODY_BYTES_MAX } else { limit };
    match response.read_body(limit, &mut bytes).await {
        Ok(()) => Ok(Body { bytes, format }),
        Err(error @ HttpClientError::BodyTooLarge { .. }) => {
            metrics.exceeded_body.inc();
            Err(format!("{error} (body_size_limit)"))
        }
        Err(error) => Err(error.chain()),
    }
}
