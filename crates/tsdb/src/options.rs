//! What a database can be told. Every default is Prometheus'.

use std::time::Duration;

use crate::{Error, Result};

/// When an appended batch is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Acknowledged once written to the kernel (survives a kill), synced within the interval by [`crate::Db::sync_if_due`].
    AfterWrite {
        /// The longest that a written batch stays unsynced.
        interval: Duration,
    },
    /// Acknowledged once synced (survives power loss).
    Always,
}

/// Bounds that protect the process. 0 means no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Series in the head.
    pub series_max: u64,
    /// Series of one metric name.
    pub series_per_metric_max: u64,
    /// Labels of a series.
    pub labels_max: usize,
    /// Bytes of a label's name.
    pub label_name_bytes_max: usize,
    /// Bytes of a label's value.
    pub label_value_bytes_max: usize,
}

/// What a database can be told. Durations are in milliseconds, sizes in bytes.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// Span of a block cut from the head.
    pub min_block_duration_ms: i64,
    /// Cap on the span of a compacted block; 0 for a tenth of the retention, at most 31 days.
    pub max_block_duration_ms: i64,
    /// Blocks that end so long before the newest sample are deleted; 0 keeps them.
    pub retention_ms: i64,
    /// Oldest blocks are deleted while all takes more than this; 0 for no bound.
    pub retention_bytes: u64,
    /// How far behind a series' newest sample a sample may be; 0 refuses such samples.
    pub out_of_order_window_ms: i64,
    /// When a batch is made durable.
    pub sync: SyncPolicy,
    /// Size of a WAL segment, a multiple of 32 KiB.
    pub wal_segment_bytes: u64,
    /// Whether WAL records are compressed with snappy.
    pub wal_compression: bool,
    /// The most exemplars kept; 0 keeps none.
    pub exemplars_max: usize,
    /// Size of a chunk file in a block.
    pub block_chunk_segment_bytes: u64,
    /// Samples that a chunk should hold.
    pub samples_per_chunk: u16,
    /// Whether overlapping blocks are merged.
    pub overlapping_compaction: bool,
    /// Whether to work without the lock file.
    pub no_lock_file: bool,
    /// Bounds.
    pub limits: Limits,
}

/// Two hours.
pub(crate) const DEFAULT_BLOCK_MS: i64 = 2 * 3_600_000;

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            min_block_duration_ms: DEFAULT_BLOCK_MS,
            max_block_duration_ms: 0,
            retention_ms: 15 * 24 * 3_600_000,
            retention_bytes: 0,
            out_of_order_window_ms: 0,
            sync: SyncPolicy::AfterWrite { interval: Duration::from_secs(1) },
            wal_segment_bytes: 128 << 20,
            wal_compression: true,
            exemplars_max: 100_000,
            block_chunk_segment_bytes: 512 << 20,
            samples_per_chunk: 120,
            overlapping_compaction: true,
            no_lock_file: false,
            limits: Limits::default(),
        }
    }
}

impl DbOptions {
    /// Refuses what cannot work.
    pub fn validate(&self) -> Result<()> {
        let fail = |option, reason: &str| Err(Error::InvalidOption { option, reason: reason.to_owned() });
        if self.min_block_duration_ms < 1000 {
            return fail("min_block_duration_ms", "must be at least one second");
        }
        if self.wal_segment_bytes < 32 << 10 || !self.wal_segment_bytes.is_multiple_of(32 << 10) {
            return fail("wal_segment_bytes", "must be a multiple of 32 KiB");
        }
        if self.block_chunk_segment_bytes < 1 << 20 {
            return fail("block_chunk_segment_bytes", "must be at least 1 MiB");
        }
        if self.samples_per_chunk < 4 || self.samples_per_chunk > 10_000 {
            return fail("samples_per_chunk", "must be between 4 and 10000");
        }
        if self.retention_ms < 0 || self.out_of_order_window_ms < 0 || self.max_block_duration_ms < 0 {
            return fail(
                "retention_ms, out_of_order_window_ms, max_block_duration_ms",
                "must not be negative",
            );
        }
        Ok(())
    }

    /// The cap on the span of a compacted block.
    pub(crate) fn max_block_ms(&self) -> i64 {
        const MONTH_MS: i64 = 31 * 24 * 3_600_000;
        let wanted = match (self.max_block_duration_ms, self.retention_ms) {
            (0, 0) => MONTH_MS,
            (0, retention) => (retention / 10).min(MONTH_MS),
            (set, _) => set,
        };
        wanted.max(self.min_block_duration_ms)
    }
}
