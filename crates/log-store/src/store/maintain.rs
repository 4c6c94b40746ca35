//! What a service drives in the background.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::DiskLogStore;
use crate::error::Result;

/// State of the background work; one thread at a time does it.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    /// When freed memory was last given back, on the monotonic clock.
    released: Duration,
}

/// How often freed memory is given back: what queries have taken.
const RELEASE_EVERY: Duration = Duration::from_secs(10);

/// What a round of background work has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintainReport {
    /// Whether entries were moved from memory into segments.
    pub flushed: bool,
    /// Segments that merges have replaced.
    pub segments_merged: u64,
    /// Segments deleted because their time was over.
    pub segments_expired: u64,
    /// Segments rewritten without entries that were deleted or whose time was over.
    pub segments_rewritten: u64,
    /// Whether there is more to do at once.
    pub more: bool,
}

impl DiskLogStore {
    /// Does what is due, in bounded steps: encodes full streams, flushes by age and size, merges one group of segments, removes
    /// what retention and deletions ask for. To be called every few seconds, and again at once while `more` is set, on a
    /// thread that may block. Appends and scans go on meanwhile.
    pub fn maintain(&self) -> Result<MaintainReport> {
        let mut maintenance = self.maintenance.lock();
        let mut report = MaintainReport::default();
        // First what frees space, so that a full disk cannot keep itself full. One step's failure does not stop the others.
        let expired = self.expire(&mut report).and(self.shrink(&mut report));
        let flushed = self.maintain_memory().map(|flushed| report.flushed = flushed);
        let deleted = self.delete_step(&mut report);
        let merged = self.merge_step(&mut report);
        for tenant in self.all_tenants() {
            tenant.registry.collect_garbage();
        }
        let now = self.clock.monotonic();
        if now.saturating_sub(maintenance.released) >= RELEASE_EVERY {
            maintenance.released = now;
            sys::release_free_memory();
        }
        expired.and(flushed).and(deleted).and(merged).map(|()| report)
    }

    /// The part of [`DiskLogStore::maintain`] that keeps memory within its bounds: encodes and flushes what is due; whether it
    /// flushed. To be called several times a second, on another thread than `maintain`, whose merges take longer than pushes
    /// can wait.
    pub fn maintain_memory(&self) -> Result<bool> {
        let mut job = self.flush_job.lock();
        self.encode_full_streams();
        self.relieve();
        let rested = self.encode_idle();
        let is_due = self.flush_is_due() || job.is_some();
        let flushed = if is_due { self.flush_locked(&mut job) } else { Ok(()) };
        if is_due || rested {
            sys::release_free_memory();
        }
        flushed.map(|()| is_due)
    }

    fn flush_is_due(&self) -> bool {
        let wal_bytes = self.wal.stats().segment_bytes;
        if self.memory_bytes.load(Ordering::Relaxed) >= self.options.flush_bytes
            || wal_bytes >= self.options.wal_bytes_max
        {
            return true;
        }
        let oldest = Duration::from_nanos(self.oldest_arrival_ns.load(Ordering::Relaxed));
        self.clock.monotonic().saturating_sub(oldest) >= self.options.flush_age
    }
}
