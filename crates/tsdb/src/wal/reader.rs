//! Reading the log, record by record. What is damaged is skipped to the next page and told.

use std::path::Path;
use std::sync::mpsc;

use chunk_encoding::crc32c;
use sys::Fs;

use super::{
    FRAGMENT_FIRST, FRAGMENT_FULL, FRAGMENT_HEADER_BYTES, FRAGMENT_KIND_MASK, FRAGMENT_LAST, FRAGMENT_MIDDLE,
    FRAGMENT_SNAPPY, FRAGMENT_ZSTD, PAGE_BYTES, RECORD_BYTES_MAX,
};
use crate::{Error, Result};

/// Pages read at once.
const READ_PAGES: u64 = 32;
/// A shorter segment is not worth a thread.
const AHEAD_BYTES_MIN: u64 = 1 << 20;
/// Records are handed from thread to thread in blocks of this, so many of which may wait.
const BLOCK_BYTES: usize = 512 << 10;
const BLOCKS_AHEAD: usize = 3;

/// How reading a segment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentReport {
    /// Where the last whole record ends.
    pub(crate) good_end: u64,
    /// Damage that lies before whole records: offset and what did not fit.
    pub(crate) damaged: Vec<(u64, &'static str)>,
    /// The segment ends within a record.
    pub(crate) torn_at: Option<u64>,
}

/// Reads the records of one segment in order. An error of `each` stops the reading.
pub(crate) fn read_segment(
    fs: &dyn Fs,
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<SegmentReport> {
    let file = fs.open_read(path).map_err(Error::io("open", path))?;
    let length = file.len().map_err(Error::io("measure", path))?;
    let mut assembler = Assembler::default();
    let mut buf = Vec::new();
    let mut offset = 0;
    while offset < length {
        let take = (READ_PAGES * PAGE_BYTES as u64).min(length - offset);
        buf.resize(take as usize, 0);
        file.read_exact_at(offset, &mut buf).map_err(Error::io("read", path))?;
        for (idx, page) in buf.chunks(PAGE_BYTES).enumerate() {
            assembler.page(offset + (idx * PAGE_BYTES) as u64, page, &mut each)?;
        }
        offset += take;
    }
    Ok(assembler.finish())
}

/// Does the same, and reads, checks and decompresses on a thread of its own while `each` works on what came before.
pub(crate) fn read_segment_ahead(
    fs: &dyn Fs,
    path: &Path,
    mut each: impl FnMut(&[u8]),
) -> Result<SegmentReport> {
    if fs.file_len(path).map_err(Error::io("measure", path))? < AHEAD_BYTES_MIN {
        return read_segment(fs, path, |record| {
            each(record);
            Ok(())
        });
    }
    let (full, take) = mpsc::sync_channel::<RecordBlock>(BLOCKS_AHEAD);
    let (give_back, empty) = mpsc::channel::<RecordBlock>();
    std::thread::scope(|scope| {
        let reading =
            std::thread::Builder::new().name("wal-read".to_owned()).spawn_scoped(scope, move || {
                let mut block = RecordBlock::default();
                let report = read_segment(fs, path, |record| {
                    block.push(record);
                    if block.bytes.len() >= BLOCK_BYTES {
                        let next = empty.try_recv().unwrap_or_default();
                        // Nobody takes it only where the taker panics, which ends the scope.
                        full.send(std::mem::replace(&mut block, next)).ok();
                    }
                    Ok(())
                });
                full.send(block).ok();
                report
            });
        let reading = reading.map_err(Error::io("start a thread to read", path))?;
        for mut block in take {
            block.records().for_each(&mut each);
            block.clear();
            give_back.send(block).ok();
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Records back to back.
#[derive(Debug, Default)]
struct RecordBlock {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordBlock {
    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Puts fragments together.
#[derive(Default)]
struct Assembler {
    report: SegmentReport,
    /// The fragments of the record so far; where it started; its compression.
    partial: Option<(u64, u8)>,
    record: Vec<u8>,
    scratch: Vec<u8>,
    decoder: snap::raw::Decoder,
    /// Damage that is not yet known to be followed by whole records.
    suspect: Option<(u64, &'static str)>,
}

impl Assembler {
    fn page(
        &mut self,
        page_offset: u64,
        page: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut at = 0;
        while at < page.len() {
            let offset = page_offset + at as u64;
            let kind = page[at] & FRAGMENT_KIND_MASK;
            if page[at] == 0 {
                // Padding: nothing more in this page. Within a record there is none: a page was lost.
                if page[at..].iter().any(|byte| *byte != 0) {
                    self.damage(offset, "padding is not zero");
                } else if let Some((start, _)) = self.partial {
                    self.damage(start, "record without an end");
                }
                return Ok(());
            }
            let Some((data, end)) = fragment(page, at) else {
                self.damage(offset, "fragment ends too early");
                return Ok(());
            };
            let Some(data) = data else {
                self.damage(offset, "checksum does not match");
                return Ok(());
            };
            self.fragment(offset, page[at], kind, data);
            at = end;
            if matches!(kind, FRAGMENT_FULL | FRAGMENT_LAST) {
                self.complete(page_offset + at as u64, each)?;
            }
        }
        Ok(())
    }

    fn fragment(&mut self, offset: u64, header: u8, kind: u8, data: &[u8]) {
        let compression = header & (FRAGMENT_SNAPPY | FRAGMENT_ZSTD);
        match kind {
            FRAGMENT_FULL | FRAGMENT_FIRST => {
                if let Some((start, _)) = self.partial.take() {
                    self.damage(start, "record without an end");
                }
                self.record.clear();
                self.partial = Some((offset, compression));
            }
            FRAGMENT_MIDDLE | FRAGMENT_LAST if self.partial.is_some() => {}
            // The rest of a record whose start was damaged.
            _ => {
                if self.suspect.is_none() {
                    self.damage(offset, "fragment without a start");
                }
                return;
            }
        }
        if self.record.len() + data.len() > RECORD_BYTES_MAX {
            self.damage(offset, "record is too long");
            return;
        }
        self.record.extend_from_slice(data);
    }

    fn complete(&mut self, end: u64, each: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some((start, compression)) = self.partial.take() else { return Ok(()) };
        let record = match compression {
            0 => &self.record,
            _ if decompress(&mut self.decoder, compression, &self.record, &mut self.scratch) => &self.scratch,
            _ => {
                self.damage(start, "record does not decompress");
                return Ok(());
            }
        };
        each(record)?;
        self.report.good_end = end;
        if let Some(suspect) = self.suspect.take() {
            self.report.damaged.push(suspect);
        }
        Ok(())
    }

    fn damage(&mut self, offset: u64, reason: &'static str) {
        self.partial = None;
        self.suspect.get_or_insert((offset, reason));
    }

    fn finish(mut self) -> SegmentReport {
        // Damage behind the last whole record is what a crash leaves.
        self.report.torn_at = match (self.suspect, self.partial) {
            (Some((offset, _)), _) | (None, Some((offset, _))) => Some(offset),
            (None, None) => None,
        };
        self.report
    }
}

/// The fragment at `at`: its data where the checksum matches, and where it ends. `None` where it leaves the page.
fn fragment(page: &[u8], at: usize) -> Option<(Option<&[u8]>, usize)> {
    let header = page.get(at..at + FRAGMENT_HEADER_BYTES)?;
    let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
    let checksum = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
    let end = at + FRAGMENT_HEADER_BYTES + length;
    let data = page.get(at + FRAGMENT_HEADER_BYTES..end)?;
    Some(((crc32c(data) == checksum).then_some(data), end))
}

/// Expands a record; `false` where it is not what its header says.
pub(super) fn decompress(
    decoder: &mut snap::raw::Decoder,
    compression: u8,
    data: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    if compression & FRAGMENT_SNAPPY != 0 {
        let Ok(length) = snap::raw::decompress_len(data) else { return false };
        if length > RECORD_BYTES_MAX {
            return false;
        }
        out.resize(length, 0);
        return decoder.decompress(data, out).is_ok();
    }
    match zstd::bulk::decompress(data, RECORD_BYTES_MAX) {
        Ok(decompressed) => {
            *out = decompressed;
            true
        }
        Err(_) => false,
    }
}
