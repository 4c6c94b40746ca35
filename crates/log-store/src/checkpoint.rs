//! What is known beside segments and the log: up to where the log's records are in segments, and the sources' marks.

use std::path::Path;
use std::sync::Arc;

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_be32, put_str, put_uvarint, put_varint};
use log_storage_api::SourcePlace;
use model::TenantId;
use sys::Fs;

use crate::error::{Result, io_error};
use crate::positions::Mark;

const MAGIC: [u8; 4] = *b"WBLC";
const VERSION: u8 = 1;
const FILE_NAME: &str = "checkpoint";
const BYTES_MAX: u64 = 256 << 20;

/// Marks by source.
pub(crate) type SourceMarks = Vec<(Arc<str>, Mark)>;

/// The content of a checkpoint.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Entries of records up to here are in segments.
    pub(crate) flushed_seq: u64,
    pub(crate) marks: Vec<(TenantId, SourceMarks)>,
}

impl Checkpoint {
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let path = dir.join(FILE_NAME);
        fs.write_atomic(&path, &self.encode()).map_err(|error| io_error("write", &path, error))
    }

    /// Reads the checkpoint; the default where there is none. A damaged one is set aside, and the second value says so: then
    /// all records of the log count as not flushed, and those that are in segments are found there.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<(Self, bool)> {
        let path = dir.join(FILE_NAME);
        let bytes = match fs.read(&path, BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Self::default(), false));
            }
            Err(error) => return Err(io_error("read", &path, error)),
        };
        match Self::decode(&bytes) {
            Ok(checkpoint) => Ok((checkpoint, false)),
            Err(_) => {
                let aside = path.with_extension("damaged");
                fs.rename(&path, &aside).map_err(|error| io_error("rename", &path, error))?;
                Ok((Self::default(), true))
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let dst = &mut bytes;
        dst.push(VERSION);
        put_uvarint(dst, self.flushed_seq);
        put_uvarint(dst, self.marks.len() as u64);
        for (tenant, marks) in &self.marks {
            put_str(dst, tenant.as_str());
            put_uvarint(dst, marks.len() as u64);
            for (source, mark) in marks {
                put_mark(dst, source, mark);
            }
        }
        let crc = crc32c(dst);
        put_be32(dst, crc);
        bytes
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Self, DecodeError> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
        if crc32c(content) != u32::from_be_bytes(*crc) {
            return Err(DecodeError::Invalid("checksum"));
        }
        let mut reader = ByteReader::new(content);
        if reader.take(4)? != MAGIC || reader.byte()? != VERSION {
            return Err(DecodeError::Invalid("version of the checkpoint"));
        }
        let mut checkpoint = Self { flushed_seq: reader.uvarint()?, marks: Vec::new() };
        for _ in 0..reader.length()? {
            let tenant = TenantId::parse(reader.str()?).ok_or(DecodeError::Invalid("tenant"))?;
            let mut marks = Vec::new();
            for _ in 0..reader.length()? {
                marks.push(take_mark(&mut reader)?);
            }
            checkpoint.marks.push((tenant, marks));
        }
        Ok(checkpoint)
    }
}

pub(crate) fn put_mark(dst: &mut Vec<u8>, source: &str, mark: &Mark) {
    put_str(dst, source);
    put_uvarint(dst, mark.generation);
    put_uvarint(dst, mark.place.offset);
    put_uvarint(dst, u64::from(mark.place.ordinal));
    put_varint(dst, mark.updated_ms);
}

pub(crate) fn take_mark(reader: &mut ByteReader<'_>) -> std::result::Result<(Arc<str>, Mark), DecodeError> {
    let source = reader.str()?.into();
    let generation = reader.uvarint()?;
    let offset = reader.uvarint()?;
    let ordinal = u32::try_from(reader.uvarint()?).map_err(|_| DecodeError::Invalid("ordinal"))?;
    let updated_ms = reader.varint()?;
    Ok((source, Mark { generation, place: SourcePlace { offset, ordinal }, updated_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::SimFs;

    #[test]
    fn a_checkpoint_comes_back_and_a_damaged_one_is_set_aside() {
        let fs = SimFs::new(1);
        let dir = Path::new("/d");
        fs.create_dir_durable(dir).unwrap();
        assert_eq!(Checkpoint::read(&fs, dir).unwrap(), (Checkpoint::default(), false));
        let mark = Mark { generation: 7, place: SourcePlace { offset: 9, ordinal: 2 }, updated_ms: -3 };
        let marks = vec![(TenantId::anonymous(), vec![("host/a".into(), mark)])];
        let checkpoint = Checkpoint { flushed_seq: 1 << 40, marks };
        checkpoint.write(&fs, dir).unwrap();
        assert_eq!(Checkpoint::read(&fs, dir).unwrap(), (checkpoint, false));
        fs.flip_random_bit(&dir.join(FILE_NAME)).unwrap();
        assert_eq!(Checkpoint::read(&fs, dir).unwrap(), (Checkpoint::default(), true));
        assert!(fs.exists(&dir.join("checkpoint.damaged")));
    }
}
