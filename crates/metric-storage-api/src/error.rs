//! Errors of reading and of writing as a whole; a single refused sample is an [`crate::AppendRejection`].

use model::ErrorCode;
use resources::{Interrupted, MemoryExceeded};

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The request ended before it was done.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The request's memory budget is used up.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
    /// The store takes no samples now: starting, stopping, disk full. Nothing of the batch was kept; send it again later.
    #[error("storage takes no samples now: {reason}")]
    Unavailable {
        /// Why, and what has to change.
        reason: String,
    },
    /// Stored data could not be read; what could is served by other calls.
    #[error("damaged data in {place}: {reason}")]
    Corrupt {
        /// File and offset, or block and series.
        place: String,
        /// What did not fit.
        reason: String,
    },
    /// The operating system refused.
    #[error("{action} {path}")]
    Io {
        /// What was done, such as "append to".
        action: &'static str,
        /// To which file.
        path: String,
        /// The error.
        #[source]
        source: std::io::Error,
    },
}

impl StorageError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Interrupted(interrupted) => interrupted.code(),
            Self::Memory(exceeded) => exceeded.code(),
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Corrupt { .. } | Self::Io { .. } => ErrorCode::Internal,
        }
    }
}
