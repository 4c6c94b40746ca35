//! What a log store and a query engine agree on: append entries to streams, scan them as column batches, count them without
//! touching a line.
//!
//! Invariants: what `append` has acknowledged is durable and visible to every later scan; a scan may do less than it was
//! asked (it says which filters it has applied), never more; every call takes a [`resources::RequestContext`], whose tenant
//! is part of the storage path.

#![warn(missing_docs)]

mod append;
mod error;
mod scan;

pub use append::{
    AppendOutcome, BatchEntry, EntryRejection, EntrySource, LogBatch, SourcePlace, SourcePosition,
    StreamEntries,
};
pub use error::LogStorageError;
pub use scan::{
    CountBuckets, Direction, FieldColumn, FieldFinder, FieldVerdict, LineFilter, LineFilterOp, LogReader,
    LogScan, LogStore, MetadataFilter, PatternPart, ScanBatch, ScanLines, ScanSink, ScanStats, SinkFlow,
    StreamInfo, StreamStats,
};
