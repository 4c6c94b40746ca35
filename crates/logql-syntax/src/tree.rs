//! The tree of a query.

mod log;
mod metric;

pub use log::{
    Extraction, FilterOp, LabelFilter, LabelFormat, LabelFormatValue, LabelSelection, LineFilterExpr,
    LineFilterKind, LineMatch, LogExpr, Stage, StageKind,
};
pub use metric::{
    BinaryExpr, BinaryOp, Cardinality, Conversion, Grouping, LabelReplace, Matching, MetricExpr, MetricKind,
    RangeAggregation, RangeExpr, RangeOp, Unwrap, VectorAggregation, VectorOp,
};

/// A part of the query's text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Answers with lines.
    Log(LogExpr),
    /// Answers with numbers.
    Metric(MetricExpr),
}
