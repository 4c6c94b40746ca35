//! Writing: entries of several streams, durable before the call returns.

use std::borrow::Cow;
use std::sync::Arc;

use model::{Labels, LogEntry, TimestampNs};

/// Entries to store. Either all that are not rejected are durable when `append` returns, or it returns an error.
#[derive(Clone, Debug, Default)]
pub struct LogBatch<'a> {
    /// Entries by stream; a stream may stand here more than once.
    pub streams: Vec<StreamEntries<'a>>,
}

/// An entry on its way into the store: its line may lie in what the client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchEntry<'a> {
    /// When.
    pub timestamp: TimestampNs,
    /// The line.
    pub line: Cow<'a, str>,
    /// Structured metadata, in any order.
    pub structured_metadata: Vec<(String, String)>,
}

impl BatchEntry<'_> {
    /// The entry with a line of its own.
    pub fn to_entry(&self) -> LogEntry {
        let (timestamp, line) = (self.timestamp, self.line.clone().into_owned());
        LogEntry { timestamp, line, structured_metadata: self.structured_metadata.clone() }
    }
}

impl From<LogEntry> for BatchEntry<'_> {
    fn from(entry: LogEntry) -> Self {
        let LogEntry { timestamp, line, structured_metadata } = entry;
        Self { timestamp, line: Cow::Owned(line), structured_metadata }
    }
}

/// Entries of one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamEntries<'a> {
    /// The stream's labels.
    pub labels: Labels,
    /// The entries, in any order of time.
    pub entries: Vec<BatchEntry<'a>>,
    /// Whether the entries are exempt from the window for out-of-order and old lines: a late site's delivery with positions.
    pub accept_late: bool,
    /// Where the entries stand in their source, where the sender says so: what arrives twice is then stored once.
    pub source: Option<EntrySource>,
}

/// Where entries of one source stand in it. The store keeps how far each source and generation has come in the same log
/// record as the entries, and drops (as duplicates) entries at or before that place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySource {
    /// The agent and the source within it, such as `host1/docker/<container id>/stdout`.
    pub source: Arc<str>,
    /// Which incarnation of the source: a rotated file's inode and first bytes, a container's creation.
    pub generation: u64,
    /// For each entry the place after it, growing.
    pub places: Vec<SourcePlace>,
}

/// A place in a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePlace {
    /// A byte offset, or a timestamp.
    pub offset: u64,
    /// Counts lines that share an offset, from 1 (the Docker API's timestamps); 0 where offsets are unique.
    pub ordinal: u32,
}

/// How far a source has come: never a counter of the agent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The agent and the source within it.
    pub source: Arc<str>,
    /// Which incarnation of the source.
    pub generation: u64,
    /// The place after the last entry that is stored or was rejected for good.
    pub place: SourcePlace,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppendOutcome {
    /// Entries that are now durable.
    pub stored: u64,
    /// Entries that were there already.
    pub duplicates: u64,
    /// Entries that were refused, with the index of their stream and of the entry in it; at most 100 of them.
    pub rejections: Vec<(usize, usize, EntryRejection)>,
    /// How many were refused in all.
    pub rejected: u64,
}

/// Why an entry was refused; the others are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryRejection {
    /// Older than the stream's newest entry by more than the window.
    TooFarBehind {
        /// The oldest time that the stream still takes.
        oldest_accepted: TimestampNs,
    },
    /// Older than the tenant's `reject_old_samples_max_age`.
    TooOld {
        /// The oldest time that is still taken.
        oldest_accepted: TimestampNs,
    },
    /// Newer than now by more than the grace period.
    TooNew,
    /// Longer than the tenant's `max_line_size`.
    LineTooLong {
        /// The limit in bytes.
        limit: u64,
    },
}
