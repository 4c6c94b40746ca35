//! The error of a pattern.

/// A pattern that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{pattern}`")]
pub struct RegexError {
    /// The part of the pattern that is wrong, as Go shows it; the whole pattern where no part can be named.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}
