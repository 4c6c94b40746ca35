//! JSON answers of other systems' APIs.

use std::time::Duration;

use http_client::header::ACCEPT;
use http_client::{HeaderMap, HeaderValue, HttpClient, Request, Response, Url};
use serde_json::Value;

const BODY_BYTES_MAX: u64 = 256 << 20;
const REASON_BYTES_MAX: usize = 512;

/// A server to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) client: HttpClient,
    pub(crate) base: Url,
    pub(crate) headers: HeaderMap,
}

impl Api {
    /// Asks and reads the whole answer; its headers come with it.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<(Value, HeaderMap), String> {
        let mut response = self.open(path, query, timeout).await?;
        let mut body = Vec::new();
        response.read_body(BODY_BYTES_MAX, &mut body).await.map_err(|error| error.chain())?;
        let headers = response.headers().clone();
        let parsing = tokio::task::spawn_blocking(move || serde_json::from_slice(&body));
        match parsing.await {
            Ok(Ok(value)) => Ok((value, headers)),
            Ok(Err(error)) => Err(format!("{path}: {error}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Asks; the body is still to be read.
    pub(crate) async fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Response, String> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::get(url, timeout);
        request.headers = self.headers.clone();
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.client.send(request).await.map_err(|error| error.chain())?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(format!("{path}: status {status}: {}", response.text_start(REASON_BYTES_MAX).await))
    }
}
