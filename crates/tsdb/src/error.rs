//! Why a database could not be opened or maintained. Reads and commits fail with [`metric_storage_api::StorageError`].

use std::io;
use std::path::{Path, PathBuf};

use metric_storage_api::StorageError;

/// Why a database could not be opened, or a background step could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{action} {path}", path = .path.display())]
    Io {
        /// What was done, such as "read".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("{path} is locked by another process: stop it, or use another --storage.tsdb.path", path = .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Stored data does not fit its format.
    #[error("damaged data in {place}: {reason}")]
    Corrupt {
        /// File and offset, or block.
        place: String,
        /// What did not fit.
        reason: String,
    },
    /// An option that cannot be used.
    #[error("invalid option {option}: {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The result of opening and maintaining.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass errors and literals alike")]
    pub(crate) fn corrupt(place: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt { place: place.into(), reason: reason.to_string() }
    }

    /// Whether it is for want of space, so that it may go away by itself.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_disk_full(source))
    }
}

pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { action, path, source } => {
                Self::Io { action, path: path.display().to_string(), source }
            }
            Error::Corrupt { place, reason } => Self::Corrupt { place, reason },
            other => Self::Unavailable { reason: other.to_string() },
        }
    }
}
