//! What keeps bytes by key.

use std::fmt::Debug;

use crate::error::Result;

/// One change of a batch. Keys hold the keyspace, a zero byte and the key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key, if it is there.
    Remove(Vec<u8>),
}

/// A database of bytes.
pub trait Backend: Debug + Send + Sync {
    /// A key's value.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// All keys that begin with `prefix` and their values, in order.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Makes all changes or none; durable after the next [`Self::flush`].
    fn apply(&self, changes: &[Change]) -> Result<()>;

    /// Makes what was applied before durable.
    fn flush(&self) -> Result<()>;
}
