//! Following the log while it is written: for whoever sends on what is stored.
//!
//! A tail reads files only; it takes no lock of the database and holds nothing back. Segments that were folded into a
//! checkpoint before they were read are skipped, and that is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, TimestampMs};
use sys::{Fs, ReadAt};

use super::reader::{decompress, read_segment};
use super::record::{self, Record};
use super::{
    FRAGMENT_FIRST, FRAGMENT_FULL, FRAGMENT_HEADER_BYTES, FRAGMENT_KIND_MASK, FRAGMENT_LAST, FRAGMENT_SNAPPY,
    FRAGMENT_ZSTD, PAGE_BYTES, RECORD_BYTES_MAX, list_segments, segment_path,
};
use crate::head::replay::last_checkpoint;
use crate::{Error, Result};

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalPosition {
    /// The segment's number.
    pub segment: u64,
    /// The byte in it.
    pub offset: u64,
}

/// What a record holds. Series are named by the number that the log gives them.
#[derive(Clone, Debug, PartialEq)]
pub enum WalEvent {
    /// New series.
    Series(Vec<(u64, Labels)>),
    /// Float samples.
    Samples(Vec<(u64, TimestampMs, f64)>),
    /// Native histograms.
    Histograms(Vec<(u64, TimestampMs, FloatHistogram)>),
    /// Exemplars.
    Exemplars(Vec<(u64, Exemplar)>),
    /// What series are.
    Metadata(Vec<(u64, MetricMetadata)>),
    /// Segments were folded before they were read: their samples are not seen.
    Skipped {
        /// The first one that is missing.
        from: u64,
        /// Where it goes on.
        to: u64,
    },
}

/// Reads the log from a position on and goes on as it grows.
#[derive(Debug)]
pub struct WalTail {
    fs: Arc<dyn Fs>,
    wal: PathBuf,
    at: WalPosition,
    file: Option<Box<dyn ReadAt>>,
    page: Vec<u8>,
    record: Vec<u8>,
    scratch: Vec<u8>,
    /// Records that could not be read, since the start.
    damaged: u64,
}

/// What lies at a position.
enum Found {
    /// A record in `record`, decompressed, and where it ends.
    Record(u64),
    /// Nothing whole yet.
    Nothing,
    /// Damage; it goes on here.
    Damage(u64),
}

impl WalTail {
    /// Starts at `at` in the log of the database in `dir`.
    pub fn new(fs: Arc<dyn Fs>, dir: &Path, at: WalPosition) -> Self {
        Self {
            fs,
            wal: dir.join("wal"),
            at,
            file: None,
            page: Vec::new(),
            record: Vec::new(),
            scratch: Vec::new(),
            damaged: 0,
        }
    }

    /// Where the next record begins.
    pub fn position(&self) -> WalPosition {
        self.at
    }

    /// How many records could not be read.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Gives the series and metadata of the newest checkpoint: what is still needed of all segments up to the number that
    /// is returned.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read_checkpoint(&self, mut each: impl FnMut(WalEvent)) -> Result<Option<u64>> {
        let Some((covered, name)) = last_checkpoint(&*self.fs, &self.wal)? else { return Ok(None) };
        let dir = self.wal.join(name);
        for segment in self.segments(&dir)? {
            read_segment(&*self.fs, &segment_path(&dir, segment), |bytes| {
                if let Some(event @ (WalEvent::Series(_) | WalEvent::Metadata(_))) = decode(bytes) {
                    each(event);
                }
                Ok(())
            })?;
        }
        Ok(Some(covered))
    }

    /// The last segment that the newest checkpoint stands for.
    ///
    /// # Errors
    /// Where the log's directory cannot be listed.
    pub fn checkpoint(&self) -> Result<Option<u64>> {
        Ok(last_checkpoint(&*self.fs, &self.wal)?.map(|(covered, _)| covered))
    }

    /// Gives the series and metadata of everything before the position, checkpoint included: what later records refer to.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn read_series_before(&self, mut each: impl FnMut(WalEvent)) -> Result<()> {
        self.read_checkpoint(&mut each)?;
        for segment in self.segments(&self.wal)? {
            // The position's own segment is read whole: knowing a series early does no harm.
            if segment > self.at.segment {
                break;
            }
            read_segment(&*self.fs, &segment_path(&self.wal, segment), |bytes| {
                if let Some(event @ (WalEvent::Series(_) | WalEvent::Metadata(_))) = decode(bytes) {
                    each(event);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The next record's content; `None` where nothing more is there yet. Records without interest are passed over.
    ///
    /// # Errors
    /// Where the log cannot be read; the position stays.
    pub fn next_event(&mut self) -> Result<Option<WalEvent>> {
        loop {
            if self.file.is_none() && !self.open()? {
                return Ok(None);
            }
            if self.file.is_none() {
                // Segments are missing: tell, then go on with the first that is there.
                let from = self.at.segment;
                let Some(to) = self.segments(&self.wal)?.into_iter().find(|segment| *segment > from) else {
                    return Ok(None);
                };
                self.at = WalPosition { segment: to, offset: 0 };
                return Ok(Some(WalEvent::Skipped { from, to }));
            }
            match self.find()? {
                Found::Record(end) => {
                    self.at.offset = end;
                    if let Some(event) = decode(&self.record) {
                        return Ok(Some(event));
                    }
                }
                Found::Damage(next) => {
                    self.damaged += 1;
                    self.at.offset = next;
                }
                Found::Nothing => {
                    let following = self.at.segment + 1;
                    if !self.fs.exists(&segment_path(&self.wal, following)) {
                        return Ok(None);
                    }
                    // The next segment was made after the last write to this one: look once more, then leave it.
                    if let Found::Nothing = self.find()? {
                        self.at = WalPosition { segment: following, offset: 0 };
                        self.file = None;
                    }
                }
            }
        }
    }

    fn segments(&self, dir: &Path) -> Result<Vec<u64>> {
        list_segments(&*self.fs, dir).map_err(Error::io("list", dir))
    }

    /// Opens the position's segment. `false` where there is nothing to read, now or ever; `true` with no file where it is
    /// gone.
    fn open(&mut self) -> Result<bool> {
        let path = segment_path(&self.wal, self.at.segment);
        match self.fs.open_read(&path) {
            Ok(file) => {
                self.file = Some(file);
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.segments(&self.wal)?.iter().any(|segment| *segment > self.at.segment))
            }
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// Reads the record at the position into `record`.
    fn find(&mut self) -> Result<Found> {
        let Some(file) = &self.file else { return Ok(Found::Nothing) };
        let path = segment_path(&self.wal, self.at.segment);
        let length = file.len().map_err(Error::io("measure", &path))?;
        let mut offset = self.at.offset;
        self.record.clear();
        let mut compression = None;
        while offset < length {
            let page_start = offset / PAGE_BYTES as u64 * PAGE_BYTES as u64;
            let page_end = page_start + PAGE_BYTES as u64;
            let within = (offset - page_start) as usize;
            let take = (page_end.min(length) - page_start) as usize;
            self.page.resize(take, 0);
            file.read_exact_at(page_start, &mut self.page).map_err(Error::io("read", &path))?;
            let rest = &self.page[within..];
            if rest[0] == 0 {
                if page_end > length {
                    return Ok(Found::Nothing);
                }
                offset = page_end;
                continue;
            }
            let Some(header) = rest.get(..FRAGMENT_HEADER_BYTES) else {
                return Ok(if page_end > length { Found::Nothing } else { Found::Damage(page_end) });
            };
            let size = usize::from(u16::from_be_bytes([header[1], header[2]]));
            let checksum = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
            let Some(data) = rest.get(FRAGMENT_HEADER_BYTES..FRAGMENT_HEADER_BYTES + size) else {
                return Ok(if page_end > length { Found::Nothing } else { Found::Damage(page_end) });
            };
            if chunk_encoding::crc32c(data) != checksum || self.record.len() + size > RECORD_BYTES_MAX {
                return Ok(Found::Damage(page_end));
            }
            let kind = header[0] & FRAGMENT_KIND_MASK;
            let is_start = matches!(kind, FRAGMENT_FULL | FRAGMENT_FIRST);
            if is_start != compression.is_none() {
                // The rest of a record whose start was damaged, or a start within a record.
                let next = offset + (FRAGMENT_HEADER_BYTES + size) as u64;
                return Ok(Found::Damage(if is_start { offset } else { next }));
            }
            compression.get_or_insert(header[0] & (FRAGMENT_SNAPPY | FRAGMENT_ZSTD));
            self.record.extend_from_slice(data);
            offset += (FRAGMENT_HEADER_BYTES + size) as u64;
            if matches!(kind, FRAGMENT_FULL | FRAGMENT_LAST) {
                return Ok(self.complete(compression.unwrap_or(0), offset));
            }
        }
        Ok(Found::Nothing)
    }

    fn complete(&mut self, compression: u8, end: u64) -> Found {
        if compression != 0 {
            if !decompress(&mut snap::raw::Decoder::new(), compression, &self.record, &mut self.scratch) {
                return Found::Damage(end);
            }
            std::mem::swap(&mut self.record, &mut self.scratch);
        }
        Found::Record(end)
    }
}

fn decode(bytes: &[u8]) -> Option<WalEvent> {
    Some(match record::decode(bytes).ok()? {
        Record::Series(series) => WalEvent::Series(series),
        Record::Samples(samples) => {
            WalEvent::Samples(samples.iter().map(|s| (s.series, s.timestamp, s.value)).collect())
        }
        Record::Histograms(histograms) => {
            let plain = histograms.into_iter().map(|h| (h.series, h.timestamp, h.histogram));
            WalEvent::Histograms(plain.collect())
        }
        Record::Exemplars(exemplars) => WalEvent::Exemplars(exemplars),
        Record::Metadata(metadata) => WalEvent::Metadata(metadata),
        Record::Tombstones(_) | Record::MmapMarkers(_) | Record::Unknown(_) => return None,
    })
}

#[cfg(test)]
mod tests;
