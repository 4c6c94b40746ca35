//! A map that knows which of its keys were read.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::node::Node;
use crate::problem::Reported;
use crate::suggest::nearest;
use crate::tree::{Entry, Value};

/// A map being read. Clones share what was read, so inline blocks can take their keys from it; whoever called
/// [`Node::map`] calls [`Self::finish`] when all of them are done.
#[derive(Clone)]
pub struct Map {
    node: Node,
    asked: Arc<Mutex<HashSet<String>>>,
}

impl Map {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, asked: Arc::default() }
    }

    /// The node that the map is.
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn entries_raw(&self) -> &[Entry] {
        match &*self.node.raw().value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        let mut asked = self.asked();
        if !asked.contains(key) {
            asked.insert(key.to_owned());
        }
        drop(asked);
        self.entries_raw().iter().find(|entry| &*entry.key == key)
    }

    /// The key's value, null included.
    pub fn present(&self, key: &str) -> Option<Node> {
        self.entry(key).map(|entry| self.node.child(key, entry.value.clone()))
    }

    /// The key's value; `None` where it is absent or null, as the originals take null for "leave the default".
    pub fn optional(&self, key: &str) -> Option<Node> {
        self.present(key).filter(|node| !node.is_null())
    }

    /// The key's value; reports an error where it is absent or null.
    pub fn required(&self, key: &str) -> Result<Node, Reported> {
        self.optional(key).ok_or_else(|| self.node.error(format_args!("required key {key:?} is missing")))
    }

    /// Reads the key's value if it is there.
    pub fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Node) -> Result<T, Reported>,
    ) -> Result<Option<T>, Reported> {
        self.optional(key).map(|node| read(&node)).transpose()
    }

    /// Reads the key's value, or takes `default`.
    pub fn read_or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(&Node) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        Ok(self.read(key, read)?.unwrap_or(default))
    }

    /// Sets `target` if the key is there and right. A wrong value is reported (so [`crate::Document::read`] fails) and
    /// leaves `target`, so that reading goes on to the next error.
    pub fn set<T>(&self, target: &mut T, key: &str, read: impl FnOnce(&Node) -> Result<T, Reported>) {
        if let Ok(Some(value)) = self.read(key, read) {
            *target = value;
        }
    }

    /// Like [`Self::set`] for an optional field.
    pub fn set_some<T>(
        &self,
        target: &mut Option<T>,
        key: &str,
        read: impl FnOnce(&Node) -> Result<T, Reported>,
    ) {
        if let Ok(Some(value)) = self.read(key, read) {
            *target = Some(value);
        }
    }

    /// All keys with their values, in the order of the file; counts as reading them all.
    pub fn entries(&self) -> Vec<(String, Node)> {
        let keys = self.keys();
        self.asked().extend(keys.iter().cloned());
        keys.into_iter()
            .zip(self.entries_raw())
            .map(|(key, entry)| {
                let node = self.node.child(&key, entry.value.clone());
                (key, node)
            })
            .collect()
    }

    /// The keys, in the order of the file; does not count as reading them.
    pub fn keys(&self) -> Vec<String> {
        self.entries_raw().iter().map(|entry| entry.key.to_string()).collect()
    }

    /// Whether the key is there, null or not; does not count as reading it.
    pub fn has(&self, key: &str) -> bool {
        self.entries_raw().iter().any(|entry| &*entry.key == key)
    }

    /// Declares keys that are known and have no meaning here: each that is there gives one warning.
    pub fn without_meaning(&self, keys: &[&str], why: &str) {
        for key in keys {
            if let Some(entry) = self.entry(key) {
                let node = self.node.child(key, entry.value.clone());
                node.warn_at(
                    self.node.shared().place(entry.position),
                    format_args!("accepted without effect: {why}"),
                );
            }
        }
    }

    /// Declares keys that are known and not built yet: each that is there is an error that says so.
    pub fn not_built(&self, keys: &[&str]) -> Result<(), Reported> {
        let mut failed = Ok(());
        for key in keys {
            if let Some(node) = self.optional(key) {
                failed = Err(node.error("this setting is known but not built yet: remove it"));
            }
        }
        failed
    }

    /// Reports an error where more than one of `keys` is there.
    pub fn at_most_one(&self, keys: &[&str]) -> Result<(), Reported> {
        let given: Vec<&str> = keys.iter().copied().filter(|key| self.optional(key).is_some()).collect();
        if given.len() > 1 {
            return Err(self.node.error(format_args!("at most one of {} may be set", given.join(", "))));
        }
        Ok(())
    }

    /// Reports an error at the map.
    pub fn error(&self, message: impl fmt::Display) -> Reported {
        self.node.error(message)
    }

    /// Reports every key that nobody asked for, with the nearest key that somebody did.
    pub fn finish(&self) -> Result<(), Reported> {
        let asked = self.asked().clone();
        let mut known: Vec<&str> = asked.iter().map(String::as_str).collect();
        known.sort_unstable();
        let mut failed = Ok(());
        for entry in self.entries_raw() {
            let key = &*entry.key;
            if asked.contains(key) {
                continue;
            }
            let hint = nearest(key, known.iter().copied())
                .map(|near| format!(", did you mean {near:?}"))
                .unwrap_or_default();
            let place = self.node.shared().place(entry.position);
            let message = format!("unknown key {key:?}{hint}");
            if self.node.shared().lenient.load(Ordering::Relaxed) {
                self.node.warn_at(place, message);
            } else {
                failed = Err(self.node.error_at(place, message));
            }
        }
        failed
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({:?})", self.node)
    }
}
