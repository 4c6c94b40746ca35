//! The error of an expression, with its place.

use crate::Span;

/// What is wrong with an expression, and where. Displays as Prometheus does: `1:7: parse error: ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Which bytes of the input it is about.
    pub span: Span,
    /// The line of its start, from 1.
    pub line: usize,
    /// The column of its start in bytes, from 1.
    pub column: usize,
}

impl ParseError {
    pub(crate) fn new(input: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(input, span.start);
        Self { message: message.into(), span, line, column }
    }
}

/// The line and the column (in bytes), both from 1, of a byte offset in `input`.
pub fn line_and_column(input: &str, offset: usize) -> (usize, usize) {
    let before = &input.as_bytes()[..offset.min(input.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (line, before.len() - line_start + 1)
}
