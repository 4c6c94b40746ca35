//! The index at a segment's end.

use std::path::Path;
use std::sync::Arc;

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_str, put_uvarint, put_varint};
use model::Labels;
use sys::{Fs, ReadAt};

use super::{
    HEADER_BYTES, INDEX_BYTES_MAX, MAGIC, OpenError, SegmentId, TRAILER_BYTES, TRAILER_MAGIC, VERSION,
};
use crate::block::BlockMeta;
use crate::error::{corrupt, io_error};

/// What a segment's index says.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    pub(crate) id: SegmentId,
    pub(crate) partition: i64,
    pub(crate) flushed_seq: u64,
    pub(crate) replaces: Vec<SegmentId>,
    /// Streams in order of labels with their blocks, in the order in which the blocks lie in the file.
    pub(crate) streams: Vec<(Labels, Vec<BlockMeta>)>,
}

impl SegmentIndex {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let dst = &mut bytes;
        put_uvarint(dst, self.id);
        put_varint(dst, self.partition);
        put_uvarint(dst, self.flushed_seq);
        put_uvarint(dst, self.replaces.len() as u64);
        for id in &self.replaces {
            put_uvarint(dst, *id);
        }
        put_uvarint(dst, self.streams.len() as u64);
        for (labels, blocks) in &self.streams {
            put_labels(dst, labels);
            put_uvarint(dst, blocks.len() as u64);
            for block in blocks {
                block.encode(dst);
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let mut index = Self {
            id: reader.uvarint()?,
            partition: reader.varint()?,
            flushed_seq: reader.uvarint()?,
            ..Self::default()
        };
        for _ in 0..reader.length()? {
            index.replaces.push(reader.uvarint()?);
        }
        for _ in 0..reader.length()? {
            let labels = take_labels(&mut reader)?;
            let mut blocks = Vec::new();
            for _ in 0..reader.length()? {
                blocks.push(BlockMeta::decode(&mut reader)?);
            }
            index.streams.push((labels, blocks));
        }
        Ok(index)
    }
}

pub(crate) fn put_labels(dst: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(dst, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_str(dst, name);
        put_str(dst, value);
    }
}

pub(crate) fn take_labels(reader: &mut ByteReader<'_>) -> Result<Labels, DecodeError> {
    let mut pairs = Vec::new();
    for _ in 0..reader.length()? {
        pairs.push((reader.str()?, reader.str()?));
    }
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) || pairs.iter().any(|(_, value)| value.is_empty()) {
        return Err(DecodeError::Invalid("labels"));
    }
    Ok(Labels::from_sorted(pairs))
}

pub(super) fn read(fs: &dyn Fs, path: &Path) -> Result<(Arc<dyn ReadAt>, u64, SegmentIndex), OpenError> {
    let damaged = OpenError::Damaged;
    let fail = |error| OpenError::Other(io_error("read", path, error));
    let file: Arc<dyn ReadAt> = Arc::from(fs.open_read(path).map_err(fail)?);
    let len = file.len().map_err(fail)?;
    if len < (HEADER_BYTES + TRAILER_BYTES) as u64 {
        return Err(damaged("shorter than a segment can be"));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(0, &mut header).map_err(fail)?;
    if header[..4] != MAGIC || crc32c(&header[..8]) != be32(&header[8..12]) {
        return Err(damaged("header is not that of a segment"));
    }
    let version = u16::from_be_bytes([header[4], header[5]]);
    if version != VERSION {
        return Err(OpenError::Other(corrupt(
            path.display().to_string(),
            format!("version {version} is not known: use a newer program"),
        )));
    }
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(len - TRAILER_BYTES as u64, &mut trailer).map_err(fail)?;
    if trailer[20..] != TRAILER_MAGIC || crc32c(&trailer[..16]) != be32(&trailer[16..20]) {
        return Err(damaged("trailer is not that of a segment"));
    }
    let offset = u64::from_be_bytes([
        trailer[0], trailer[1], trailer[2], trailer[3], trailer[4], trailer[5], trailer[6], trailer[7],
    ]);
    let (plain_len, crc) = (be32(&trailer[8..12]), be32(&trailer[12..16]));
    let end = len - TRAILER_BYTES as u64;
    if offset < HEADER_BYTES as u64 || offset > end || end - offset > INDEX_BYTES_MAX {
        return Err(damaged("index lies outside the file"));
    }
    let mut bytes = vec![0; (end - offset) as usize];
    file.read_exact_at(offset, &mut bytes).map_err(fail)?;
    if crc32c(&bytes) != crc {
        return Err(damaged("checksum of the index does not fit"));
    }
    let plain = zstd::bulk::decompress(&bytes, plain_len as usize)
        .map_err(|_| damaged("index cannot be decompressed"))?;
    let index = SegmentIndex::decode(&plain).map_err(OpenError::from)?;
    let blocks: u64 = index.streams.iter().flat_map(|(_, blocks)| blocks).map(BlockMeta::data_len).sum();
    if blocks != offset - HEADER_BYTES as u64 {
        return Err(damaged("blocks do not fill the file"));
    }
    Ok((file, len, index))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_bytes_are_an_index_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            SegmentIndex::decode(&bytes).ok();
        }
    }
}
