//! A typed part of the store.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::store::StateStore;

/// Brings a value from an earlier schema version to the present one: `(version on disk, key, value)`.
pub type Migrate = fn(u32, &str, serde_json::Value) -> std::result::Result<serde_json::Value, String>;

/// What a keyspace is like.
#[derive(Clone, Copy, Debug)]
pub struct KeyspaceOptions {
    /// Its name: lower case and `-`; also its name in metrics and exports.
    pub name: &'static str,
    /// The version of its values' form; raise it with every change that old values do not survive.
    pub schema_version: u32,
    /// How old values are brought to the present form; needed once `schema_version` is above 1.
    pub migrate: Option<Migrate>,
    /// At most this many entries (100,000).
    pub entries_max: usize,
    /// At most this many bytes of JSON per value (4 MiB).
    pub value_bytes_max: usize,
}

impl KeyspaceOptions {
    /// A keyspace with the default bounds and no migration.
    pub fn new(name: &'static str, schema_version: u32) -> Self {
        Self { name, schema_version, migrate: None, entries_max: 100_000, value_bytes_max: 4 << 20 }
    }
}

/// What a batch has to know of its keyspace.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: Arc<str>,
    pub(crate) entries_max: usize,
    pub(crate) value_bytes_max: usize,
}

impl Bounds {
    pub(crate) fn full_key(&self, key: &str) -> Vec<u8> {
        let mut full = self.name.as_bytes().to_vec();
        full.push(0);
        full.extend_from_slice(key.as_bytes());
        full
    }
}

/// Values of one type by key. Cheap to clone.
#[derive(Debug)]
pub struct Keyspace<T> {
    store: StateStore,
    bounds: Bounds,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Keyspace<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), bounds: self.bounds.clone(), of: PhantomData }
    }
}

impl<T> Keyspace<T> {
    pub(crate) fn new(store: StateStore, options: &KeyspaceOptions) -> Self {
        let bounds = Bounds {
            name: options.name.into(),
            entries_max: options.entries_max,
            value_bytes_max: options.value_bytes_max,
        };
        Self { store, bounds, of: PhantomData }
    }

    /// A batch of changes to this keyspace, for [`StateStore::write`].
    pub fn batch(&self) -> Batch<T> {
        Batch::new(self.bounds.clone())
    }

    /// Makes the changes of a batch, all or none: [`StateStore::write`]. Durable when this returns. Blocks.
    pub fn write(&self, batch: Batch<T>) -> Result<()> {
        self.store.write(batch)
    }

    /// Removes a key, if it is there. Durable when this returns. Blocks.
    pub fn remove(&self, key: &str) -> Result<()> {
        self.store.write(self.batch().remove(key))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.store.entries(&self.bounds.name)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Serialize> Keyspace<T> {
    /// Sets a key. Durable when this returns. Blocks.
    pub fn put(&self, key: &str, value: &T) -> Result<()> {
        self.store.write(self.batch().put(key, value)?)
    }
}

impl<T: DeserializeOwned> Keyspace<T> {
    /// A key's value. Blocks.
    pub fn get(&self, key: &str) -> Result<Option<T>> {
        let json = self.store.get_json(&self.bounds.full_key(key))?;
        json.map(|json| self.decode(key, &json)).transpose()
    }

    /// All keys that begin with `prefix` and their values, in the order of the keys' bytes. Blocks.
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, T)>> {
        let skip = self.bounds.name.len() + 1;
        let entries = self.store.scan_json(&self.bounds.full_key(prefix))?;
        entries
            .into_iter()
            .map(|(full_key, json)| {
                let key = String::from_utf8_lossy(&full_key[skip..]).into_owned();
                let value = self.decode(&key, &json)?;
                Ok((key, value))
            })
            .collect()
    }

    fn decode(&self, key: &str, json: &[u8]) -> Result<T> {
        serde_json::from_slice(json).map_err(|source| Error::Decode {
            keyspace: self.bounds.name.to_string(),
            key: key.to_owned(),
            source,
        })
    }
}
