//! Entries of one stream in memory, as they came.

use std::sync::Arc;

use model::TimestampNs;

/// Structured metadata of an entry: sorted by name, each name once; shared by neighbours that have the same.
pub(crate) type MetadataSet = Arc<[(String, String)]>;

/// A page is closed when its lines take so many bytes: what a scan may have to copy of each stream.
const PAGE_BYTES: usize = 64 << 10;
/// A page is closed when it has so many rows.
const PAGE_ROWS: usize = 1024;

/// An entry by reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) timestamp: TimestampNs,
    pub(crate) line: &'a str,
    pub(crate) metadata: &'a [(String, String)],
}

/// Entries of one stream in the order of their arrival.
#[derive(Clone, Debug)]
pub(crate) struct RawPage {
    pub(crate) timestamps: Vec<TimestampNs>,
    ends: Vec<u32>,
    text: String,
    sets: Vec<MetadataSet>,
    /// Index into `sets` plus 1 for each row, 0 for none; empty while no row has metadata.
    set_idx: Vec<u32>,
    pub(crate) min: TimestampNs,
    pub(crate) max: TimestampNs,
    pub(crate) sorted: bool,
}

impl Default for RawPage {
    fn default() -> Self {
        Self {
            timestamps: Vec::new(),
            ends: Vec::new(),
            text: String::new(),
            sets: Vec::new(),
            set_idx: Vec::new(),
            min: TimestampNs::MAX,
            max: TimestampNs::MIN,
            sorted: true,
        }
    }
}

impl RawPage {
    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub(crate) fn line_bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether a line of `line_bytes` goes to the next page: this one would outgrow the memory that it has.
    pub(crate) fn is_full(&self, line_bytes: usize) -> bool {
        !self.is_empty() && (self.text.len() + line_bytes > PAGE_BYTES || self.len() >= PAGE_ROWS)
    }

    pub(crate) fn push(&mut self, row: Row<'_>) {
        self.sorted &= row.timestamp >= self.timestamps.last().copied().unwrap_or(TimestampNs::MIN);
        self.min = self.min.min(row.timestamp);
        self.max = self.max.max(row.timestamp);
        self.text.push_str(row.line);
        self.timestamps.push(row.timestamp);
        self.ends.push(self.text.len() as u32);
        self.push_metadata(row.metadata);
    }

    fn push_metadata(&mut self, metadata: &[(String, String)]) {
        if metadata.is_empty() {
            if !self.set_idx.is_empty() {
                self.set_idx.push(0);
            }
            return;
        }
        self.set_idx.resize(self.len() - 1, 0);
        // Only the latest few are looked through: neighbours repeat, and unique ones would make this quadratic.
        let known = self.sets.iter().rev().take(8).position(|set| **set == *metadata);
        let idx = match known {
            Some(back) => self.sets.len() - back,
            None => {
                self.sets.push(metadata.into());
                self.sets.len()
            }
        };
        self.set_idx.push(idx as u32);
    }

    pub(crate) fn line(&self, row: usize) -> &str {
        let from = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.text[from..self.ends[row] as usize]
    }

    pub(crate) fn metadata(&self, row: usize) -> &[(String, String)] {
        match self.set_idx.get(row) {
            Some(idx) if *idx > 0 => &self.sets[*idx as usize - 1],
            _ => &[],
        }
    }

    /// Whether any entry has metadata of this name.
    pub(crate) fn has_metadata(&self, name: &str) -> bool {
        self.sets.iter().any(|set| set.iter().any(|(known, _)| known == name))
    }

    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        Row { timestamp: self.timestamps[row], line: self.line(row), metadata: self.metadata(row) }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }

    pub(crate) fn contains(&self, wanted: Row<'_>) -> bool {
        if !(self.min..=self.max).contains(&wanted.timestamp) {
            return false;
        }
        let same = |row: usize| {
            self.timestamps[row] == wanted.timestamp
                && self.line(row) == wanted.line
                && self.metadata(row) == wanted.metadata
        };
        if self.sorted {
            let from = self.timestamps.partition_point(|ts| *ts < wanted.timestamp);
            return (from..self.len()).take_while(|row| self.timestamps[*row] == wanted.timestamp).any(same);
        }
        (0..self.len()).any(same)
    }
}

/// The bytes that an entry takes in memory beside its page.
pub(crate) fn entry_bytes(row: Row<'_>) -> u64 {
    let metadata: usize = row.metadata.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    (row.line.len() + 16 + metadata) as u64
}
