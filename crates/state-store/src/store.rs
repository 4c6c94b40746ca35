//! The store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sys::Fs;
use telemetry::{Counter, Family, Gauge, Registry};

use crate::backend::{Backend, Change};
use crate::batch::Batch;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::export;
use crate::group_flush::GroupFlush;
use crate::keyspace::{Bounds, Keyspace, KeyspaceOptions};
use crate::simulated::SimulatedDisk;
use crate::value;

/// The keyspace that holds the schema versions of the others.
const SCHEMAS: &str = "!schemas";

/// Keyspaces in one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StateStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Box<dyn Backend>,
    /// None where it is simulated.
    disk: Option<Disk>,
    flushes: GroupFlush,
    /// Entries by keyspace; held while changes are applied, so that bounds hold.
    entries: Mutex<BTreeMap<String, usize>>,
    /// Whether anything changed since the last export.
    changed: AtomicBool,
    closed: AtomicBool,
    metrics: Metrics,
}

#[derive(Debug)]
struct Metrics {
    entries: Family<Gauge>,
    flushes: Counter,
    rebuilds: Counter,
    exports: Counter,
}

impl Metrics {
    fn register(registry: &Registry) -> Self {
        Self {
            entries: registry.gauge_family("state_store_entries", "Entries by keyspace.", &["keyspace"]),
            flushes: registry.counter("state_store_flushes_total", "Syncs of the state database."),
            rebuilds: registry.counter(
                "state_store_rebuilds_total",
                "Damaged state databases that were set aside and rebuilt from their last export.",
            ),
            exports: registry.counter("state_store_exports_total", "Exports written."),
        }
    }
}

impl StateStore {
    /// Opens the store in `dir`, created where missing. A damaged database is set aside as `damaged-N` beside it and
    /// rebuilt from the last export. Blocks.
    pub fn open(dir: &Path, fs: Arc<dyn Fs>, registry: &Registry) -> Result<Self> {
        let opened = disk::open(dir, fs)?;
        let store = Self::new(Box::new(opened.backend), Some(opened.disk), registry)?;
        if opened.rebuilt {
            store.0.metrics.rebuilds.inc();
        }
        Ok(store)
    }

    /// Opens a store on a simulated disk, without files and exports.
    pub fn open_simulated(disk: &SimulatedDisk, registry: &Registry) -> Result<Self> {
        Self::new(Box::new(disk.backend()), None, registry)
    }

    fn new(backend: Box<dyn Backend>, disk: Option<Disk>, registry: &Registry) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (key, _) in backend.scan(b"")? {
            *entries.entry(space_of(&key)).or_default() += 1;
        }
        let metrics = Metrics::register(registry);
        let store = Self(Arc::new(Inner {
            backend,
            disk,
            flushes: GroupFlush::default(),
            entries: Mutex::new(entries),
            changed: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            metrics,
        }));
        store.show_entries(&store.0.entries.lock());
        Ok(store)
    }

    /// Opens a keyspace, bringing its values to the present schema version first. Blocks.
    pub fn keyspace<T: Serialize + DeserializeOwned>(&self, options: KeyspaceOptions) -> Result<Keyspace<T>> {
        self.migrate(&options)?;
        Ok(Keyspace::new(self.clone(), &options))
    }

    /// Makes the changes of a batch, all or none. Durable when this returns. Blocks.
    pub fn write<T>(&self, batch: Batch<T>) -> Result<()> {
        let Batch { changes, bounds, .. } = batch;
        self.apply(&changes, &bounds)
    }

    /// Writes the export, if anything changed since the last one. Call it every few minutes. Blocks.
    pub fn export(&self) -> Result<()> {
        let Some(disk) = &self.0.disk else { return Ok(()) };
        if !self.0.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let written = self.scan_json(b"").and_then(|entries| {
            let path = disk.export_path();
            let result = disk.fs.write_atomic(&path, &export::write(&entries));
            result.map_err(|source| Error::Io { path, source })
        });
        match &written {
            Ok(()) => self.0.metrics.exports.inc(),
            Err(_) => self.0.changed.store(true, Ordering::Release),
        }
        written
    }

    /// How large the export on disk is; none where there is none. Blocks.
    pub fn export_bytes(&self) -> Option<u64> {
        let disk = self.0.disk.as_ref()?;
        disk.fs.file_len(&disk.export_path()).ok()
    }

    /// Writes the export and refuses further changes. Blocks.
    pub fn close(&self) -> Result<()> {
        if self.0.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.0.backend.flush()?;
        self.export()
    }

    pub(crate) fn entries(&self, space: &str) -> usize {
        self.0.entries.lock().get(space).copied().unwrap_or(0)
    }

    pub(crate) fn get_json(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let stored = self.0.backend.get(key)?;
        stored.map(|stored| self.unseal(key, &stored)).transpose()
    }

    pub(crate) fn scan_json(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let entries = self.0.backend.scan(prefix)?;
        entries
            .into_iter()
            .map(|(key, stored)| {
                let json = self.unseal(&key, &stored)?;
                Ok((key, json))
            })
            .collect()
    }

    fn unseal(&self, key: &[u8], stored: &[u8]) -> Result<Vec<u8>> {
        value::open(key, stored).map(<[u8]>::to_vec).ok_or_else(|| Error::Damaged {
            path: self.0.disk.as_ref().map_or_else(|| "simulated".into(), |disk| disk.dir.clone()),
            reason: format!("the checksum of {:?} is wrong", String::from_utf8_lossy(key)),
        })
    }

    fn apply(&self, changes: &[Change], bounds: &BTreeMap<String, Bounds>) -> Result<()> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut entries = self.0.entries.lock();
        let after = self.counted(&entries, changes)?;
        for (space, count) in &after {
            let limit = bounds.get(space).map_or(usize::MAX, |bounds| bounds.entries_max);
            if *count > limit && *count > entries.get(space).copied().unwrap_or(0) {
                return Err(Error::Full { keyspace: space.clone(), what: "entries", limit });
            }
        }
        self.0.backend.apply(changes)?;
        entries.extend(after);
        self.show_entries(&entries);
        drop(entries);
        self.0.changed.store(true, Ordering::Release);
        self.0.flushes.wait(|| {
            self.0.metrics.flushes.inc();
            self.0.backend.flush()
        })
    }

    /// How many entries the keyspaces that `changes` touch will have.
    fn counted(
        &self,
        entries: &BTreeMap<String, usize>,
        changes: &[Change],
    ) -> Result<BTreeMap<String, usize>> {
        let mut after = BTreeMap::new();
        let mut present: BTreeMap<&[u8], bool> = BTreeMap::new();
        for change in changes {
            let (key, stays) = match change {
                Change::Put(key, _) => (key, true),
                Change::Remove(key) => (key, false),
            };
            let was = match present.get(key.as_slice()) {
                Some(was) => *was,
                None => self.0.backend.get(key)?.is_some(),
            };
            present.insert(key, stays);
            let space = space_of(key);
            let before = entries.get(&space).copied().unwrap_or(0);
            let count: &mut usize = after.entry(space).or_insert(before);
            match (was, stays) {
                (false, true) => *count += 1,
                (true, false) => *count = count.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
        }
        Ok(after)
    }

    fn show_entries(&self, entries: &BTreeMap<String, usize>) {
        for (space, count) in entries {
            self.0.metrics.entries.with(&[space]).set(*count as f64);
        }
    }

    fn migrate(&self, options: &KeyspaceOptions) -> Result<()> {
        let bounds =
            |name: &str| Bounds { name: name.into(), entries_max: usize::MAX, value_bytes_max: usize::MAX };
        let (schemas, space) = (bounds(SCHEMAS), bounds(options.name));
        let keyspace = || options.name.to_owned();
        let schema_key = schemas.full_key(options.name);
        let found = match self.get_json(&schema_key)? {
            Some(json) => serde_json::from_slice(&json).map_err(|source| Error::Decode {
                keyspace: SCHEMAS.to_owned(),
                key: keyspace(),
                source,
            })?,
            None => options.schema_version,
        };
        let known = options.schema_version;
        if found > known {
            return Err(Error::Newer { keyspace: keyspace(), found, known });
        }
        let mut batch: Batch<serde_json::Value> = Batch::new(space.clone());
        if found < known {
            let skip = space.name.len() + 1;
            for (full_key, json) in self.scan_json(&space.full_key(""))? {
                let key = String::from_utf8_lossy(&full_key[skip..]).into_owned();
                let failed = |reason: String| Error::Migrate {
                    keyspace: keyspace(),
                    key: key.clone(),
                    from: found,
                    reason,
                };
                let migrate = options.migrate.ok_or_else(|| failed("no migration is defined".to_owned()))?;
                let old = serde_json::from_slice(&json).map_err(|error| failed(error.to_string()))?;
                let new = migrate(found, &key, old).map_err(failed)?;
                batch = batch.put(&key, &new)?;
            }
        }
        if found < known || self.0.backend.get(&schema_key)?.is_none() {
            let batch = batch.and(Batch::new(schemas).put(options.name, &known)?);
            self.write(batch)?;
        }
        Ok(())
    }
}

fn space_of(full_key: &[u8]) -> String {
    let space = full_key.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(space).into_owned()
}
