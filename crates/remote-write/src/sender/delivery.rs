//! Requests, and what to do when they fail.

use std::time::Duration;

use http_client::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http_client::{HeaderMap, HeaderName, HeaderValue, HttpClient, Method, Request, StatusCode};
use model::MetricMetadata;
use tokio::sync::watch;

use super::Core;
use super::batch::{Batch, compress};
use crate::config::{ProtocolVersion, RemoteWriteConfig};
use crate::encode::encode_metadata_v1;

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];
/// How much of a refusal is shown.
const REASON_BYTES_MAX: usize = 1024;
/// A server that asks for longer pauses is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Sends to one server.
#[derive(Debug)]
pub(super) struct Delivery {
    client: HttpClient,
    config: RemoteWriteConfig,
}

/// How one attempt ended.
#[derive(Debug)]
enum Attempt {
    Done,
    /// The server took the request and says that it wrote nothing of it.
    NothingWritten,
    /// Worth another attempt, after this time where the server names one.
    Again(String, Option<Duration>),
    /// Another attempt would end alike.
    Refused(String),
}

impl Delivery {
    pub(super) fn new(client: HttpClient, config: RemoteWriteConfig) -> Self {
        Self { client, config }
    }

    /// Sends a batch, again and again where that may help; returns when it is sent or given up.
    pub(super) async fn deliver(&self, core: &Core, batch: Batch) {
        // Halves of refused batches, the first on top.
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            let may_repeat = batch.is_before(core.repeats_until);
            match self.deliver_one(core, batch).await {
                Ok(()) => {}
                // Part of it may be there already, newer than the rest: the rest is not to be lost with it.
                Err((batch, _)) if may_repeat && batch.len() == 1 => {
                    for (kind, count) in batch.kinds().into_iter().enumerate().filter(|(_, count)| *count > 0)
                    {
                        core.metrics.drop(kind, "sent_before", count);
                    }
                }
                Err((batch, _)) if may_repeat => {
                    let (first, second) = batch.split();
                    waiting.extend([second, first]);
                }
                Err((batch, reason)) => {
                    for (counter, count) in core.metrics.failed.iter().zip(batch.kinds()) {
                        counter.add(count);
                    }
                    tracing::error!(
                        remote = self.config.name,
                        reason,
                        samples = batch.len(),
                        "batch is given up"
                    );
                }
            }
        }
    }

    async fn deliver_one(&self, core: &Core, mut batch: Batch) -> Result<(), (Batch, String)> {
        let version = self.config.version;
        let mut backoff = self.config.queue.min_backoff;
        let mut attempts = 0u64;
        let mut body = None;
        loop {
            if self.drop_old(core, &mut batch) {
                body = None;
            }
            if batch.is_empty() {
                return Ok(());
            }
            let encoded: Vec<u8> = match body.take() {
                Some(encoded) => encoded,
                None => {
                    let encoding = batch.clone();
                    let encoded = tokio::task::spawn_blocking(move || encoding.encode(version)).await;
                    encoded.unwrap_or_default()
                }
            };
            let started = core.clock.monotonic();
            let attempt = self.attempt(encoded.clone(), version, attempts).await;
            let took = core.clock.monotonic().saturating_sub(started);
            core.metrics.sent_seconds.observe_duration(took);
            core.metrics.send_seconds_total.add_duration(took);
            match attempt {
                Attempt::Done => {
                    core.rates.note_sent(batch.len() as u64, took);
                    core.metrics.bytes.add(encoded.len() as u64);
                    for (counter, count) in core.metrics.total.iter().zip(batch.kinds()) {
                        counter.add(count);
                    }
                    core.metrics.highest_sent.set(batch.newest() as f64 / 1000.0);
                    return Ok(());
                }
                Attempt::NothingWritten => {
                    return Err((batch, "the server says that it wrote nothing".to_owned()));
                }
                Attempt::Refused(reason) => return Err((batch, reason)),
                Attempt::Again(reason, asked) => {
                    let pause = asked.unwrap_or(backoff);
                    if attempts == 0 {
                        tracing::warn!(remote = self.config.name, reason, "batch is tried again");
                    }
                    for (counter, count) in core.metrics.retried.iter().zip(batch.kinds()) {
                        counter.add(count);
                    }
                    tokio::time::sleep(pause).await;
                    backoff = (backoff * 2).min(self.config.queue.max_backoff);
                }
            }
            body = Some(encoded);
            attempts += 1;
        }
    }

    /// Whether anything was too old and is gone.
    fn drop_old(&self, core: &Core, batch: &mut Batch) -> bool {
        let limit = self.config.queue.sample_age_limit.as_millis() as i64;
        if limit == 0 {
            return false;
        }
        let dropped = batch.drop_before(core.clock.now_ms() - limit);
        for (kind, count) in dropped.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            core.metrics.drop(kind, "too_old", count);
        }
        dropped != [0; 3]
    }

    async fn attempt(&self, body: Vec<u8>, version: ProtocolVersion, attempts: u64) -> Attempt {
        let (content_type, number) = match version {
            ProtocolVersion::V1 => ("application/x-protobuf", "0.1.0"),
            ProtocolVersion::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.config.headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(VERSION, HeaderValue::from_static(number));
        if attempts > 0 {
            headers.insert(ATTEMPT, attempts.into());
        }
        let request = Request {
            method: Method::POST,
            url: self.config.url.clone(),
            headers,
            body: Some(body.into()),
            timeout: self.config.timeout,
        };
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(error) => return Attempt::Again(error.chain(), None),
        };
        let status = response.status();
        if status.is_success() {
            let is_written = version == ProtocolVersion::V1 || has_written(response.headers());
            return if is_written { Attempt::Done } else { Attempt::NothingWritten };
        }
        let asked = retry_after(response.headers());
        let reason =
            format!("server returned HTTP status {status}: {}", response.text_start(REASON_BYTES_MAX).await);
        let may_pass = status.is_server_error()
            || (status == StatusCode::TOO_MANY_REQUESTS && self.config.queue.retry_on_http_429);
        if may_pass { Attempt::Again(reason, asked) } else { Attempt::Refused(reason) }
    }

    /// Sends families once, with a few attempts; returns the bytes sent.
    pub(super) async fn send_metadata(
        &self,
        families: &[(String, MetricMetadata)],
        mut stop: watch::Receiver<bool>,
    ) -> Result<u64, String> {
        let body = compress(&encode_metadata_v1(families));
        let mut backoff = self.config.queue.min_backoff;
        for attempts in 0.. {
            match self.attempt(body.clone(), ProtocolVersion::V1, attempts).await {
                Attempt::Done => return Ok(body.len() as u64),
                Attempt::NothingWritten => return Err("nothing was written".to_owned()),
                Attempt::Refused(reason) => return Err(reason),
                Attempt::Again(reason, asked) => {
                    // The next round brings the same again, so there is no need to insist.
                    if attempts >= 3 {
                        return Err(reason);
                    }
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return Err(reason),
                        () = tokio::time::sleep(asked.unwrap_or(backoff)) => {}
                    }
                    backoff = (backoff * 2).min(self.config.queue.max_backoff);
                }
            }
        }
        Err("no attempt was made".to_owned())
    }
}

/// A server of 2.0 says what it has written; one that says nothing, or nothing but 0, did not understand.
fn has_written(headers: &HeaderMap) -> bool {
    let count = |name: &&str| headers.get(*name)?.to_str().ok()?.trim().parse::<u64>().ok();
    WRITTEN.iter().filter_map(count).any(|count| count > 0)
}

/// How long the server asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
