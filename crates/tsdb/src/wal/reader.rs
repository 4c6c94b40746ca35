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
    let take = |block: &mut RecordBlock| {
        block.records().try_for_each(&mut each)?;
        block.clear();
        Ok(())
    };
    Ok(read_blocks(fs, path, take)?.0)
}

/// Reads a segment and shows the records that have come together to `each` after every one, which may take them out. Returns
/// those that were left, too.
fn read_blocks(
    fs: &dyn Fs,
    path: &Path,
    mut each: impl FnMut(&mut RecordBlock) -> Result<()>,
) -> Result<(SegmentReport, RecordBlock)> {
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
                let (report, rest) = read_blocks(fs, path, |block| {
                    if block.used >= BLOCK_BYTES {
                        let next = empty.try_recv().unwrap_or_default();
                        // Nobody takes it only where the taker panics, which ends the scope.
                        full.send(std::mem::replace(block, next)).ok();
                    }
                    Ok(())
                })?;
                full.send(rest).ok();
                Ok(report)
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
    /// As long as it ever was: room is not cleared for each record anew.
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
}

impl RecordBlock {
    /// Room for a record, with anything in it. It becomes one by [`Self::push_room`].
    fn room(&mut self, length: usize) -> &mut [u8] {
        let end = self.used + length;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.used..end]
    }

    fn push_room(&mut self, length: usize) {
        self.used += length;
        self.ends.push(self.used);
    }

    fn push(&mut self, record: &[u8]) {
        self.room(record.len()).copy_from_slice(record);
        self.push_room(record.len());
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }

    fn clear(&mut self) {
        self.used = 0;
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
    /// Whole records.
    block: RecordBlock,
    decoder: snap::raw::Decoder,
    /// Damage that is not yet known to be followed by whole records.
    suspect: Option<(u64, &'static str)>,
}

impl Assembler {
    fn page(
        &mut self,
        page_offset: u64,
        page: &[u8],
        each: &mut impl FnMut(&mut RecordBlock) -> Result<()>,
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
                self.complete(page_offset + at as u64, (kind == FRAGMENT_FULL).then_some(data), each)?;
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
                if kind == FRAGMENT_FULL {
                    // Used where it lies.
                    return;
                }
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

    /// Takes a record whose last fragment has come; `whole` where it is the only one.
    fn complete(
        &mut self,
        end: u64,
        whole: Option<&[u8]>,
        each: &mut impl FnMut(&mut RecordBlock) -> Result<()>,
    ) -> Result<()> {
        let Some((start, compression)) = self.partial.take() else { return Ok(()) };
        let data = whole.unwrap_or(&self.record);
        if compression == 0 {
            self.block.push(data);
        } else if !decompress_into(&mut self.decoder, compression, data, &mut self.block) {
            self.damage(start, "record does not decompress");
            return Ok(());
        }
        each(&mut self.block)?;
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

    fn finish(mut self) -> (SegmentReport, RecordBlock) {
        // Damage behind the last whole record is what a crash leaves.
        self.report.torn_at = match (self.suspect, self.partial) {
            (Some((offset, _)), _) | (None, Some((offset, _))) => Some(offset),
            (None, None) => None,
        };
        (self.report, self.block)
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
    let mut block = RecordBlock { bytes: std::mem::take(out), ..RecordBlock::default() };
    let is_whole = decompress_into(decoder, compression, data, &mut block);
    block.bytes.truncate(block.used);
    *out = block.bytes;
    is_whole
}

/// The same, as the next record of a block.
fn decompress_into(
    decoder: &mut snap::raw::Decoder,
    compression: u8,
    data: &[u8],
    block: &mut RecordBlock,
) -> bool {
    if compression & FRAGMENT_SNAPPY == 0 {
        return zstd::bulk::decompress(data, RECORD_BYTES_MAX).is_ok_and(|record| {
            block.push(&record);
            true
        });
    }
    let Ok(length) = snap::raw::decompress_len(data) else { return false };
    if length > RECORD_BYTES_MAX || decoder.decompress(data, block.room(length)).is_err() {
        return false;
    }
    block.push_room(length);
    true
}
