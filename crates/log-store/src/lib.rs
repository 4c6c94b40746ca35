//! A log store on disk: streams of labelled entries in memory and in immutable segments, behind a write-ahead log.
//!
//! Invariants: what `append` has acknowledged is in the write-ahead log and visible to every later scan; an entry (stream,
//! time, line and metadata) is stored once; an entry is in memory or in a segment, never seen in both or in neither; segments
//! are immutable and every section of them is checksummed; a damaged one costs only what it holds; tenants share nothing but
//! the log's files. The formats are in `docs/format/`.

#![warn(missing_docs)]

mod bitpack;
mod block;
mod checkpoint;
mod deletes;
mod error;
mod fields;
mod filter;
mod inspect;
mod options;
mod page;
mod positions;
mod record;
mod registry;
mod scan;
mod segment;
mod store;
mod stream;
mod tenant;

pub use deletes::{DeleteRequest, DeleteSpec, EntryQueries, EntryTest, NoEntryQueries};
pub use inspect::{SegmentSummary, StreamSummary, SummaryDepth, summarize};
pub use options::{FixedLimits, LimitsSource, LogLimits, LogStoreOptions, StreamRetention};
pub use scan::{TemplateCount, TemplateCounts, TemplateQuery};
pub use store::{DiskLogStore, LogStoreStats, MaintainReport, OpenReport};
/// When the write-ahead log is synced: part of [`LogStoreOptions`].
pub use wal::SyncPolicy;
