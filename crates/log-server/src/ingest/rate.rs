//! How fast a tenant, and each of its streams, may send.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use log_storage_api::BatchEntry;
use model::{Labels, TenantId};
use parking_lot::Mutex;

use super::entry_bytes;
use crate::config::{Limits, StreamRate};

/// So many streams are remembered; those that have been quiet long enough go first.
const STREAMS_MAX: usize = 100_000;

/// Buckets of bytes: one per tenant and, where streams are bounded by themselves, one per stream, each filled at its rate up
/// to its burst.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    tenants: Mutex<HashMap<TenantId, Bucket>>,
    streams: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    bytes: f64,
    at: Duration,
}

impl Bucket {
    fn full(rate: StreamRate, now: Duration) -> Self {
        Self { bytes: rate.burst_bytes, at: now }
    }

    fn fill(&mut self, rate: StreamRate, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.bytes = (self.bytes + passed * rate.bytes).min(rate.burst_bytes);
        self.at = now;
    }

    /// Takes `bytes` if they are there. What is larger than the burst is let through from a full bucket: it could never be
    /// sent otherwise.
    fn take(&mut self, rate: StreamRate, bytes: u64) -> bool {
        let fits = self.bytes >= bytes as f64 || self.bytes >= rate.burst_bytes;
        if fits {
            self.bytes -= bytes as f64;
        }
        fits
    }
}

impl RateLimiter {
    /// Takes the bytes of a push if they are there at `now` (of the monotonic clock).
    pub(crate) fn take(&self, tenant: &TenantId, limits: &Limits, bytes: u64, now: Duration) -> bool {
        if limits.ingestion_rate_bytes <= 0.0 {
            return true;
        }
        let rate =
            StreamRate { bytes: limits.ingestion_rate_bytes, burst_bytes: limits.ingestion_burst_bytes };
        let mut tenants = self.tenants.lock();
        let bucket = tenants.entry(tenant.clone()).or_insert_with(|| Bucket::full(rate, now));
        bucket.fill(rate, now);
        bucket.take(rate, bytes)
    }

    /// Takes out of `entries` those that come faster than their stream may, and returns how many and how large they were.
    pub(crate) fn thin_out(
        &self,
        tenant: &TenantId,
        labels: &Labels,
        rate: StreamRate,
        entries: &mut Vec<BatchEntry<'_>>,
        now: Duration,
    ) -> (u64, u64) {
        let mut hasher = DefaultHasher::new();
        (tenant, labels).hash(&mut hasher);
        let mut streams = self.streams.lock();
        if streams.len() >= STREAMS_MAX {
            streams.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.bytes < rate.burst_bytes
            });
        }
        let bucket = streams.entry(hasher.finish()).or_insert_with(|| Bucket::full(rate, now));
        bucket.fill(rate, now);
        let (mut count, mut bytes) = (0, 0);
        entries.retain(|entry| {
            let size = entry_bytes(entry);
            let fits = bucket.take(rate, size);
            if !fits {
                count += 1;
                bytes += size;
            }
            fits
        });
        (count, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_at_its_rate() {
        let limits =
            Limits { ingestion_rate_bytes: 100.0, ingestion_burst_bytes: 200.0, ..Limits::default() };
        let rates = RateLimiter::default();
        let tenant = TenantId::anonymous();
        let take = |bytes, seconds| rates.take(&tenant, &limits, bytes, Duration::from_secs(seconds));
        assert!(take(150, 0) && !take(100, 0) && take(50, 0) && !take(1, 0));
        assert!(take(100, 1) && !take(100, 1));
        // Larger than the burst: once, and then paid for.
        assert!(take(500, 10) && !take(1, 12) && take(1, 14));
    }
    #[test]
    fn streams_are_bounded_by_themselves() {
        let rates = RateLimiter::default();
        let rate = StreamRate { bytes: 10.0, burst_bytes: 20.0 };
        let send = |app: &str, lengths: &[usize], seconds| {
            let line = |len: &usize| BatchEntry { line: "x".repeat(*len).into(), ..BatchEntry::default() };
            let mut entries: Vec<_> = lengths.iter().map(line).collect();
            let labels = Labels::from_pairs([("app", app)]);
            let now = Duration::from_secs(seconds);
            let refused = rates.thin_out(&TenantId::anonymous(), &labels, rate, &mut entries, now);
            (entries.iter().map(|entry| entry.line.len()).collect::<Vec<_>>(), refused)
        };
        assert_eq!(send("a", &[15, 10, 5], 0), (vec![15, 5], (1, 10)));
        assert_eq!(send("b", &[10], 0), (vec![10], (0, 0)));
        assert_eq!(send("a", &[10, 1], 1), (vec![10], (1, 1)));
    }
}
