//! PromQL over any metric store that implements [`metric_storage_api::MetricReader`].
//!
//! A query is parsed ([`promql_syntax`]), lowered to a plan with all times resolved, and evaluated part by part: each part
//! gives columns over all steps at once, series are worked on in parallel on the pool of the context's CPU class.
//!
//! Invariants: the engine holds no state between queries but how many there are; what a query holds is counted against its limit of samples and
//! taken from `ctx.memory`; the context is checked before each series and at least every few steps.

#![warn(missing_docs)]

mod budget;
mod engine;
mod error;
mod eval;
mod functions;
mod memory_reader;
mod notes;
mod parse;
mod places;
mod plan;
mod series;
pub mod testscript;
mod value;

pub use engine::{Engine, EngineFeatures, EngineOptions, Query, SubqueryStep};
pub use error::QueryError;
pub use memory_reader::{MemoryReader, MemoryValue};
pub use parse::{parse, parse_selector};
pub use promql_syntax::{Expr, Features};
pub use value::{
    Annotations, ExplainNode, MatrixSeries, NodeCost, QueryResult, QueryStats, SampleValue, Value,
    VectorSample,
};

#[cfg(test)]
mod tests;
