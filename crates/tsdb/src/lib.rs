//! Prometheus' data directory: head, write-ahead log, blocks, index, compaction, retention.
//!
//! What is written here, Prometheus and promtool open, and the other way round. Invariants: a committed batch is in the log
//! before it is visible; a series' samples are applied in the order in which they are logged; nothing here starts a thread,
//! reads a clock or opens a file by itself: [`sys::Clock`] and [`sys::Fs`] are passed in, and a service drives
//! [`Db::sync_if_due`] and [`Db::maintain`].

#![warn(missing_docs)]

mod block;
mod chunk_handle;
mod compact;
mod db;
mod error;
mod head;
mod import;
mod inspect;
mod intervals;
mod metrics;
mod options;
mod read_only;
mod reencode;
mod repair;
mod select;
mod stats;
mod wal;

pub use db::{Db, Environment, SnapshotOptions};
pub use error::{Error, Result};
pub use head::label_index::{Cardinality, NamedCount};
pub use import::write_block;
pub use inspect::{BlockReport, LogReport, StoredBlock, StoredChunk, block_dirs, verify_logs};
pub use metrics::{Counters, ReplayProgress};
pub use options::{DbOptions, Limits, SyncPolicy};
pub use read_only::ReadOnlyDb;
pub use repair::{Repaired, repair_block};
pub use stats::{BlockInfo, DbStats};
pub use wal::tail::{WalEvent, WalPosition, WalTail};
