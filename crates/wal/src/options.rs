//! How a log behaves.

/// When records are on the disk itself, not only in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// With the next [`crate::Wal::sync`], which the caller drives: acknowledged records survive the process, not a power loss.
    Deferred,
    /// Before `append` returns.
    Always,
}

/// Settings of a log.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// When records are synced.
    pub sync: SyncPolicy,
    /// A segment that has reached this size is closed; the unit in which the log is truncated.
    pub segment_bytes: u64,
    /// The longest record.
    pub record_bytes_max: usize,
    /// How many bytes of records may wait for the write before theirs; more appenders wait outside.
    pub queue_bytes_max: usize,
    /// How many unsynced bytes are kept in memory for the case that a sync fails; over it an append syncs itself.
    pub unsynced_bytes_max: usize,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::Deferred,
            segment_bytes: 32 << 20,
            record_bytes_max: 32 << 20,
            queue_bytes_max: 8 << 20,
            unsynced_bytes_max: 16 << 20,
        }
    }
}
