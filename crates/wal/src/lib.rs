//! Segmented, checksummed append log: group commit, replay, truncation.
//!
//! Invariants: a record that [`Wal::append`] has acknowledged is in the kernel's hands (and on the disk with
//! [`SyncPolicy::Always`], else after the next [`Wal::sync`]); records come back in order, whole, each once; a full disk
//! refuses new records and harms none. No threads of its own: the caller drives [`Wal::sync`] about once a second.
//! The format is in `docs/format/`.

#![warn(missing_docs)]

mod error;
mod options;
mod reader;
mod record;
mod replay;
mod segment;
mod wal;
mod writer;

pub use error::WalError;
pub use options::{SyncPolicy, WalOptions};
pub use reader::{WalReader, WalRecord};
pub use replay::ReplayReport;
pub use wal::{Wal, WalStats};
