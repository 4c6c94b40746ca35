//! What a database knows of itself: for status pages and self metrics.

use crate::head::label_index::Cardinality;

/// The database at one moment. Counters that only grow are in [`crate::Counters`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DbStats {
    /// Series in the head.
    pub head_series: u64,
    /// Of these, with the staleness marker as newest sample.
    pub head_stale_series: u64,
    /// Of these, with a native histogram as newest sample.
    pub head_histogram_series: u64,
    /// Chunks in the head.
    pub head_chunks: u64,
    /// Label pairs in the head.
    pub head_label_pairs: u64,
    /// The head's oldest sample; `i64::MAX` while there is none.
    pub head_min_time: i64,
    /// The head's newest sample; `i64::MIN` while there is none.
    pub head_max_time: i64,
    /// The oldest sample of all; `i64::MAX` while there is none.
    pub lowest_time: i64,
    /// Bytes of the head's series without labels' texts.
    pub head_bytes: u64,
    /// Bytes of all label names and values.
    pub symbol_bytes: u64,
    /// Batches being written.
    pub active_appenders: u64,
    /// Bytes of head chunk files.
    pub head_chunk_bytes: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// The segment being written.
    pub wal_segment: u64,
    /// Exemplars kept.
    pub exemplars: u64,
    /// Series with exemplars.
    pub exemplar_series: u64,
    /// The most exemplars kept.
    pub exemplars_max: u64,
    /// How long the replay at the start took, in ms.
    pub replay_ms: u64,
    /// Whether the last stop was in order.
    pub clean_start: bool,
    /// Where the head's series come from.
    pub cardinality: Cardinality,
}
