//! LogQL pipelines and metric queries over a log store.
//!
//! An [`Engine`] evaluates parsed queries over any [`log_storage_api::LogReader`]. Line filters, limits and counts are pushed
//! down to the store; what it leaves, and all other stages, run here line by line. Metric queries answer for all steps at
//! once: a scan fills windows per series, and aggregations and operators work on whole series.
//!
//! Invariants: memory that grows with the data comes from the request's budget; a request that has ended stops within one
//! batch; the engine knows no store, no clock and no wire format.

#![warn(missing_docs)]

mod convert;
mod engine;
mod entry_query;
mod error;
mod fields;
mod line_labels;
mod log_query;
mod metric;
mod pipeline;
mod scan;
mod selector;
mod series_table;

pub use engine::{Engine, EngineLimits, check};
pub use entry_query::EntryQuery;
pub use error::LogqlError;
pub use log_query::{
    EntrySink, LogQuery, MatchedEntry, ResultEntry, ResultStream, StreamCollector, TailFilter,
};
pub use metric::{MetricAnswer, Point, QuerySeries};
pub use scan::QueryStats;
pub use selector::compile_matchers;
