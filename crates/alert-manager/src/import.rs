//! Alertmanager's data directory: its silences and notification log, taken over at the first start.
//!
//! Both files are records of protobuf, each with its length before it. The messages are the original's; what we have no use
//! for is skipped.

use std::collections::BTreeMap;
use std::path::Path;

use model::TimestampNs;
use prost::Message;

use crate::notification_log::{LogEntry, NotificationLog};
use crate::silences::{Silence, SilenceMatcher};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A time of protobuf.
#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    pattern: String,
}

#[derive(Clone, PartialEq, Message)]
struct MatcherSet {
    #[prost(message, repeated, tag = "1")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct OldComment {
    #[prost(string, tag = "1")]
    author: String,
    #[prost(string, tag = "2")]
    comment: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredSilence {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "2")]
    matchers: Vec<Matcher>,
    #[prost(message, optional, tag = "3")]
    starts_at: Option<Time>,
    #[prost(message, optional, tag = "4")]
    ends_at: Option<Time>,
    #[prost(message, optional, tag = "5")]
    updated_at: Option<Time>,
    #[prost(message, repeated, tag = "7")]
    comments: Vec<OldComment>,
    #[prost(string, tag = "8")]
    created_by: String,
    #[prost(string, tag = "9")]
    comment: String,
    #[prost(btree_map = "string, string", tag = "10")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "11")]
    matcher_sets: Vec<MatcherSet>,
}

#[derive(Clone, PartialEq, Message)]
struct MeshSilence {
    #[prost(message, optional, tag = "1")]
    silence: Option<StoredSilence>,
}

#[derive(Clone, PartialEq, Message)]
struct Receiver {
    #[prost(string, tag = "1")]
    group_name: String,
    #[prost(string, tag = "2")]
    integration: String,
    #[prost(uint32, tag = "3")]
    idx: u32,
}

#[derive(Clone, PartialEq, Message)]
struct StoredEntry {
    #[prost(bytes = "vec", tag = "1")]
    group_key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    receiver: Option<Receiver>,
    #[prost(message, optional, tag = "5")]
    timestamp: Option<Time>,
    #[prost(uint64, repeated, tag = "6")]
    firing: Vec<u64>,
    #[prost(uint64, repeated, tag = "7")]
    resolved: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct MeshEntry {
    #[prost(message, optional, tag = "1")]
    entry: Option<StoredEntry>,
    #[prost(message, optional, tag = "2")]
    expires_at: Option<Time>,
}

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub struct Imported {
    /// The silences.
    pub silences: Vec<Silence>,
    /// The notification log.
    pub log: Vec<LogEntry>,
    /// Records that mean something that we do not have, or that are damaged.
    pub skipped: usize,
}

/// Why nothing is taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than one that is read.
    #[error("{file} has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
    },
}

/// Reads `silences` and `nflog` of a directory; files that are not there are empty. Blocks.
pub fn read(dir: &Path) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut skipped = 0;
    for record in records(&load(&dir.join("silences"))?, &mut skipped) {
        match MeshSilence::decode(record).ok().and_then(|mesh| silence(mesh.silence?)) {
            Some(silence) => imported.silences.push(silence),
            None => imported.skipped += 1,
        }
    }
    for record in records(&load(&dir.join("nflog"))?, &mut skipped) {
        match MeshEntry::decode(record).ok().and_then(entry) {
            Some(entry) => imported.log.push(entry),
            None => imported.skipped += 1,
        }
    }
    imported.skipped += skipped;
    Ok(imported)
}

fn load(path: &Path) -> Result<Vec<u8>, ImportError> {
    let file = path.display().to_string();
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        // A directory of that name is not the original's.
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ImportError::Read { file, source }),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(ImportError::TooLarge { file, bytes });
    }
    std::fs::read(path).map_err(|source| ImportError::Read { file, source })
}

/// The records of a file, as far as their lengths can be followed.
fn records<'b>(mut bytes: &'b [u8], skipped: &mut usize) -> Vec<&'b [u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let len = prost::decode_length_delimiter(&mut bytes);
        let Some((record, rest)) = len.ok().and_then(|len| bytes.split_at_checked(len)) else {
            *skipped += 1;
            break;
        };
        records.push(record);
        bytes = rest;
    }
    records
}

fn ns(time: Option<Time>) -> Option<TimestampNs> {
    let time = time?;
    time.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(time.nanos))
}

fn silence(stored: StoredSilence) -> Option<Silence> {
    let matchers = match stored.matcher_sets.as_slice() {
        [] => stored.matchers,
        [one] => one.matchers.clone(),
        // We have no silences that match in one way or another.
        _ => return None,
    };
    let matcher = |matcher: Matcher| {
        let (is_regex, is_equal) = match matcher.kind {
            0 => (false, true),
            1 => (true, true),
            2 => (false, false),
            3 => (true, false),
            _ => return None,
        };
        Some(SilenceMatcher { name: matcher.name, value: matcher.pattern, is_regex, is_equal })
    };
    let old = stored.comments.into_iter().next().unwrap_or_default();
    let or = |text: String, old: String| if text.is_empty() { old } else { text };
    Some(Silence {
        id: stored.id,
        matchers: matchers
            .into_iter()
            .map(matcher)
            .collect::<Option<Vec<_>>>()
            .filter(|all| !all.is_empty())?,
        starts_at: ns(stored.starts_at)?,
        ends_at: ns(stored.ends_at)?,
        updated_at: ns(stored.updated_at)?,
        created_by: or(stored.created_by, old.author),
        comment: or(stored.comment, old.comment),
        annotations: stored.annotations,
    })
}

fn entry(mesh: MeshEntry) -> Option<LogEntry> {
    let stored = mesh.entry?;
    let receiver = stored.receiver?;
    let group_key = String::from_utf8(stored.group_key).ok()?;
    let idx = usize::try_from(receiver.idx).ok()?;
    Some(LogEntry {
        key: NotificationLog::key(&group_key, &receiver.group_name, &receiver.integration, idx),
        timestamp: ns(stored.timestamp)?,
        firing: stored.firing.into_iter().collect(),
        resolved: stored.resolved.into_iter().collect(),
        expires_at: ns(mesh.expires_at)?,
        memory: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_give_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Imported::default());
        let matcher = Matcher { kind: 3, name: "a".to_owned(), pattern: "b|c".to_owned() };
        let time = |seconds| Some(Time { seconds, nanos: 5 });
        let stored = StoredSilence {
            id: "x".to_owned(),
            matchers: vec![matcher.clone()],
            starts_at: time(1),
            ends_at: time(2),
            updated_at: time(1),
            comments: vec![OldComment { author: "me".to_owned(), comment: "why".to_owned() }],
            ..StoredSilence::default()
        };
        let mesh =
            |silence: StoredSilence| MeshSilence { silence: Some(silence) }.encode_length_delimited_to_vec();
        let mut bytes = mesh(stored.clone());
        bytes.extend(mesh(StoredSilence { matcher_sets: vec![MatcherSet::default(); 2], ..stored.clone() }));
        bytes.extend(mesh(StoredSilence { matchers: vec![Matcher { kind: 9, ..matcher }], ..stored }));
        bytes.extend([200, 1, 7]);
        std::fs::write(dir.path().join("silences"), bytes).unwrap();
        std::fs::write(dir.path().join("nflog"), [3, 255, 255, 255]).unwrap();
        let imported = read(dir.path()).unwrap();
        assert_eq!((imported.silences.len(), imported.log.len(), imported.skipped), (1, 0, 4));
        let silence = &imported.silences[0];
        assert_eq!((silence.created_by.as_str(), silence.comment.as_str()), ("me", "why"));
        assert_eq!((silence.starts_at, silence.ends_at), (1_000_000_005, 2_000_000_005));
        assert!(silence.matchers[0].is_regex && !silence.matchers[0].is_equal);
    }
}
