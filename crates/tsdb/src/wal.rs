//! The write-ahead log in Prometheus' geometry: numbered segments of 32 KiB pages, records in checksummed fragments.

pub(crate) mod checkpoint;
pub(crate) mod log;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod tail;
pub(crate) mod writer;

use std::path::{Path, PathBuf};

use sys::Fs;

/// Fragments never cross a page.
pub(crate) const PAGE_BYTES: usize = 32 << 10;
/// Type, length, checksum.
pub(crate) const FRAGMENT_HEADER_BYTES: usize = 7;
/// The most bytes of one record, compressed or not, that a reader takes.
pub(crate) const RECORD_BYTES_MAX: usize = 128 << 20;

pub(crate) const FRAGMENT_FULL: u8 = 1;
pub(crate) const FRAGMENT_FIRST: u8 = 2;
pub(crate) const FRAGMENT_MIDDLE: u8 = 3;
pub(crate) const FRAGMENT_LAST: u8 = 4;
pub(crate) const FRAGMENT_KIND_MASK: u8 = 0b111;
pub(crate) const FRAGMENT_SNAPPY: u8 = 0b1000;
pub(crate) const FRAGMENT_ZSTD: u8 = 0b1_0000;

/// A segment's path.
pub(crate) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

/// The numbers of the segments in `dir`, ascending; empty where there is no directory.
pub(crate) fn list_segments(fs: &dyn Fs, dir: &Path) -> std::io::Result<Vec<u64>> {
    let entries = match fs.read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments: Vec<u64> =
        entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| entry.name.parse().ok()).collect();
    segments.sort_unstable();
    Ok(segments)
}

#[cfg(test)]
mod tests;
