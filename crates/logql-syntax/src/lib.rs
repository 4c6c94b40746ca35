//! LogQL lexer, parser, tree and printer: no evaluation, no I/O.
//!
//! Invariants: the parser never panics and never runs out of stack, whatever text it is given; what it returns is checked as
//! far as that needs no regular expressions and no templates (these are compiled by `logql`); every tree prints as a text
//! that parses to the same tree.

#![warn(missing_docs)]

mod error;
mod lexer;
mod literal;
mod parser;
mod printer;
mod token;
mod tree;

pub use error::ParseError;
pub use parser::{QUERY_BYTES_MAX, parse, parse_log, parse_metric};
pub use tree::{
    BinaryExpr, BinaryOp, Cardinality, Conversion, Expr, Extraction, FilterOp, Grouping, LabelFilter,
    LabelFormat, LabelFormatValue, LabelReplace, LabelSelection, LineFilterExpr, LineFilterKind, LineMatch,
    LogExpr, Matching, MetricExpr, MetricKind, RangeAggregation, RangeExpr, RangeOp, Span, Stage, StageKind,
    Unwrap, VectorAggregation, VectorOp,
};
