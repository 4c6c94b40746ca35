//! Stores whose files hold anything: what the fuzz targets call, with checksums that fit, so that what lies behind them is
//! reached. Whatever the bytes are, the store opens or says why not, and queries end.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_uvarint};
use go_regex::Regex;
use log_storage_api::{
    CountBuckets, Direction, LineFilter, LineFilterOp, LogBatch, LogReader, LogScan, LogStorageError,
    LogStore, ScanBatch, ScanSink, SinkFlow, StreamEntries,
};
use log_store::{
    DiskLogStore, FixedLimits, LogStoreOptions, NoEntryQueries, SummaryDepth, TemplateQuery, summarize,
};
use model::{Labels, LogEntry};
use resources::RequestContext;
use sys::{Fs, ManualClock, SimFs};
use wal::{Wal, WalOptions};

const START: i64 = 1_800_000_000_000_000_000;
const DATA: &str = "/data";
const HEADER_BYTES: usize = 12;
const TRAILER_BYTES: usize = 28;

fn open(fs: &SimFs) -> Result<DiskLogStore, LogStorageError> {
    let limits = Arc::new(FixedLimits::default());
    let clock = Arc::new(ManualClock::at_ms(START / 1_000_000));
    let options = LogStoreOptions::default();
    let queries = Arc::new(NoEntryQueries);
    let opened = DiskLogStore::open(Path::new(DATA), options, limits, queries, Arc::new(fs.clone()), clock);
    opened.map(|(store, _)| store)
}

/// Reads everything in every way.
struct Reader;

impl ScanSink for Reader {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        for idx in 0..batch.timestamps.len() {
            batch.lines.line(idx).ok();
            batch.lines.metadata(idx).ok();
        }
        Ok(SinkFlow::Continue)
    }
}

fn ask(store: &DiskLogStore) {
    let ctx = RequestContext::for_tests();
    let filter = |op| LineFilter { negated: false, any_of: vec![op] };
    let scan = LogScan {
        matchers: vec![],
        start: i64::MIN,
        end: i64::MAX,
        direction: Direction::Backward,
        limit: Some(usize::MAX),
        line_filters: vec![],
        metadata_filters: vec![],
        wants_lines: true,
        wants_metadata: true,
        fields: None,
        wants_fields: false,
        count: None,
    };
    let regex = Regex::new("id=[0-9a-f]{4}").map(Arc::new).map(LineFilterOp::Regex);
    let filters = [Some(LineFilterOp::Contains("17".into())), regex.ok()];
    let filtered = filters.into_iter().flatten().map(|op| LogScan {
        line_filters: vec![filter(op)],
        limit: None,
        ..scan.clone()
    });
    let buckets = CountBuckets { start: START, width: 1_000_000_000, buckets: 100, bytes: true };
    let counted = LogScan { count: Some(buckets), ..scan.clone() };
    for scan in filtered.chain([counted, scan.clone()]) {
        store.scan(&ctx, &scan, &mut Reader).ok();
    }
    let query = TemplateQuery {
        matchers: vec![],
        start: START,
        end: START + 100_000_000_000,
        width: 10_000_000_000,
        by: "level".to_owned(),
        templates_max: 100,
    };
    store.templates(&ctx, &query).ok();
    store.flush().ok();
    store.maintain().ok();
}

/// A write-ahead log with these records: each a length of two bytes and so many bytes.
pub(crate) fn wal(mut data: &[u8]) {
    let fs = SimFs::new(1);
    {
        let dir = Path::new(DATA).join("wal");
        let opened = Wal::open(Arc::new(fs.clone()), &dir, WalOptions::default(), &mut |_, _| {});
        let Ok((log, _)) = opened else { return };
        while let Some((len, rest)) = data.split_first_chunk::<2>() {
            let (record, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*len))));
            log.append(record).ok();
            data = rest;
        }
        log.sync().ok();
    }
    if let Ok(store) = open(&fs) {
        ask(&store);
    }
}

/// A segment that a store has written, with changes in its sections: each a section, a place in it (two bytes) and the byte
/// that stands there then.
pub(crate) fn segment(data: &[u8]) {
    let Some(file) = written() else { return };
    let Ok(mut parts) = Parts::read(&file.bytes) else { return };
    for change in data.chunks_exact(4) {
        let count = parts.sections.len().max(1);
        let Some(section) = parts.sections.get_mut(usize::from(change[0]) % count) else { return };
        let at = usize::from(u16::from_be_bytes([change[1], change[2]])) % section.plain.len().max(1);
        if let Some(byte) = section.plain.get_mut(at) {
            *byte = change[3];
        }
    }
    open_with(file, &parts.file(&parts.index()));
}

/// A segment whose index is `data`.
pub(crate) fn segment_index(data: &[u8]) {
    let Some(file) = written() else { return };
    let Ok(parts) = Parts::read(&file.bytes) else { return };
    open_with(file, &parts.file(data));
}

/// Whether an unchanged segment, taken apart and put together, holds what it held.
#[cfg(test)]
pub(crate) fn reads_back() -> bool {
    let Some(file) = written() else { return false };
    let Ok(parts) = Parts::read(&file.bytes) else { return false };
    let fs = SimFs::new(1);
    let Some(dir) = file.path.parent() else { return false };
    let wrote =
        fs.create_dir_durable(dir).and_then(|()| fs.write_atomic(&file.path, &parts.file(&parts.index())));
    let summary = summarize(&fs, &file.path, SummaryDepth::Blocks);
    let entries =
        |summary: &log_store::SegmentSummary| summary.streams.iter().map(|s| s.entries).sum::<u64>();
    wrote.is_ok() && summary.is_ok_and(|found| found.damaged.is_empty() && entries(&found) == 220)
}

/// A segment file and its place.
struct Written {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
}

/// A segment with lines of several kinds.
fn written() -> Option<&'static Written> {
    static WRITTEN: OnceLock<Option<Written>> = OnceLock::new();
    let make = || {
        let fs = SimFs::new(1);
        let store = open(&fs).ok()?;
        let entry = |n: i64| LogEntry {
            timestamp: START + n * 100_000_000,
            line: match n % 4 {
                0 => format!("GET /item/{n} id={:08x} took {}ms", n * 7919, n * 3),
                1 => format!("{{\"user\":{n},\"level\":\"info\"}}"),
                2 => "tick".to_owned(),
                _ => format!("text {}", "abcdefghijklmnopqrstuvwxyz".get(..(n % 26) as usize).unwrap_or("")),
            },
            structured_metadata: vec![("level".to_owned(), format!("l{}", n % 3))],
        };
        let streams = ["a", "b"].map(|app| StreamEntries {
            labels: Labels::from_pairs([("app", app)]),
            entries: (0..if app == "a" { 200 } else { 20 }).map(|n| entry(n).into()).collect(),
            ..StreamEntries::default()
        });
        store.append(&RequestContext::for_tests(), &LogBatch { streams: streams.into() }).ok()?;
        store.flush().ok()?;
        let files = fs.files_below(&Path::new(DATA).join("tenants"));
        let path = files.into_iter().find(|path| path.extension().is_some_and(|name| name == "wbls"))?;
        let bytes = fs.read(&path, 1 << 24).ok()?;
        Some(Written { path, bytes })
    };
    WRITTEN.get_or_init(make).as_ref()
}

fn open_with(file: &Written, bytes: &[u8]) {
    let fs = SimFs::new(1);
    let Some(dir) = file.path.parent() else { return };
    if fs.create_dir_durable(dir).is_err() || fs.write_atomic(&file.path, bytes).is_err() {
        return;
    }
    summarize(&fs, &file.path, SummaryDepth::Blocks).ok();
    if let Ok(store) = open(&fs) {
        ask(&store);
    }
}

/// A segment taken apart: what stands in its index between the sections' entries, and the sections' plain bytes.
struct Parts {
    header: Vec<u8>,
    sections: Vec<Section>,
    /// What stands in the index behind the last section.
    rest: Vec<u8>,
}

struct Section {
    /// What stands in the index before the section's entry.
    before: Vec<u8>,
    kind: u8,
    plain: Vec<u8>,
}

impl Section {
    /// Reads a section's entry and its bytes, which lie at `at`.
    fn read(
        before: Vec<u8>,
        reader: &mut ByteReader<'_>,
        content: &[u8],
        at: &mut usize,
    ) -> Result<Self, DecodeError> {
        let (kind, compression) = (reader.byte()?, reader.byte()?);
        let (len, plain_len) = (reader.length()?, reader.uvarint()? as usize);
        reader.take(4)?;
        let stored = &content[*at..*at + len];
        *at += len;
        let plain = if compression == 0 { stored.to_vec() } else { plain(stored, plain_len)? };
        Ok(Self { before, kind, plain })
    }
}

/// Passes over what a block's entry says before its sections.
fn skip_meta(reader: &mut ByteReader<'_>) -> Result<(), DecodeError> {
    reader.uvarint()?;
    reader.varint()?;
    reader.uvarint()?;
    reader.uvarint()?;
    Ok(())
}

fn plain(bytes: &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
    zstd::bulk::decompress(bytes, len).map_err(|_| DecodeError::Invalid("compressed bytes"))
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (content, trailer) = bytes.split_at(bytes.len() - TRAILER_BYTES);
        let mut numbers = ByteReader::new(trailer);
        let offset = numbers.take(8)?.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
        let plain_len = numbers.take(4)?.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
        let index = plain(&content[offset..], plain_len)?;
        let mut reader = ByteReader::new(&index);
        let mut parts =
            Self { header: bytes[..HEADER_BYTES].to_vec(), sections: Vec::new(), rest: Vec::new() };
        let (mut copied, mut at) = (0, HEADER_BYTES);
        reader.uvarint()?;
        reader.varint()?;
        reader.uvarint()?;
        for _ in 0..reader.length()? {
            reader.uvarint()?;
        }
        for _ in 0..reader.length()? {
            for _ in 0..reader.length()? * 2 {
                reader.str()?;
            }
            for _ in 0..reader.length()? {
                skip_meta(&mut reader)?;
                for _ in 0..reader.length()? {
                    let before = index[copied..index.len() - reader.rest().len()].to_vec();
                    parts.sections.push(Section::read(before, &mut reader, content, &mut at)?);
                    copied = index.len() - reader.rest().len();
                }
            }
        }
        parts.rest = index[copied..].to_vec();
        Ok(parts)
    }

    /// The index that fits the sections, none of them compressed.
    fn index(&self) -> Vec<u8> {
        let mut index = Vec::new();
        for section in &self.sections {
            index.extend_from_slice(&section.before);
            index.extend([section.kind, 0]);
            put_uvarint(&mut index, section.plain.len() as u64);
            put_uvarint(&mut index, section.plain.len() as u64);
            index.extend(crc32c(&section.plain).to_be_bytes());
        }
        index.extend_from_slice(&self.rest);
        index
    }

    /// The file with this index.
    fn file(&self, index: &[u8]) -> Vec<u8> {
        let mut file = self.header.clone();
        self.sections.iter().for_each(|section| file.extend_from_slice(&section.plain));
        let compressed = zstd::bulk::compress(index, 1).unwrap_or_default();
        let mut trailer = (file.len() as u64).to_be_bytes().to_vec();
        trailer.extend((index.len() as u32).to_be_bytes());
        trailer.extend(crc32c(&compressed).to_be_bytes());
        trailer.extend(crc32c(&trailer).to_be_bytes());
        trailer.extend(b"WBLSEND1");
        file.extend(compressed);
        file.extend(trailer);
        file
    }
}
