//! What a database knows of itself: for status pages and self metrics.

use crate::head::label_index::Cardinality;

/// A block in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its name.
    pub ulid: String,
    /// The first millisecond.
    pub min_time: i64,
    /// The first millisecond after it.
    pub max_time: i64,
    /// Samples.
    pub samples: u64,
    /// Float samples.
    pub float_samples: u64,
    /// Native histograms.
    pub histogram_samples: u64,
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Deleted ranges.
    pub tombstones: u64,
    /// How often its samples were merged, from 1.
    pub level: u32,
    /// The blocks that were cut from a head and went into it.
    pub sources: Vec<String>,
    /// The blocks that it was made of.
    pub parents: Vec<String>,
    /// What it was made for, such as late samples.
    pub hints: Vec<String>,
    /// Bytes of its files.
    pub bytes: u64,
}

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
