//! Writing the log: a batch of records in one write, never across segments, cut back to whole records after an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk_encoding::crc32c;
use sys::{AppendFile, Fs};

use super::{
    FRAGMENT_FIRST, FRAGMENT_FULL, FRAGMENT_HEADER_BYTES, FRAGMENT_LAST, FRAGMENT_MIDDLE, FRAGMENT_SNAPPY,
    PAGE_BYTES, list_segments, segment_path,
};
use crate::{Error, Result};

/// Records of one batch, compressed and ready to be framed. Made without any lock.
#[derive(Default)]
pub(crate) struct RecordBatch {
    /// Fragment type flags and bytes of each record, back to back.
    records: Vec<(u8, std::ops::Range<usize>)>,
    bytes: Vec<u8>,
    /// Kept with the batch: its tables are larger than most records.
    encoder: Option<Box<snap::raw::Encoder>>,
}

impl std::fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecordBatch({} records, {} bytes)", self.records.len(), self.bytes.len())
    }
}

impl RecordBatch {
    /// Adds a record, compressed where that makes it smaller.
    pub(crate) fn push(&mut self, record: &[u8], compress: bool) {
        let start = self.bytes.len();
        let mut flags = 0;
        if compress {
            self.bytes.resize(start + snap::raw::max_compress_len(record.len()), 0);
            let encoder = self.encoder.get_or_insert_with(|| Box::new(snap::raw::Encoder::new()));
            match encoder.compress(record, &mut self.bytes[start..]) {
                Ok(length) if length < record.len() => {
                    flags = FRAGMENT_SNAPPY;
                    self.bytes.truncate(start + length);
                }
                _ => self.bytes.truncate(start),
            }
        }
        if flags == 0 {
            self.bytes.extend_from_slice(record);
        }
        self.records.push((flags, start..self.bytes.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets all records and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }

    /// The bytes of memory that are held.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds all records of another batch.
    pub(crate) fn extend(&mut self, other: &Self) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        let moved =
            other.records.iter().map(|(flags, range)| (*flags, range.start + shift..range.end + shift));
        self.records.extend(moved);
    }

    /// Bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The log's open end.
#[derive(Debug)]
pub(crate) struct WalWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes: u64,
    segment: u64,
    file: Box<dyn AppendFile>,
    /// Length of the whole records in the segment.
    good_len: u64,
    /// Set when an error may have left part of a record behind `good_len`.
    torn: bool,
    frames: Vec<u8>,
    /// Bumped with every successful write.
    written: u64,
    /// Full segments that are not synced yet.
    retired: Vec<Box<dyn AppendFile>>,
}

impl WalWriter {
    /// Opens the log for writing in a new segment behind all that are there.
    pub(crate) fn open(fs: Arc<dyn Fs>, dir: &Path, segment_bytes: u64) -> Result<Self> {
        create_dir_durably(&*fs, dir)?;
        let segments = list_segments(&*fs, dir).map_err(Error::io("list", dir))?;
        let segment = segments.last().map_or(0, |last| last + 1);
        let file = create_segment(&*fs, dir, segment)?;
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            segment_bytes,
            segment,
            file,
            good_len: 0,
            torn: false,
            frames: Vec::new(),
            written: 0,
            retired: Vec::new(),
        })
    }

    /// The segment being written.
    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// How many batches were written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all records of `batches`, or none.
    pub(crate) fn write(&mut self, batches: &[&RecordBatch]) -> Result<()> {
        if self.torn {
            self.cut_back()?;
        }
        self.frame(batches);
        if self.good_len > 0 && self.good_len + self.frames.len() as u64 > self.segment_bytes {
            self.next_segment()?;
            self.frame(batches);
        }
        let path = segment_path(&self.dir, self.segment);
        if let Err(error) = self.file.append(&self.frames) {
            self.torn = true;
            // A second failure here leaves `torn` set, and the next write tries again.
            self.cut_back().ok();
            return Err(Error::io("append to", &path)(error));
        }
        self.good_len += self.frames.len() as u64;
        self.written += 1;
        Ok(())
    }

    /// Ends the segment and starts the next one; the full one waits in [`Self::take_retired`] to be synced.
    pub(crate) fn next_segment(&mut self) -> Result<()> {
        if self.torn {
            self.cut_back()?;
        }
        let full = self.replace_file()?;
        self.retired.push(full);
        Ok(())
    }

    /// Leaves a segment whose sync failed, and writes what was not synced into a new one.
    pub(crate) fn replace_segment(&mut self, unsynced: &RecordBatch) -> Result<()> {
        self.replace_file()?;
        self.retired.clear();
        if !unsynced.is_empty() {
            self.write(&[unsynced])?;
        }
        let path = segment_path(&self.dir, self.segment);
        self.file.sync().map_err(Error::io("sync", &path))
    }

    /// Makes all segments written by this writer durable.
    pub(crate) fn sync_all(&mut self) -> Result<()> {
        for mut full in self.take_retired() {
            full.sync().map_err(Error::io("sync", &self.dir))?;
        }
        let path = segment_path(&self.dir, self.segment);
        self.file.sync().map_err(Error::io("sync", &path))
    }

    /// Full segments that have to be synced.
    pub(crate) fn take_retired(&mut self) -> Vec<Box<dyn AppendFile>> {
        std::mem::take(&mut self.retired)
    }

    fn replace_file(&mut self) -> Result<Box<dyn AppendFile>> {
        let file = create_segment(&*self.fs, &self.dir, self.segment + 1)?;
        self.segment += 1;
        self.good_len = 0;
        self.torn = false;
        Ok(std::mem::replace(&mut self.file, file))
    }

    /// A second handle of the open segment, to sync it while it is appended to.
    pub(crate) fn sync_handle(&self) -> Result<Box<dyn AppendFile>> {
        let path = segment_path(&self.dir, self.segment);
        self.fs.open_append(&path).map_err(Error::io("open", &path))
    }

    fn cut_back(&mut self) -> Result<()> {
        let path = segment_path(&self.dir, self.segment);
        self.file.truncate(self.good_len).map_err(Error::io("truncate", &path))?;
        self.torn = false;
        Ok(())
    }

    fn frame(&mut self, batches: &[&RecordBatch]) {
        self.frames.clear();
        for batch in batches {
            frame_from(batch, self.good_len as usize, &mut self.frames);
        }
    }
}

/// A segment that holds just these records.
pub(crate) fn frame_all(batch: &RecordBatch) -> Vec<u8> {
    let mut frames = Vec::new();
    frame_from(batch, 0, &mut frames);
    frames
}

/// Lays the records out as fragments behind `frames`, which begins at `start` in its segment.
fn frame_from(batch: &RecordBatch, start: usize, frames: &mut Vec<u8>) {
    for (flags, range) in &batch.records {
        let mut rest = &batch.bytes[range.clone()];
        let mut first = true;
        loop {
            let space = PAGE_BYTES - (start + frames.len()) % PAGE_BYTES;
            if space <= FRAGMENT_HEADER_BYTES {
                // What is left of the page cannot hold a fragment with data.
                frames.resize(frames.len() + space, 0);
                continue;
            }
            let length = rest.len().min(space - FRAGMENT_HEADER_BYTES);
            let (data, behind) = rest.split_at(length);
            let kind = match (first, behind.is_empty()) {
                (true, true) => FRAGMENT_FULL,
                (true, false) => FRAGMENT_FIRST,
                (false, false) => FRAGMENT_MIDDLE,
                (false, true) => FRAGMENT_LAST,
            };
            frames.push(kind | flags);
            frames.extend_from_slice(&(length as u16).to_be_bytes());
            frames.extend_from_slice(&crc32c(data).to_be_bytes());
            frames.extend_from_slice(data);
            if behind.is_empty() {
                break;
            }
            (rest, first) = (behind, false);
        }
    }
}

/// Creates a directory whose name outlives a power loss.
pub(crate) fn create_dir_durably(fs: &dyn Fs, dir: &Path) -> Result<()> {
    if fs.read_dir(dir).is_ok() {
        return Ok(());
    }
    fs.create_dir_all(dir).map_err(Error::io("create", dir))?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs.sync_dir(parent).map_err(Error::io("sync", parent))
        }
        _ => Ok(()),
    }
}

fn create_segment(fs: &dyn Fs, dir: &Path, segment: u64) -> Result<Box<dyn AppendFile>> {
    let path = segment_path(dir, segment);
    let file = fs.create_new(&path).map_err(Error::io("create", &path))?;
    fs.sync_dir(dir).map_err(Error::io("sync", dir))?;
    Ok(file)
}
