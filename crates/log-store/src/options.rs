//! Settings of a store and limits of its tenants.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use go_regex::CompiledMatcher;
use model::TenantId;
use wal::WalOptions;

/// Settings of a store.
#[derive(Clone, Copy, Debug)]
pub struct LogStoreOptions {
    /// How the write-ahead log behaves, with the sync policy.
    pub wal: WalOptions,
    /// Entries of so much time lie in one segment; segments of one partition are merged with each other only.
    pub partition: Duration,
    /// Entries in memory are written to segments when they take so many bytes.
    pub flush_bytes: u64,
    /// Entries in memory are written to segments when the oldest of them has been there for so long.
    pub flush_age: Duration,
    /// Entries in memory are written to segments when the write-ahead log has reached this size: it bounds the next start.
    pub wal_bytes_max: u64,
    /// Entries that wait to be encoded take no more than this: over it, appends encode what the fullest streams have.
    pub raw_bytes_max: u64,
    /// While nothing comes, entries are encoded until those that wait for it take no more than this.
    pub raw_bytes_idle: u64,
    /// Appends wait while entries in memory take more than this: the disk does not keep up.
    pub memory_bytes_max: u64,
    /// How long an append waits for room before it is refused.
    pub append_wait: Duration,
    /// What open blocks that are kept for the next query take.
    pub cache_bytes: u64,
    /// The most rows of a block.
    pub block_rows_max: usize,
    /// The most bytes of lines of a block, unless a single line is longer.
    pub block_bytes_max: usize,
    /// Segments are not merged into larger ones than this.
    pub segment_bytes_max: u64,
    /// How many segments of a size make a merge.
    pub merge_segments_min: usize,
    /// A position in a source that was not advanced for so long is forgotten.
    pub position_retention: Duration,
    /// Segments of all tenants together take no more than this on disk: over it, the oldest are deleted. `None` is no limit.
    pub disk_bytes_max: Option<u64>,
}

impl Default for LogStoreOptions {
    fn default() -> Self {
        Self {
            wal: WalOptions::default(),
            partition: Duration::from_secs(24 * 3600),
            flush_bytes: 128 << 20,
            flush_age: Duration::from_secs(30 * 60),
            wal_bytes_max: 256 << 20,
            raw_bytes_max: 64 << 20,
            raw_bytes_idle: 8 << 20,
            memory_bytes_max: 192 << 20,
            append_wait: Duration::from_secs(10),
            cache_bytes: 64 << 20,
            block_rows_max: 16 << 10,
            block_bytes_max: 2 << 20,
            segment_bytes_max: 256 << 20,
            merge_segments_min: 4,
            position_retention: Duration::from_secs(30 * 24 * 3600),
            disk_bytes_max: None,
        }
    }
}

/// Limits of one tenant. `None` is no limit.
#[derive(Clone, Debug)]
pub struct LogLimits {
    /// How far an entry may lie behind the newest of its stream.
    pub out_of_order_window: Option<Duration>,
    /// How old an entry may be (`reject_old_samples_max_age`).
    pub reject_old_max_age: Option<Duration>,
    /// How far in the future an entry may lie (`creation_grace_period`).
    pub creation_grace: Option<Duration>,
    /// The longest line in bytes (`max_line_size`).
    pub line_bytes_max: Option<u64>,
    /// How many streams may have entries in memory (`max_global_streams_per_user`).
    pub streams_max: Option<usize>,
    /// How long entries are kept (`retention_period`).
    pub retention: Option<Duration>,
    /// How long entries of some streams are kept (`retention_stream`).
    pub stream_retention: Vec<StreamRetention>,
}

/// How long entries of the streams that match are kept. The highest priority wins; of equal ones the shortest period.
#[derive(Clone, Debug)]
pub struct StreamRetention {
    /// Which streams; all must hold.
    pub matchers: Vec<CompiledMatcher>,
    /// Which rule wins.
    pub priority: i64,
    /// How long; zero keeps entries for ever.
    pub period: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            out_of_order_window: Some(Duration::from_secs(3600)),
            reject_old_max_age: Some(Duration::from_secs(7 * 24 * 3600)),
            creation_grace: Some(Duration::from_secs(600)),
            line_bytes_max: Some(256 << 10),
            streams_max: Some(5000),
            retention: None,
            stream_retention: Vec::new(),
        }
    }
}

/// Tells a tenant's limits, asked for with every batch: they may change while the store runs.
pub trait LimitsSource: Debug + Send + Sync {
    /// The limits of a tenant.
    fn limits(&self, tenant: &TenantId) -> Arc<LogLimits>;
}

/// The same limits for all tenants.
#[derive(Clone, Debug, Default)]
pub struct FixedLimits(pub Arc<LogLimits>);

impl LimitsSource for FixedLimits {
    fn limits(&self, _tenant: &TenantId) -> Arc<LogLimits> {
        Arc::clone(&self.0)
    }
}

pub(crate) fn as_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
