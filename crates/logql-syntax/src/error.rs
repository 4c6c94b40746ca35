//! The error of a text that is not LogQL.

use std::fmt;

use crate::Span;

/// Why a text is not a query, worded as Loki words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Line, counted from 1; `None` where the query as a whole is wrong.
    pub line: Option<u32>,
    /// Column in characters, counted from 1; 0 where the query as a whole is wrong.
    pub col: u32,
}

impl ParseError {
    /// An error at a place in `text`.
    pub fn at(text: &str, span: Span, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() as u32 + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let col = before[line_start..].chars().count() as u32 + 1;
        Self { message: message.into(), line: Some(line), col }
    }

    /// An error of the query as a whole.
    pub fn of_query(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, col: 0 }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "parse error at line {line}, col {}: {}", self.col, self.message),
            None => write!(f, "parse error : {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}
