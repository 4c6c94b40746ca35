//! The tree as parsed, before anybody gives it types.

use std::sync::Arc;

use crate::place::Position;

/// A node: its own place, and a value that an alias shares with its anchor.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) position: Position,
    pub(crate) value: Arc<Value>,
    /// How many nodes the subtree has with all aliases followed.
    pub(crate) weight: u64,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Raw>),
    Map(Vec<Entry>),
}

/// A scalar as written. Its type is decided by who reads it.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    /// Whether it was quoted, a block or tagged as a string: then it is never null.
    pub(crate) quoted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) position: Position,
    pub(crate) value: Raw,
}

impl Raw {
    pub(crate) fn new(position: Position, value: Value) -> Self {
        let below = match &value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().fold(0, |sum: u64, item| sum.saturating_add(item.weight)),
            Value::Map(entries) => {
                entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.value.weight))
            }
        };
        Self { position, value: Arc::new(value), weight: below.saturating_add(1) }
    }

    pub(crate) fn null(position: Position) -> Self {
        Self::new(position, Value::Scalar(Scalar { text: "".into(), quoted: false }))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&*self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Identifies the value, shared by an anchor and its aliases.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.value).cast::<u8>() as usize
    }
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        !self.quoted && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}
