//! Silences and notification log on disk.

use std::path::Path;
use std::sync::Arc;

use model::TimestampNs;
use state_store::{Keyspace, KeyspaceOptions, StateStore};
use sys::Fs;
use telemetry::Registry;

use crate::acks::Ack;
use crate::alert::Fingerprint;
use crate::heartbeats::{HEARTBEATS_MAX, Heartbeat};
use crate::import::Imported;
use crate::link_keys::{self, LinkKey, LinkKeys};
use crate::notification_log::LogEntry;
use crate::outbox::{PARCELS_MAX, Parcel};
use crate::silences::Silence;

/// The key under which it stands that another one's data has been taken over.
const TAKEN_OVER: &str = "taken-over";
/// What the names of peers' link keys begin with.
const LINK_KEYS_OF_PEERS: &str = "peer-links/";

/// The store; every change is on disk before its call returns. All calls block. Cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    store: StateStore,
    silences: Keyspace<Silence>,
    log: Keyspace<LogEntry>,
    outbox: Keyspace<Parcel>,
    acks: Keyspace<Ack>,
    secrets: Keyspace<String>,
    heartbeats: Keyspace<Heartbeat>,
}

/// What has come from peers.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Silences.
    pub silences: Vec<Silence>,
    /// Entries of the notification log.
    pub entries: Vec<LogEntry>,
    /// Acknowledgements.
    pub acks: Vec<Ack>,
    /// What their links are signed with.
    pub link_keys: Vec<LinkKey>,
    /// Keys of parcels that have arrived by a peer.
    pub arrived: Vec<String>,
}

impl Changes {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.silences.is_empty()
            && self.entries.is_empty()
            && self.acks.is_empty()
            && self.link_keys.is_empty()
    }
}

impl State {
    /// Opens the store.
    pub fn open(dir: &Path, fs: Arc<dyn Fs>, registry: &Registry) -> state_store::Result<Self> {
        let store = StateStore::open(dir, fs, registry)?;
        let silences = store.keyspace(KeyspaceOptions::new("silences", 1))?;
        let log =
            store.keyspace(KeyspaceOptions { entries_max: 1_000_000, ..KeyspaceOptions::new("nflog", 1) })?;
        let outbox = store
            .keyspace(KeyspaceOptions { entries_max: PARCELS_MAX, ..KeyspaceOptions::new("outbox", 1) })?;
        let acks = store.keyspace(KeyspaceOptions::new("acks", 1))?;
        let secrets = store.keyspace(KeyspaceOptions::new("secrets", 1))?;
        let heartbeats = store.keyspace(KeyspaceOptions {
            entries_max: HEARTBEATS_MAX,
            ..KeyspaceOptions::new("heartbeats", 1)
        })?;
        Ok(Self { store, silences, log, outbox, acks, secrets, heartbeats })
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

    /// Stores an entry of the log; with `arrived` what waited in the outbox under its key goes.
    pub fn put_entry(&self, entry: &LogEntry, arrived: bool) -> state_store::Result<()> {
        let batch = self.log.batch().put(&entry.key, entry)?;
        if !arrived {
            return self.store.write(batch);
        }
        self.store.write(batch.and(self.outbox.batch().remove(&entry.key)))
    }

    /// What has not arrived yet.
    pub fn parcels(&self) -> state_store::Result<Vec<Parcel>> {
        Ok(self.outbox.scan("")?.into_iter().map(|(_, parcel)| parcel).collect())
    }

    /// Stores parcels, all or none.
    pub fn put_parcels(&self, parcels: &[Parcel]) -> state_store::Result<()> {
        let mut batch = self.outbox.batch();
        for parcel in parcels {
            batch = batch.put(parcel.key(), parcel)?;
        }
        self.store.write(batch)
    }

    /// Forgets a parcel.
    pub fn forget_parcel(&self, key: &str) -> state_store::Result<()> {
        self.outbox.remove(key)
    }

    /// Stores what has come from peers, all or none.
    pub fn put_changes(&self, changes: &Changes) -> state_store::Result<()> {
        let (mut silences, mut log) = (self.silences.batch(), self.log.batch());
        for silence in &changes.silences {
            silences = silences.put(&silence.id, silence)?;
        }
        for entry in &changes.entries {
            log = log.put(&entry.key, entry)?;
        }
        let (mut acks, mut outbox) = (self.acks.batch(), self.outbox.batch());
        for ack in &changes.acks {
            acks = acks.put(&Fingerprint(ack.fingerprint).to_string(), ack)?;
        }
        for key in &changes.arrived {
            outbox = outbox.remove(key);
        }
        let mut secrets = self.secrets.batch();
        for LinkKey { key, seen_at } in &changes.link_keys {
            secrets = secrets.put(&format!("{LINK_KEYS_OF_PEERS}{key}"), &seen_at.to_string())?;
        }
        self.store.write(silences.and(log).and(acks).and(outbox).and(secrets))
    }

    /// The acknowledgements.
    pub fn acks(&self) -> state_store::Result<Vec<Ack>> {
        Ok(self.acks.scan("")?.into_iter().map(|(_, ack)| ack).collect())
    }

    /// Stores acknowledgements, all or none.
    pub fn put_acks(&self, acks: &[Ack]) -> state_store::Result<()> {
        let mut batch = self.acks.batch();
        for ack in acks {
            batch = batch.put(&Fingerprint(ack.fingerprint).to_string(), ack)?;
        }
        self.store.write(batch)
    }

    /// Forgets acknowledgements.
    pub fn forget_acks(&self, fingerprints: &[Fingerprint]) -> state_store::Result<()> {
        let mut batch = self.acks.batch();
        for fingerprint in fingerprints {
            batch = batch.remove(&fingerprint.to_string());
        }
        self.store.write(batch)
    }

    /// The heartbeats that are expected.
    pub fn heartbeats(&self) -> state_store::Result<Vec<Heartbeat>> {
        Ok(self.heartbeats.scan("")?.into_iter().map(|(_, heartbeat)| heartbeat).collect())
    }

    /// Stores a heartbeat.
    pub fn put_heartbeat(&self, heartbeat: &Heartbeat) -> state_store::Result<()> {
        self.heartbeats.put(&heartbeat.name, heartbeat)
    }

    /// Forgets a heartbeat.
    pub fn forget_heartbeat(&self, name: &str) -> state_store::Result<()> {
        self.heartbeats.remove(name)
    }

    /// Whether another one's data has been taken over, or there was none to take.
    pub fn has_taken_over(&self) -> state_store::Result<bool> {
        Ok(self.secrets.get(TAKEN_OVER)?.is_some())
    }

    /// Stores what was taken over, and that it was, at once.
    pub fn take_over(&self, imported: &Imported, now: TimestampNs) -> state_store::Result<()> {
        let mut silences = self.silences.batch();
        for silence in &imported.silences {
            silences = silences.put(&silence.id, silence)?;
        }
        let mut log = self.log.batch();
        for entry in imported.log.iter().filter(|entry| entry.expires_at > now) {
            log = log.put(&entry.key, entry)?;
        }
        let done = self.secrets.batch().put(TAKEN_OVER, &now.to_string())?;
        self.store.write(silences.and(log).and(done))
    }

    /// What links are signed with; our own key is made at the first start.
    pub fn link_keys(&self) -> state_store::Result<LinkKeys> {
        const KEY: &str = "links";
        let own = match self.secrets.get(KEY)? {
            Some(own) => own,
            None => {
                let own = link_keys::new_key();
                self.secrets.put(KEY, &own)?;
                own
            }
        };
        let stored = self.secrets.scan(LINK_KEYS_OF_PEERS)?.into_iter().filter_map(|(name, seen_at)| {
            let key = name.strip_prefix(LINK_KEYS_OF_PEERS)?.to_owned();
            Some(LinkKey { key, seen_at: seen_at.parse().ok()? })
        });
        Ok(LinkKeys::new(own, stored.collect()))
    }

    /// Forgets keys of peers.
    pub fn forget_link_keys(&self, keys: &[String]) -> state_store::Result<()> {
        let mut batch = self.secrets.batch();
        for key in keys {
            batch = batch.remove(&format!("{LINK_KEYS_OF_PEERS}{key}"));
        }
        self.store.write(batch)
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

    /// Writes the export that a damaged store is rebuilt from; gives how large it is, where that can be told.
    pub fn export(&self) -> state_store::Result<Option<u64>> {
        self.store.export()?;
        Ok(self.store.export_bytes())
    }

    /// Writes the export and refuses further changes.
    pub fn close(&self) -> state_store::Result<()> {
        self.store.close()
    }
}
