//! Why a body cannot be read.

/// A body that breaks its format. What was read before it is valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpositionError {
    /// A line that breaks the text formats.
    #[error("line {line}: {reason}: {near:?}")]
    Line {
        /// Which line; the first is 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
        /// The start of what could not be read.
        near: String,
    },
    /// An OpenMetrics body without its end marker, as when the sender died while writing.
    #[error("body does not end with # EOF")]
    MissingEof,
    /// A protobuf body that cannot be decoded.
    #[error("protobuf at byte {offset}: {reason}")]
    Protobuf {
        /// Where.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
}

/// A problem at a place of the text; the parser turns it into an error with a line number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The byte's index in what was being read.
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
}

const NEAR_BYTES_MAX: usize = 60;

impl ExpositionError {
    /// The error for a fault at `fault.at` of `input`.
    pub(crate) fn at(input: &[u8], fault: Fault) -> Self {
        let at = fault.at.min(input.len());
        let line = 1 + input[..at].iter().filter(|byte| **byte == b'\n').count();
        let rest = &input[at..];
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let near = String::from_utf8_lossy(&rest[..end.min(NEAR_BYTES_MAX)]).into_owned();
        Self::Line { line, reason: fault.reason, near }
    }
}
