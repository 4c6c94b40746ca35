//! One log line.

use crate::TimestampNs;

/// A log line with its time and its structured metadata (Loki's data model).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// When, in ns since the epoch.
    pub timestamp: TimestampNs,
    /// The line, without its newline.
    pub line: String,
    /// Pairs beside the line, sorted by name.
    pub structured_metadata: Vec<(String, String)>,
}
