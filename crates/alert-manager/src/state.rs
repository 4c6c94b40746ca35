//! Silences and notification log on disk.

use std::path::Path;
use std::sync::Arc;

use state_store::{Keyspace, KeyspaceOptions, StateStore};
use sys::Fs;
use telemetry::Registry;

use crate::notification_log::LogEntry;
use crate::silences::Silence;

/// The store; every change is on disk before its call returns. All calls block. Cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    store: StateStore,
    silences: Keyspace<Silence>,
    log: Keyspace<LogEntry>,
}

impl State {
    /// Opens the store.
    pub fn open(dir: &Path, fs: Arc<dyn Fs>, registry: &Registry) -> state_store::Result<Self> {
        let store = StateStore::open(dir, fs, registry)?;
        let silences = store.keyspace(KeyspaceOptions::new("silences", 1))?;
        let log =
            store.keyspace(KeyspaceOptions { entries_max: 1_000_000, ..KeyspaceOptions::new("nflog", 1) })?;
        Ok(Self { store, silences, log })
    }

    /// All silences.
    pub fn silences(&self) -> state_store::Result<Vec<Silence>> {
        Ok(self.silences.scan("")?.into_iter().map(|(_, silence)| silence).collect())
    }

    /// The whole notification log.
    pub fn log(&self) -> state_store::Result<Vec<LogEntry>> {
        Ok(self.log.scan("")?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Stores silences, all or none.
    pub fn put_silences(&self, silences: &[Silence]) -> state_store::Result<()> {
        let mut batch = self.silences.batch();
        for silence in silences {
            batch = batch.put(&silence.id, silence)?;
        }
        self.store.write(batch)
    }

    /// Stores an entry of the log.
    pub fn put_entry(&self, entry: &LogEntry) -> state_store::Result<()> {
        self.log.put(&entry.key, entry)
    }

    /// Forgets silences and entries.
    pub fn forget(&self, silences: &[String], entries: &[String]) -> state_store::Result<()> {
        let mut gone = self.silences.batch();
        for id in silences {
            gone = gone.remove(id);
        }
        let mut entries_gone = self.log.batch();
        for key in entries {
            entries_gone = entries_gone.remove(key);
        }
        self.store.write(gone.and(entries_gone))
    }

    /// Writes the export that a damaged store is rebuilt from.
    pub fn export(&self) -> state_store::Result<()> {
        self.store.export()
    }

    /// Writes the export and refuses further changes.
    pub fn close(&self) -> state_store::Result<()> {
        self.store.close()
    }
}
