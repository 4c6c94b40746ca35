//! The loop of one target: wait for its slot, fetch, store.

use std::sync::Arc;
use std::time::Duration;

use http_client::HttpClient;
use http_client::header::HeaderMap;
use model::{TimestampMs, format_duration_ms};
use sys::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::append::{AppendEnv, store_end, store_scrape};
use super::cache::SeriesCache;
use super::fetch::{expand, fetch, headers};
use super::manager::ScrapeOptions;
use super::schedule::{adjusted, next_slot};
use super::target::{Health, Status};

/// What a loop works with.
#[derive(Clone, Debug)]
pub(crate) struct TargetLoop {
    pub(crate) env: AppendEnv,
    pub(crate) client: HttpClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ScrapeOptions,
    /// The target is gone: its series become stale.
    pub(crate) gone: CancellationToken,
    /// The service stops: nothing becomes stale.
    pub(crate) stopping: CancellationToken,
}

impl TargetLoop {
    /// Scrapes until the target is gone or the service stops.
    pub(crate) async fn drive(self) {
        let target = Arc::clone(&self.env.target);
        let hash = target.hash() ^ self.options.offset_seed;
        let interval_label = format_duration_ms(target.interval.as_millis() as i64);
        let interval_length = self.env.metrics.interval_length.with(&[&interval_label]);
        let headers = headers(&self.env.config, &target);
        let mut cache = SeriesCache::default();
        let mut last: Option<Duration> = None;
        loop {
            let now = self.clock.now_ms();
            let slot = next_slot(now, target.interval, hash);
            let wait = Duration::from_millis((slot - now).max(0).unsigned_abs());
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.gone.cancelled() => break,
                () = tokio::time::sleep_until(Instant::now() + wait) => {}
            }
            let started = self.clock.monotonic();
            if let Some(last) = last {
                interval_length.observe_duration(started.saturating_sub(last));
            }
            last = Some(started);
            // The task is not cancelled in the middle of a scrape: its timeout bounds the wait.
            let Some(back) = self.scrape(cache, &headers, slot, started).await else { return };
            cache = back;
        }
        self.end(cache).await;
    }

    /// One scrape. The cache goes to a thread that may block, and back.
    async fn scrape(
        &self,
        mut cache: SeriesCache,
        headers: &HeaderMap,
        slot: TimestampMs,
        started: Duration,
    ) -> Option<SeriesCache> {
        let target = Arc::clone(&self.env.target);
        let now = self.clock.now_ms();
        self.env.metrics.delay.observe_duration(Duration::from_millis((now - slot).max(0).unsigned_abs()));
        let at = if self.options.adjust_timestamps {
            adjusted(now, slot, self.options.timestamp_tolerance_ms, target.interval)
        } else {
            now
        };
        let fetched = tokio::select! {
            () = self.stopping.cancelled() => return None,
            fetched = fetch(&self.client, &self.env, headers) => fetched,
        };
        let (env, clock) = (self.env.clone(), Arc::clone(&self.clock));
        let storing = tokio::task::spawn_blocking(move || {
            let took = || clock.monotonic().saturating_sub(started);
            let body = fetched.and_then(|fetched| expand(&env, fetched));
            let stored = body.as_ref().map_err(Clone::clone);
            let outcome = store_scrape(&env, &mut cache, stored, at, &took);
            let duration = took();
            env.metrics.duration.observe_duration(duration);
            if let Ok(body) = body {
                env.buffers.give_back(body.bytes);
            }
            let status = Status {
                health: if outcome.is_ok() { Health::Up } else { Health::Down },
                last_error: outcome.err().unwrap_or_default(),
                last_scrape: Some(at),
                last_duration: duration,
            };
            log_change(&env, &status);
            *env.target.status.lock() = status;
            cache
        });
        storing.await.ok()
    }

    /// Waits so long that a target with the same series could have taken over, then marks what is left as stale.
    async fn end(self, mut cache: SeriesCache) {
        let at = self.clock.now_ms() + self.env.target.interval.as_millis() as i64;
        tokio::select! {
            () = self.stopping.cancelled() => return,
            () = tokio::time::sleep(self.env.target.interval.mul_f64(2.1)) => {}
        }
        let env = self.env.clone();
        let storing = tokio::task::spawn_blocking(move || store_end(&env, &mut cache, at));
        if let Ok(Err(error)) = storing.await {
            tracing::warn!(error = %error, target = %self.env.target.url, "cannot mark a gone target's series as stale");
        }
    }
}

fn log_change(env: &AppendEnv, status: &Status) {
    let before = env.target.status.lock().health;
    if status.health == Health::Down && before != Health::Down {
        let (url, pool) = (&env.target.url, &env.target.pool);
        tracing::warn!(url = %url, pool, error = status.last_error, "scrape failed");
    }
}
