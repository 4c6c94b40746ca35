//! Changes that are made together.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::backend::Change;
use crate::error::{Error, Result};
use crate::keyspace::Bounds;
use crate::value;

/// Changes of one keyspace, or, after [`Self::and`], of several; made by [`crate::StateStore::write`].
#[derive(Debug)]
pub struct Batch<T> {
    pub(crate) changes: Vec<Change>,
    pub(crate) bounds: BTreeMap<String, Bounds>,
    space: Bounds,
    of: PhantomData<fn(T)>,
}

impl<T> Batch<T> {
    pub(crate) fn new(space: Bounds) -> Self {
        let bounds = BTreeMap::from([(space.name.to_string(), space.clone())]);
        Self { changes: Vec::new(), bounds, space, of: PhantomData }
    }

    /// Removes a key, if it is there.
    #[must_use]
    pub fn remove(mut self, key: &str) -> Self {
        self.changes.push(Change::Remove(self.space.full_key(key)));
        self
    }

    /// Adds the changes of another batch.
    #[must_use]
    pub fn and<U>(mut self, other: Batch<U>) -> Self {
        self.changes.extend(other.changes);
        self.bounds.extend(other.bounds);
        self
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl<T: Serialize> Batch<T> {
    /// Sets a key.
    pub fn put(mut self, key: &str, value: &T) -> Result<Self> {
        let keyspace = || self.space.name.to_string();
        let json: Box<RawValue> = serde_json::value::to_raw_value(value).map_err(|source| Error::Encode {
            keyspace: keyspace(),
            key: key.to_owned(),
            source,
        })?;
        let json = json.get().as_bytes();
        let bounds = &self.space;
        if json.len() > bounds.value_bytes_max {
            let limit = bounds.value_bytes_max;
            return Err(Error::Full { keyspace: keyspace(), what: "bytes per value", limit });
        }
        let full_key = bounds.full_key(key);
        let stored = value::seal(&full_key, json);
        self.changes.push(Change::Put(full_key, stored));
        Ok(self)
    }
}
