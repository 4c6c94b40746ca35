//! Reading a log's records back at the start.

use std::path::Path;

use sys::Fs;

use crate::WalError;
use crate::record::{Found, Scanner};
use crate::segment::{
    SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, VERSION, parse_header, segment_index,
    segment_name,
};

/// What reading a log back has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Records handed out.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Segments read.
    pub segments: u64,
    /// Bytes of a last, unfinished write that were cut off: normal after a crash.
    pub torn_bytes: u64,
    /// Places that failed their checksum and were set aside.
    pub damaged_places: u64,
    /// Bytes in those places.
    pub damaged_bytes: u64,
    /// Sequence numbers that are missing between records: what damage or a failed disk has cost.
    pub missing_records: u64,
}

/// The segments that are there, oldest first, and what comes next.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) segments: Vec<Segment>,
    pub(crate) next_index: u64,
    pub(crate) next_seq: u64,
    pub(crate) report: ReplayReport,
}

/// Reads all segments of `dir` and hands every record to `take`, in order, each once.
pub(crate) fn replay(
    fs: &dyn Fs,
    dir: &Path,
    take: &mut dyn FnMut(u64, &[u8]),
) -> Result<Replayed, WalError> {
    let entries = fs.read_dir(dir).map_err(|error| WalError::io("list", dir, error))?;
    let mut indexes: Vec<u64> = entries.iter().filter_map(|entry| segment_index(&entry.name)).collect();
    indexes.sort_unstable();
    let next_index = indexes.last().map_or(1, |last| last + 1);
    check_versions(fs, dir, &indexes)?;
    let mut state =
        Replayed { segments: Vec::new(), next_index, next_seq: 1, report: ReplayReport::default() };
    for (position, index) in indexes.iter().enumerate() {
        let is_last = position + 1 == indexes.len();
        read_segment(fs, dir, *index, is_last, &mut state, take)?;
    }
    Ok(state)
}

/// Refuses a newer version's log before anything is changed.
fn check_versions(fs: &dyn Fs, dir: &Path, indexes: &[u64]) -> Result<(), WalError> {
    for index in indexes {
        let path = dir.join(segment_name(*index));
        let fail = |error| WalError::io("read", &path, error);
        let file = fs.open_read(&path).map_err(fail)?;
        let len = file.len().map_err(fail)?.min(SEGMENT_HEADER_BYTES as u64);
        let mut header = vec![0; len as usize];
        file.read_exact_at(0, &mut header).map_err(fail)?;
        if let SegmentHeader::UnknownVersion(version) = parse_header(&header) {
            return Err(WalError::UnsupportedVersion { path, version, supported: VERSION });
        }
    }
    Ok(())
}

fn read_segment(
    fs: &dyn Fs,
    dir: &Path,
    index: u64,
    is_last: bool,
    state: &mut Replayed,
    take: &mut dyn FnMut(u64, &[u8]),
) -> Result<(), WalError> {
    let path = dir.join(segment_name(index));
    let fail = |action, error| WalError::io(action, &path, error);
    let content = fs.read(&path, SEGMENT_BYTES_MAX).map_err(|error| fail("read", error))?;
    state.report.segments += 1;
    let mut damaged = Vec::new();
    let first_seq = match parse_header(&content) {
        SegmentHeader::Valid { first_seq, .. } => first_seq,
        SegmentHeader::Damaged | SegmentHeader::UnknownVersion(_) => {
            if is_last && content.len() <= SEGMENT_HEADER_BYTES {
                state.report.torn_bytes += content.len() as u64;
                return fs.remove_file(&path).map_err(|error| fail("remove", error));
            }
            // Records behind a damaged header are still whole, each with its own checksum.
            damaged.extend_from_slice(&content[..content.len().min(SEGMENT_HEADER_BYTES)]);
            state.report.damaged_places += 1;
            state.report.damaged_bytes += content.len().min(SEGMENT_HEADER_BYTES) as u64;
            state.next_seq
        }
    };
    let mut segment = Segment {
        index,
        path: path.clone(),
        first_seq,
        last_seq: first_seq.saturating_sub(1),
        len: content.len() as u64,
    };
    state.skip_to(first_seq);
    for found in Scanner::new(&content, SEGMENT_HEADER_BYTES) {
        match found {
            Found::Record { seq, payload } => {
                segment.last_seq = segment.last_seq.max(seq);
                state.take(seq, payload, take);
            }
            Found::Damage(range) if is_last && range.end == content.len() => {
                state.report.torn_bytes += range.len() as u64;
                segment.len = range.start as u64;
            }
            Found::Damage(range) => {
                state.report.damaged_places += 1;
                state.report.damaged_bytes += range.len() as u64;
                damaged.extend_from_slice(&content[range]);
            }
        }
    }
    set_aside(fs, dir, index, &damaged);
    if is_last {
        // What the last process wrote may still be in the kernel only; from here on it counts as synced.
        let mut file = fs.open_append(&path).map_err(|error| fail("open", error))?;
        if segment.len < file.len() {
            file.truncate(segment.len).map_err(|error| fail("cut", error))?;
        }
        file.sync().map_err(|error| fail("sync", error))?;
        fs.sync_dir(dir).map_err(|error| WalError::io("sync", dir, error))?;
    }
    state.segments.push(segment);
    Ok(())
}

/// Keeps damaged bytes for a person to look at. That this fails must not keep the log from opening: they are counted.
fn set_aside(fs: &dyn Fs, dir: &Path, index: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    // A start that finds the file there has kept the same bytes before: once is enough.
    let path = dir.join(format!("{index:010}.damaged"));
    if let Ok(mut file) = fs.create_new(&path) {
        file.append(bytes).ok();
    }
}

impl Replayed {
    fn skip_to(&mut self, seq: u64) {
        if self.report.records > 0 {
            self.report.missing_records += seq.saturating_sub(self.next_seq);
        }
        self.next_seq = self.next_seq.max(seq);
    }

    fn take(&mut self, seq: u64, payload: &[u8], take: &mut dyn FnMut(u64, &[u8])) {
        if seq < self.next_seq {
            return;
        }
        self.report.missing_records += seq - self.next_seq;
        self.next_seq = seq.saturating_add(1);
        self.report.records += 1;
        self.report.bytes += payload.len() as u64;
        take(seq, payload);
    }
}
