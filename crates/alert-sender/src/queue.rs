//! The queue of one Alertmanager and the task that empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_client::{HttpClient, Request, Url};
use telemetry::{Counter, Gauge, Histogram};
use tokio::sync::Notify;
use wire::PostableAlert;

use crate::metrics::Metrics;

/// How much of an error's body is logged.
const ERROR_BODY_BYTES_MAX: usize = 512;

/// Alerts that wait for one Alertmanager.
#[derive(Debug)]
pub(crate) struct Queue {
    url: Url,
    capacity: usize,
    waiting: Mutex<Waiting>,
    changed: Notify,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Waiting {
    alerts: VecDeque<PostableAlert>,
    /// Set when the task is to end: at once, or when the queue is empty.
    end: Option<End>,
}

/// How a queue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Now,
    WhenEmpty,
}

#[derive(Debug)]
struct Counts {
    latency: Histogram,
    errors: Counter,
    sent: Counter,
    dropped: Counter,
    length: Gauge,
}

impl Queue {
    pub(crate) fn new(url: Url, capacity: usize, metrics: &Metrics) -> Self {
        let labels = &[url.as_str()];
        let counts = Counts {
            latency: metrics.latency.with(labels),
            errors: metrics.errors.with(labels),
            sent: metrics.sent.with(labels),
            dropped: metrics.dropped.with(labels),
            length: metrics.queue_length.with(labels),
        };
        Self { url, capacity, waiting: Mutex::default(), changed: Notify::new(), counts }
    }

    /// Adds alerts; the oldest make room.
    pub(crate) fn push(&self, alerts: impl IntoIterator<Item = PostableAlert>) {
        let mut waiting = self.waiting();
        waiting.alerts.extend(alerts);
        let over = waiting.alerts.len().saturating_sub(self.capacity);
        if over > 0 {
            waiting.alerts.drain(..over);
            self.counts.dropped.add(over as u64);
            tracing::warn!(alertmanager = %self.url, dropped = over, "alert queue is full, oldest alerts dropped");
        }
        self.counts.length.set(waiting.alerts.len() as f64);
        drop(waiting);
        self.changed.notify_one();
    }

    pub(crate) fn end(&self, end: End) {
        self.waiting().end = Some(end);
        self.changed.notify_one();
    }

    /// Sends batches until the queue is ended.
    pub(crate) async fn drive(self: Arc<Self>, client: HttpClient, timeout: Duration, batch_max: usize) {
        loop {
            let changed = self.changed.notified();
            let (batch, end) = self.take(batch_max);
            match (batch.is_empty(), end) {
                (_, Some(End::Now)) | (true, Some(End::WhenEmpty)) => return,
                (true, None) => changed.await,
                (false, _) => self.send(&client, timeout, batch).await,
            }
        }
    }

    async fn send(&self, client: &HttpClient, timeout: Duration, batch: Vec<PostableAlert>) {
        let count = batch.len() as u64;
        let started = Instant::now();
        let result = self.post(client, timeout, &batch).await;
        self.counts.latency.observe_duration(started.elapsed());
        match result {
            Ok(()) => self.counts.sent.add(count),
            Err(error) => {
                self.counts.errors.add(count);
                self.counts.dropped.add(count);
                tracing::error!(alertmanager = %self.url, alerts = count, error = %error, "cannot send alerts");
            }
        }
    }

    async fn post(
        &self,
        client: &HttpClient,
        timeout: Duration,
        batch: &[PostableAlert],
    ) -> Result<(), String> {
        let body = serde_json::to_vec(batch).map_err(|error| error.to_string())?;
        let request = Request::post(self.url.clone(), timeout, "application/json", body);
        let response = client.send(request).await.map_err(|error| error.chain())?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("status {status}: {}", response.text_start(ERROR_BODY_BYTES_MAX).await))
    }

    fn take(&self, batch_max: usize) -> (Vec<PostableAlert>, Option<End>) {
        let mut waiting = self.waiting();
        if waiting.end == Some(End::Now) {
            self.counts.dropped.add(waiting.alerts.len() as u64);
            waiting.alerts.clear();
        }
        let count = waiting.alerts.len().min(batch_max);
        let batch = waiting.alerts.drain(..count).collect();
        self.counts.length.set(waiting.alerts.len() as f64);
        (batch, waiting.end)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change of the queue is complete when the lock is given up, even by a panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
