//! Segment files: names, headers, creation.

use std::path::{Path, PathBuf};

use sys::{AppendFile, Fs};

use crate::WalError;

pub(crate) const MAGIC: [u8; 4] = *b"WBWL";
pub(crate) const VERSION: u16 = 1;
/// Bytes before a segment's first record.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 28;
/// No segment is larger, whatever the settings were when it was written: a bound for reading one.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A segment that records can be in.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) index: u64,
    pub(crate) path: PathBuf,
    /// The sequence number that its first record has or would have.
    pub(crate) first_seq: u64,
    /// The greatest sequence number in it; `first_seq - 1` where it is empty.
    pub(crate) last_seq: u64,
    /// Bytes with whole records, the header included.
    pub(crate) len: u64,
}

/// What a segment's first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SegmentHeader {
    Valid { index: u64, first_seq: u64 },
    UnknownVersion(u16),
    Damaged,
}

pub(crate) fn segment_name(index: u64) -> String {
    format!("{index:010}.wal")
}

pub(crate) fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    (digits.len() == 10).then(|| digits.parse().ok())?
}

pub(crate) fn encode_header(index: u64, first_seq: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&index.to_le_bytes());
    header[16..24].copy_from_slice(&first_seq.to_le_bytes());
    let crc = crc32c::crc32c(&header[..24]);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(crate) fn parse_header(bytes: &[u8]) -> SegmentHeader {
    let Some(header) = bytes.first_chunk::<SEGMENT_HEADER_BYTES>() else { return SegmentHeader::Damaged };
    let u64_at = |at: usize| header[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let crc = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
    if header[..4] != MAGIC || crc != crc32c::crc32c(&header[..24]) {
        return SegmentHeader::Damaged;
    }
    match u16::from_le_bytes([header[4], header[5]]) {
        VERSION => SegmentHeader::Valid { index: u64_at(8), first_seq: u64_at(16) },
        other => SegmentHeader::UnknownVersion(other),
    }
}

/// Creates a segment with its header and makes its name durable.
pub(crate) fn create(
    fs: &dyn Fs,
    dir: &Path,
    index: u64,
    first_seq: u64,
) -> Result<(Segment, Box<dyn AppendFile>), WalError> {
    let path = dir.join(segment_name(index));
    let mut file = fs.create_new(&path).map_err(|error| WalError::io("create", &path, error))?;
    let written = file.append(&encode_header(index, first_seq)).and_then(|()| fs.sync_dir(dir));
    if let Err(error) = written {
        drop(file);
        // A header that is not whole is removed at the next start as well; the first error is the one to tell.
        fs.remove_file(&path).ok();
        return Err(WalError::io("create", &path, error));
    }
    let (last_seq, len) = (first_seq - 1, SEGMENT_HEADER_BYTES as u64);
    Ok((Segment { index, path, first_seq, last_seq, len }, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_names_are_read_back_and_damage_is_seen() {
        let header = encode_header(7, 1234);
        assert_eq!(parse_header(&header), SegmentHeader::Valid { index: 7, first_seq: 1234 });
        for bit in 0..header.len() * 8 {
            let mut damaged = header;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_header(&damaged), SegmentHeader::Damaged, "bit {bit}");
        }
        assert_eq!(parse_header(&header[..27]), SegmentHeader::Damaged);
        assert_eq!(segment_index(&segment_name(7)), Some(7));
        for name in ["lock", "7.wal", "0000000007.damaged", "000000000x.wal", "+000000007.wal.wal"] {
            assert_eq!(segment_index(name), None, "{name}");
        }
    }
}
