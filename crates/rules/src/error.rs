//! What can be wrong with a rule file, and what can go wrong with a rule.

/// A rule file that is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {place}{message}")]
pub struct RuleFileError {
    /// The file.
    pub file: String,
    /// The group and the rule in it, as `group "x", rule 2, "name": `; empty where the file as a whole is meant.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// Which of the file's groups, from 0.
    pub group: usize,
    /// Which of the group's rules, from 0; `None` where the group as a whole is meant.
    pub rule: Option<usize>,
}

/// Why a rule's evaluation failed. The group goes on with its next rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The query failed.
    #[error("{0}")]
    Query(String),
    /// Two results have the same labels once the rule's labels are applied.
    #[error("vector contains metrics with the same labelset after applying {what} labels")]
    Duplicate {
        /// "rule" or "alert".
        what: &'static str,
    },
    /// More results than the group's `limit`.
    #[error("exceeded limit of {limit} with {got} {what}")]
    Limit {
        /// The group's `limit`.
        limit: usize,
        /// How many there were.
        got: usize,
        /// "series" or "alerts".
        what: &'static str,
    },
    /// The results could not be stored.
    #[error("storing the results failed: {0}")]
    Store(String),
}
