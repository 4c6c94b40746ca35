//! Why a query failed.

use log_storage_api::LogStorageError;
use logql_syntax::ParseError;
use model::ErrorCode;
use resources::{Interrupted, MemoryExceeded};

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogqlError {
    /// The text is not a query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query is well formed and makes no sense: a bad regular expression, pattern or template.
    #[error("parse error : {0}")]
    Invalid(String),
    /// A line that a metric query counts could not be processed.
    #[error(
        "pipeline error: '{kind}' for series: '{series}'.\n\
         To leave such lines out, filter them: | __error__!=\"{kind}\" drops this error, | __error__=\"\" every error; \
         the filter may also follow | unwrap."
    )]
    Pipeline {
        /// The value of `__error__`.
        kind: &'static str,
        /// The labels of the series.
        series: String,
    },
    /// Two operands cannot be matched.
    #[error("{0}")]
    Matching(&'static str),
    /// More series than allowed.
    #[error(
        "maximum number of series ({limit}) reached for a single query; aggregate more, select fewer streams, \
         or raise limits_config.max_query_series"
    )]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// More points than can be held.
    #[error("the query has {points} steps, the most is {limit}: take a larger step or a shorter range")]
    TooManySteps {
        /// How many.
        points: u64,
        /// The limit.
        limit: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] LogStorageError),
    /// The request ended.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The request's memory is used up.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
}

impl LogqlError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Parse(_)
            | Self::Invalid(_)
            | Self::Pipeline { .. }
            | Self::Matching(_)
            | Self::TooManySeries { .. }
            | Self::TooManySteps { .. } => ErrorCode::InvalidArgument,
            Self::Storage(error) => error.code(),
            Self::Interrupted(interrupted) => interrupted.code(),
            Self::Memory(exceeded) => exceeded.code(),
        }
    }
}
