//! Turning what goes wrong below into the errors that the storage interface names.

use std::io;
use std::path::Path;

use chunk_encoding::DecodeError;
use log_storage_api::LogStorageError;
use wal::WalError;

pub(crate) type Result<T> = std::result::Result<T, LogStorageError>;

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> LogStorageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogStorageError::Unavailable {
            reason: format!("{}: {source}: free space or shorten the retention", path.display()),
        },
        _ => LogStorageError::Io { action, path: path.display().to_string(), source },
    }
}

pub(crate) fn corrupt(place: impl Into<String>, reason: impl std::fmt::Display) -> LogStorageError {
    LogStorageError::Corrupt { place: place.into(), reason: format!("{reason}") }
}

pub(crate) fn wal_error(error: &WalError) -> LogStorageError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    LogStorageError::Unavailable { reason }
}

/// Why a part of a block could not be had.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// Its bytes are not what was written.
    Damaged(&'static str),
    /// The file could not be read.
    Io(io::Error),
}

impl From<DecodeError> for BlockError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => Self::Damaged("section ends too early"),
            DecodeError::VarintTooLong => Self::Damaged("varint is too long"),
            DecodeError::NotUtf8 => Self::Damaged("text is not UTF-8"),
            DecodeError::Invalid(what) => Self::Damaged(what),
        }
    }
}

impl From<io::Error> for BlockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
