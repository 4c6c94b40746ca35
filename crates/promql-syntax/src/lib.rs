//! PromQL's syntax: lexer, parser, tree, printer. No evaluation and no I/O.
//!
//! Invariants: no input panics; every node of a tree knows its bytes; a tree is at most [`NESTING_MAX`] levels high;
//! printing a tree and parsing the text gives the same tree but for places.

#![warn(missing_docs)]

mod ast;
mod check;
mod duration_expr;
mod error;
mod function;
mod lexer;
mod op;
mod options;
mod parser;
mod pretty;
mod print;
mod quote;
mod span;
mod token;
mod visit;

pub use ast::{
    Aggregate, AtModifier, Binary, Call, Cardinality, DurationArg, Expr, MatrixSelector, NumberLiteral,
    Paren, RangeExtension, StringLiteral, Subquery, Unary, ValueType, VectorMatching, VectorSelector,
};
pub use duration_expr::{DurationError, DurationExpr, DurationOp};
pub use error::{ParseError, line_and_column};
pub use function::{ExtraArgs, FUNCTIONS, Function, function};
pub use model::Quoted;
pub use op::{AggregateOp, BinaryOp};
pub use options::{Features, MatcherCheck, ParseOptions};
pub use parser::{NESTING_MAX, parse_expr, parse_metric_selector};
pub use pretty::pretty;
pub use span::Span;
pub use visit::{SelectorUse, children, selectors, walk};

#[cfg(test)]
mod tests;
