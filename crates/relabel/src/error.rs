//! Why a rule is refused.

use go_regex::RegexError;

/// A rule that cannot be used. Names the key that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelabelError {
    /// There is no such action.
    #[error("unknown relabel action {action:?}")]
    UnknownAction {
        /// What was written.
        action: String,
    },
    /// A key that the action needs is missing.
    #[error("relabel action {action} needs {key}")]
    Missing {
        /// The action.
        action: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key's value cannot be a label name.
    #[error("{value:?} is not a valid {key} of relabel action {action}")]
    InvalidName {
        /// The action.
        action: &'static str,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A key that the action does not take is set.
    #[error("{key} cannot be set with relabel action {action}, which takes only {takes}")]
    NotTaken {
        /// The action.
        action: &'static str,
        /// The key.
        key: &'static str,
        /// What the action takes.
        takes: &'static str,
    },
    /// The regular expression does not compile.
    #[error("relabel regex")]
    Regex(#[from] RegexError),
}
