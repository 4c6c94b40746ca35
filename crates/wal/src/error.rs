//! Why a log refuses.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of the log. Shared by all whose records stood in one write.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// Nothing can be written now: the disk is full, or it has failed and no new file could be opened. Nothing of the
    /// refused records was kept. The log resumes by itself: try again later.
    #[error("log {path} takes no records now: {reason}", path = path.display())]
    Unavailable {
        /// The file that could not be written.
        path: PathBuf,
        /// What has to change.
        reason: String,
    },
    /// The record is longer than the log's limit, or empty.
    #[error("a record of {bytes} bytes does not fit: it must have 1 to {limit} bytes")]
    RecordSize {
        /// The record's length.
        bytes: u64,
        /// The most bytes that a record may have.
        limit: u64,
    },
    /// Another process has the log open.
    #[error("log {path} is open in another process", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A segment was written by a newer version.
    #[error("{path} has version {version}, this program reads up to {supported}: use a newer one", path = path.display())]
    UnsupportedVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
        /// The newest version that can be read.
        supported: u16,
    },
    /// The operating system refused. A refused append may have left a part behind that comes back on replay.
    #[error("{action} {path}", path = path.display())]
    Io {
        /// What was done, such as "append to".
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// The error.
        #[source]
        source: Arc<io::Error>,
    },
}

impl WalError {
    /// Turns an operating system's error into what it means for the log: a full disk passes, other errors do not.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Unavailable { path, reason: format!("{source}: free space or remove old data") }
            }
            _ => Self::Io { action, path, source: Arc::new(source) },
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Io { .. })
    }
}
