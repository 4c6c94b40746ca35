//! Directories whose files hold bytes of anybody's choice: opening, reading and maintaining them must neither panic nor take
//! long. The fuzz targets call these functions, and so do tests with random bytes.

use std::path::Path;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::{MetricReader, MetricStore, SampleColumns, SelectHints, SelectRequest};
use model::{Labels, MatchOp, Matcher, TimeRange};
use resources::RequestContext;
use sys::{Fs, ManualClock, SimFs};
use tsdb::{Db, DbOptions, Environment};

const DIR: &str = "/data";
const ALL: TimeRange = TimeRange { start: i64::MIN, end: i64::MAX };
/// All stays within one page of a log and within one file.
const RECORDS_BYTES_MAX: usize = 30_000;
const NOW_MS: i64 = 1_700_000_000_000;

/// A log whose records are whole and hold `data`, cut at lengths that it names itself.
pub(crate) fn wal(data: &[u8]) {
    let mut segment = Vec::new();
    put_record(&mut segment, &series_record());
    for record in pieces(data) {
        put_record(&mut segment, record);
    }
    for log in ["wal", "wbl"] {
        let fs = SimFs::new(1);
        put_file(&fs, "wal/00000000", &segment);
        put_file(&fs, &format!("{log}/00000001"), &segment);
        use_database(&fs);
    }
}

/// A segment that is `data`, as it is.
pub(crate) fn wal_segment(data: &[u8]) {
    let fs = SimFs::new(1);
    put_file(&fs, "wal/00000000", data);
    use_database(&fs);
}

/// A file of head chunks that are whole and hold `data`.
pub(crate) fn head_chunks(data: &[u8]) {
    let mut file = vec![0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];
    for (nth, piece) in (0..).zip(pieces(data)) {
        let Some((encoding, chunk)) = piece.split_first() else { continue };
        let start = file.len();
        file.extend(1u64.to_be_bytes());
        file.extend((NOW_MS + nth * 1000).to_be_bytes());
        file.extend((NOW_MS + nth * 1000 + 999).to_be_bytes());
        file.push((encoding % 5) | (encoding & 0x80));
        chunk_encoding::put_uvarint(&mut file, chunk.len() as u64);
        file.extend(chunk);
        let checksum = chunk_encoding::crc32c(&file[start..]);
        file.extend(checksum.to_be_bytes());
    }
    let mut segment = Vec::new();
    put_record(&mut segment, &series_record());
    let fs = SimFs::new(1);
    put_file(&fs, "chunks_head/000001", &file);
    put_file(&fs, "wal/00000000", &segment);
    use_database(&fs);
}

/// A block in whose files bytes are changed: three bytes of `data` name a place, one what stands there.
pub(crate) fn block(data: &[u8]) {
    let fs = SimFs::new(1);
    let Ok(db) = open(&fs) else { return };
    let ctx = RequestContext::for_tests();
    for step in 0..5 {
        let Ok(mut appender) = db.appender(&ctx) else { return };
        for name in ["a", "b"] {
            let labels = || Ok(Labels::from_pairs([("__name__", "m"), ("name", name)]));
            let Ok(series) = appender.resolve(name.as_bytes(), &mut || labels()) else { continue };
            appender.append(series, NOW_MS + step * 1000, step as f64).ok();
        }
        appender.commit().ok();
    }
    db.flush_head_before(i64::MAX).ok();
    db.close().ok();
    drop(db);
    for name in ["/index", "/chunks/000001", "/meta.json", "/tombstones"] {
        let files = fs.files_below(Path::new(DIR));
        let Some(path) = files.iter().find(|path| path.to_string_lossy().ends_with(name)) else { continue };
        let Ok(mut bytes) = fs.read(path, 1 << 20) else { continue };
        for change in data.chunks_exact(4) {
            let at = u32::from_be_bytes([0, change[0], change[1], change[2]]) as usize % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = change[3];
            }
        }
        fs.write_atomic(path, &bytes).ok();
        use_database(&fs);
    }
}

fn series_record() -> Vec<u8> {
    let mut record = vec![1];
    record.extend(1u64.to_be_bytes());
    record.push(1);
    chunk_encoding::put_str(&mut record, "__name__");
    chunk_encoding::put_str(&mut record, "m");
    record
}

/// Pieces of `data`, each behind a byte with its length.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &data[..data.len().min(RECORDS_BYTES_MAX / 8)];
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let (piece, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        Some(piece)
    })
}

/// A record in one fragment.
fn put_record(segment: &mut Vec<u8>, record: &[u8]) {
    if record.is_empty() || segment.len() + record.len() > RECORDS_BYTES_MAX {
        return;
    }
    segment.push(1);
    segment.extend((record.len() as u16).to_be_bytes());
    segment.extend(chunk_encoding::crc32c(record).to_be_bytes());
    segment.extend(record);
}

fn put_file(fs: &SimFs, name: &str, bytes: &[u8]) {
    let path = Path::new(DIR).join(name);
    if let Some(parent) = path.parent() {
        fs.create_dir_all(parent).ok();
    }
    if let Ok(mut file) = fs.create_new(&path) {
        file.append(bytes).ok();
    }
}

fn open(fs: &SimFs) -> tsdb::Result<Db> {
    let options = DbOptions { out_of_order_window_ms: 600_000, retention_ms: 0, ..DbOptions::default() };
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    Db::open(Path::new(DIR), options, Environment::new(fs, Arc::new(ManualClock::at_ms(NOW_MS))))
}

/// Opens, reads everything, does background work, opens again.
fn use_database(fs: &SimFs) {
    for _ in 0..2 {
        let Ok(db) = open(fs) else { return };
        let ctx = RequestContext::for_tests();
        if let Ok(matcher) = CompiledMatcher::new(Matcher::new("__name__", MatchOp::NotEqual, "")) {
            let hints = SelectHints { sorted: true, ..SelectHints::default() };
            let request = SelectRequest { matchers: &[matcher], range: ALL, hints };
            for series in db.select(&ctx, &request).map_or_else(|_| Vec::new(), |set| set.series) {
                series.read(&ctx, ALL, &mut SampleColumns::default()).ok();
            }
        }
        db.maintain().ok();
        db.stats(3);
        db.close().ok();
    }
}
