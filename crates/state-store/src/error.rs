//! What can go wrong.

use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed; what the call was to change may or may not be there.
    #[error("state in {} cannot be read or written", .path.display())]
    Io {
        /// The store's directory or the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("state in {} is in use by another process: stop it or choose another data directory", .path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The database is damaged while it runs; the next start sets it aside and rebuilds it.
    #[error("state in {} is damaged ({reason}): restart to rebuild it from its last export", .path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// A value does not have the form that its keyspace has now.
    #[error("value {key:?} in keyspace {keyspace} has an unknown form")]
    Decode {
        /// The keyspace.
        keyspace: String,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON.
    #[error("value {key:?} for keyspace {keyspace} cannot be written")]
    Encode {
        /// The keyspace.
        keyspace: String,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A bound of the keyspace was met.
    #[error("keyspace {keyspace} is full: at most {limit} {what}")]
    Full {
        /// The keyspace.
        keyspace: String,
        /// What is bounded.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The keyspace was written by a newer version of the program.
    #[error(
        "keyspace {keyspace} has schema version {found}, this program knows up to {known}: use a newer program"
    )]
    Newer {
        /// The keyspace.
        keyspace: String,
        /// The version on disk.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// A value could not be brought to the present schema version.
    #[error("value {key:?} in keyspace {keyspace} cannot be brought from schema version {from}: {reason}")]
    Migrate {
        /// The keyspace.
        keyspace: String,
        /// The key.
        key: String,
        /// The version on disk.
        from: u32,
        /// What the migration said.
        reason: String,
    },
    /// The store was closed, or its simulated machine crashed.
    #[error("the state store is closed")]
    Closed,
}

/// A result of the store.
pub type Result<T> = std::result::Result<T, Error>;
