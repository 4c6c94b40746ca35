//! What a metric store and a query engine agree on. Engines do not know stores and stores do not know query languages:
//! they meet here, and a service joins them.
//!
//! Invariants: an [`Appender`]'s samples become visible at commit and not before; `select` sees what was committed before it
//! was called; every call takes a [`resources::RequestContext`] and checks it at least every 10 ms of CPU work.

#![warn(missing_docs)]

mod append;
mod columns;
mod error;
mod read;

pub use append::{AppendRejection, Appender, CommitSummary, KeyedSample, KeyedStop, SeriesRef, SeriesSample};
pub use columns::SampleColumns;
pub use error::StorageError;
pub use read::{
    AggregationHint, ChunkEncoding, EncodedChunk, ExemplarSeries, LabelQuery, MetricReader, MetricStore,
    NewestRequest, NewestSet, SelectHints, SelectRequest, SeriesGroups, SeriesReader, SeriesSet,
};
