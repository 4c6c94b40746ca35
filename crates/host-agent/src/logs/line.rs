//! A line on its way from a source to delivery, and the place that identifies it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A place right after a line. Places of one generation only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// A byte offset, or a time in ns.
    pub(crate) offset: u64,
    /// Lines that share the offset, from 1; 0 where offsets are unique.
    pub(crate) ordinal: u32,
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Which incarnation of the source.
    pub(crate) generation: u64,
    /// The place after the last line.
    pub(crate) place: Place,
}

/// Gives places to lines that have nothing but a time, also where the clock is set back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockedPlaces {
    last: Place,
}

impl ClockedPlaces {
    /// The place of the last line.
    pub(crate) fn last(&self) -> Place {
        self.last
    }

    /// The place of the next line, which has this time. A time before the last one counts as the last one: places never fall.
    pub(crate) fn next(&mut self, time_ns: i64) -> Place {
        let offset = u64::try_from(time_ns).unwrap_or(0);
        self.last = if offset > self.last.offset {
            Place { offset, ordinal: 1 }
        } else {
            Place { offset: self.last.offset, ordinal: self.last.ordinal.saturating_add(1) }
        };
        self.last
    }
}

/// A field's value: text, or the container's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Text(String),
    Map(BTreeMap<String, String>),
}

/// What all lines of a source have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Such as `host1/docker/<id>/stdout`.
    pub(crate) key: Arc<str>,
    pub(crate) generation: u64,
    /// The fields of an event beside its message and its time.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Labels that identify the origin on metrics and logs alike: `host`, `container` and so on.
    pub(crate) identity: Vec<(String, String)>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) timestamp_ns: i64,
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// Lines of one source, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceLines {
    pub(crate) source: Arc<Source>,
    pub(crate) lines: Vec<Line>,
}

/// The most bytes of a line; what is longer is cut into several.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes as text; what is no UTF-8 is replaced, and a trailing carriage return is dropped.
pub(crate) fn line_text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// FNV-1a: stable over versions and machines, which a generation must be.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter().chain(&[0xff])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_never_fall() {
        let mut places = ClockedPlaces::default();
        let got: Vec<(u64, u32)> =
            [5, 5, 7, 6, 7, 8].map(|t| places.next(t)).map(|p| (p.offset, p.ordinal)).into();
        assert_eq!(got, [(5, 1), (5, 2), (7, 1), (7, 2), (7, 3), (8, 1)]);
    }

    #[test]
    fn hashes_keep_parts_apart() {
        assert_ne!(stable_hash(&[b"ab", b"c"]), stable_hash(&[b"a", b"bc"]));
        assert_eq!(stable_hash(&[b"a"]), stable_hash(&[b"a"]));
        assert_eq!(line_text(b"a\r\n"), "a");
    }
}
