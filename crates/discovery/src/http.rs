//! `http_sd_configs`: a list of groups from an HTTP endpoint.

use std::pin::Pin;

use http_client::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http_client::{HttpClient, Request, StatusCode};

use crate::config::HttpConfig;
use crate::discoverer::{Discoverer, Updates};
use crate::metrics::Metrics;
use crate::target_group::TargetGroup;

const BODY_BYTES_MAX: u64 = 64 << 20;
const INTERVAL_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Targets from an HTTP endpoint.
#[derive(Debug)]
pub(crate) struct HttpDiscovery {
    config: HttpConfig,
    client: HttpClient,
    metrics: Metrics,
}

impl HttpDiscovery {
    pub(crate) fn new(config: HttpConfig, client: HttpClient, metrics: Metrics) -> Self {
        Self { config, client, metrics }
    }

    async fn drive(self, mut updates: Updates) {
        loop {
            match self.refresh().await {
                Ok(groups) => updates.set(groups),
                Err(error) => {
                    self.metrics.http_failures.inc();
                    self.metrics.refresh_failures.with(&["http"]).inc();
                    tracing::error!(url = %self.config.url, error = %error, "cannot refresh targets");
                }
            }
            tokio::select! {
                () = updates.stopped() => return,
                () = tokio::time::sleep(self.config.refresh_interval) => {}
            }
        }
    }

    async fn refresh(&self) -> Result<Vec<TargetGroup>, String> {
        let mut request = Request::get(self.config.url.clone(), self.config.refresh_interval);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(INTERVAL_HEADER, self.config.refresh_interval.as_secs().into());
        let mut response = self.client.send(request).await.map_err(|error| error.chain())?;
        if response.status() != StatusCode::OK {
            return Err(format!("server returned status {}", response.status()));
        }
        let content_type = response.header(CONTENT_TYPE).unwrap_or_default();
        if !content_type.to_ascii_lowercase().starts_with("application/json") {
            return Err(format!("unsupported content type {content_type:?}, application/json is needed"));
        }
        let mut body = Vec::new();
        response.read_body(BODY_BYTES_MAX, &mut body).await.map_err(|error| error.chain())?;
        let url = self.config.url.to_string();
        let parsing = tokio::task::spawn_blocking(move || {
            let text = String::from_utf8(body).map_err(|_| "answer is not UTF-8".to_owned())?;
            TargetGroup::read_list(&url, &text, ("__meta_url", &url)).map_err(|errors| errors.to_string())
        });
        parsing.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Discoverer for HttpDiscovery {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.drive(updates))
    }
}
