//! How fast a tenant may send.

use std::collections::HashMap;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;

use crate::config::Limits;

/// A bucket of bytes per tenant, filled at the tenant's rate up to its burst.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    bytes: f64,
    at: Duration,
}

impl RateLimiter {
    /// Takes `bytes` if they are there at `now` (of the monotonic clock). A single push larger than the burst is let
    /// through from a full bucket: it could never be sent otherwise.
    pub(crate) fn take(&self, tenant: &TenantId, limits: &Limits, bytes: u64, now: Duration) -> bool {
        if limits.ingestion_rate_bytes <= 0.0 {
            return true;
        }
        let burst = limits.ingestion_burst_bytes;
        let mut buckets = self.buckets.lock();
        let bucket = buckets.entry(tenant.clone()).or_insert(Bucket { bytes: burst, at: now });
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.bytes = (bucket.bytes + passed * limits.ingestion_rate_bytes).min(burst);
        bucket.at = now;
        let fits = bucket.bytes >= bytes as f64 || bucket.bytes >= burst;
        if fits {
            bucket.bytes -= bytes as f64;
        }
        fits
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
}
