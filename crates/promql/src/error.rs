//! Why a query has no answer.

use metric_storage_api::StorageError;
use model::ErrorCode;
use promql_syntax::ParseError;
use resources::{Interrupted, MemoryExceeded};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The expression is wrong.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query's parameters do not fit: an end before the start, a step of 0, a range query for a range vector.
    #[error("{0}")]
    InvalidParameter(String),
    /// The evaluation met something that has no meaning, such as two series with the same labels.
    #[error("{0}")]
    Execution(String),
    /// The client left, the query timed out, or the service stops.
    #[error("{interrupted} in expression evaluation")]
    Interrupted {
        /// Which of them.
        interrupted: Interrupted,
    },
    /// More samples would have to be held in memory than is allowed.
    #[error(
        "query processing would load too many samples into memory in query execution: at most {limit} are allowed; \
         narrow the selectors, the range or the number of steps, or raise {setting}"
    )]
    TooManySamples {
        /// The limit.
        limit: u64,
        /// The flag that raises it.
        setting: &'static str,
    },
    /// The query's memory budget is used up.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
    /// The store could not be read.
    #[error("expanding series: {0}")]
    Storage(#[source] StorageError),
}

impl QueryError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Parse(_) | Self::InvalidParameter(_) => ErrorCode::InvalidArgument,
            Self::Execution(_) | Self::TooManySamples { .. } => ErrorCode::Unprocessable,
            Self::Interrupted { interrupted } => interrupted.code(),
            Self::Memory(exceeded) => exceeded.code(),
            Self::Storage(error) => error.code(),
        }
    }
}

impl From<Interrupted> for QueryError {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted { interrupted }
    }
}

impl From<StorageError> for QueryError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Interrupted(interrupted) => Self::Interrupted { interrupted },
            StorageError::Memory(exceeded) => Self::Memory(exceeded),
            error => Self::Storage(error),
        }
    }
}
