//! Errors of reading and of writing as a whole; a single refused entry is an [`crate::EntryRejection`].

use model::ErrorCode;
use resources::{Interrupted, MemoryExceeded};

/// Why a scan or an append failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogStorageError {
    /// The request ended before it was done.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The request's memory budget is used up.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
    /// A limit of the tenant was met; nothing of the batch was stored.
    #[error("{limit} limit reached: {detail}; raise {setting}")]
    LimitReached {
        /// Which limit.
        limit: &'static str,
        /// What met it.
        detail: String,
        /// The key that raises it.
        setting: &'static str,
    },
    /// The store takes no entries now: starting, stopping, disk full. Nothing of the batch was kept; send it again later.
    #[error("storage takes no entries now: {reason}")]
    Unavailable {
        /// Why, and what has to change.
        reason: String,
    },
    /// Stored data could not be read; what could is served by other calls.
    #[error("damaged data in {place}: {reason}")]
    Corrupt {
        /// File and offset.
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

impl LogStorageError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Interrupted(interrupted) => interrupted.code(),
            Self::Memory(exceeded) => exceeded.code(),
            Self::LimitReached { .. } => ErrorCode::LimitExceeded,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Corrupt { .. } | Self::Io { .. } => ErrorCode::Internal,
        }
    }
}
