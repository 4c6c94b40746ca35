//! Small typed keyspaces that are on disk before a call returns: silences, notification log, users, dashboards, positions.
//!
//! Invariants: [`Keyspace::put`], [`Keyspace::remove`] and [`StateStore::write`] return after a sync (several writers share
//! one); a batch is seen whole or not at all; every value carries a checksum; a database that cannot be read is set aside,
//! never deleted, and rebuilt from the last export. Everything is bounded. All calls block: an async caller runs them on a
//! blocking thread. [`StateStore::export`] is to be called now and then by the service, [`StateStore::close`] at its end.
//!
//! ```
//! use std::sync::Arc;
//! use serde::{Deserialize, Serialize};
//! use state_store::{KeyspaceOptions, StateStore};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Silence { comment: String, ends_at_ms: i64 }
//!
//! # let directory = tempfile::tempdir().expect("a directory");
//! # let path = directory.path();
//! let registry = telemetry::Registry::new();
//! let store = StateStore::open(path, Arc::new(sys::RealFs), &registry)?;
//! let silences = store.keyspace::<Silence>(KeyspaceOptions::new("silences", 1))?;
//! silences.put("id-1", &Silence { comment: "disk swap".to_owned(), ends_at_ms: 5 })?;
//! assert_eq!(silences.get("id-1")?.map(|silence| silence.ends_at_ms), Some(5));
//! for (id, silence) in silences.scan("")? {
//!     println!("{id}: {}", silence.comment);
//! }
//! // Several changes, also of several keyspaces, at once:
//! store.write(silences.batch().put("id-2", &Silence { comment: String::new(), ends_at_ms: 9 })?.remove("id-1"))?;
//! store.close()?;
//! # Ok::<(), state_store::Error>(())
//! ```

#![warn(missing_docs)]

mod backend;
mod batch;
mod disk;
mod error;
mod export;
mod group_flush;
mod keyspace;
mod simulated;
mod sled_backend;
mod store;
mod value;

pub use backend::{Backend, Change};
pub use batch::Batch;
pub use error::{Error, Result};
pub use keyspace::{Keyspace, KeyspaceOptions, Migrate};
pub use simulated::SimulatedDisk;
pub use store::StateStore;
