//! Deleted ranges of a block's series.

use std::collections::BTreeMap;
use std::path::Path;

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_uvarint, put_varint};
use sys::Fs;

use crate::{Error, Result, intervals};

const FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
const BYTES_MAX: u64 = 1 << 30;

/// Deleted ranges by series reference; both ends belong to a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tombstones(BTreeMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// The file of a block; none is as good as an empty one.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let content = match fs.read(&path, BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            content => content.map_err(Error::io("read", &path))?,
        };
        let fail = |reason: &str| Error::corrupt(path.display().to_string(), reason);
        if content.len() < HEADER_BYTES + 4 || content[..4] != MAGIC.to_be_bytes() || content[4] != VERSION {
            return Err(fail("not a tombstone file of version 1"));
        }
        let (stones, checksum) = content[HEADER_BYTES..].split_at(content.len() - HEADER_BYTES - 4);
        if crc32c(stones).to_be_bytes() != checksum {
            return Err(fail("checksum does not match"));
        }
        Self::decode(stones).map_err(|error| fail(&error.to_string()))
    }

    fn decode(stones: &[u8]) -> std::result::Result<Self, DecodeError> {
        let mut all = Self::default();
        let mut reader = ByteReader::new(stones);
        while !reader.is_empty() {
            let series = reader.uvarint()?;
            all.add(series, (reader.varint()?, reader.varint()?));
        }
        Ok(all)
    }

    /// Writes the file whole or not at all.
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let mut stones = Vec::new();
        for (series, ranges) in &self.0 {
            for (min, max) in ranges {
                put_uvarint(&mut stones, *series);
                put_varint(&mut stones, *min);
                put_varint(&mut stones, *max);
            }
        }
        let mut content = MAGIC.to_be_bytes().to_vec();
        content.push(VERSION);
        content.extend_from_slice(&stones);
        content.extend_from_slice(&crc32c(&stones).to_be_bytes());
        let path = dir.join(FILE);
        fs.write_atomic(&path, &content).map_err(Error::io("write", &path))
    }

    pub(crate) fn add(&mut self, series: u64, range: (i64, i64)) {
        intervals::add(self.0.entry(series).or_default(), range);
    }

    /// The ranges of a series.
    pub(crate) fn of(&self, series: u64) -> &[(i64, i64)] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|ranges| ranges.len() as u64).sum()
    }
}
