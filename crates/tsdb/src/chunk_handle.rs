//! A chunk that a query holds: its bytes, or where to read them without any lock.

use std::sync::Arc;

use chunk_encoding::{ENCODING_FLOAT_HISTOGRAM, ENCODING_HISTOGRAM, ENCODING_XOR};
use metric_storage_api::ChunkEncoding;

use crate::Result;
use crate::block::Block;
use crate::head::chunk_files::{ChunkFile, ClosedChunk, MappedFile};

/// A chunk and its time range.
#[derive(Clone, Debug)]
pub(crate) struct ChunkHandle {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    /// The encoding byte; of a block's chunk it is known only once it is read.
    pub(crate) source: ChunkSource,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub(crate) enum ChunkSource {
    /// Copied out of the head.
    Memory { encoding: u8, data: Arc<[u8]> },
    /// In a head chunk file.
    HeadFile { file: Arc<ChunkFile>, chunk: ClosedChunk },
    /// In a head chunk file that is mapped.
    Mapped { file: Arc<MappedFile>, chunk: ClosedChunk },
    /// In a block.
    Block { block: Arc<Block>, reference: u64 },
}

impl ChunkHandle {
    /// Reads the data into `buf`, unless it is in memory, and returns it with its encoding.
    pub(crate) fn load<'a>(&'a self, buf: &'a mut Vec<u8>) -> Result<(u8, &'a [u8])> {
        match &self.source {
            ChunkSource::Memory { encoding, data } => Ok((*encoding, data)),
            ChunkSource::HeadFile { file, chunk } => {
                file.read(chunk, buf)?;
                Ok((chunk.encoding, buf))
            }
            ChunkSource::Mapped { file, chunk } => Ok((chunk.encoding, file.chunk(chunk)?)),
            ChunkSource::Block { block, reference } => {
                let encoding = block.read_chunk(*reference, buf)?;
                Ok((encoding, buf))
            }
        }
    }
}

impl ChunkSource {
    /// The encoding byte; of a block's chunk it is known only once it is read.
    pub(crate) fn encoding(&self) -> Option<u8> {
        match self {
            Self::Memory { encoding, .. } => Some(*encoding),
            Self::HeadFile { chunk, .. } | Self::Mapped { chunk, .. } => Some(chunk.encoding),
            Self::Block { .. } => None,
        }
    }
}

/// The interface's name of an encoding byte.
pub(crate) fn api_encoding(encoding: u8) -> Option<ChunkEncoding> {
    match encoding {
        ENCODING_XOR => Some(ChunkEncoding::Xor),
        ENCODING_HISTOGRAM => Some(ChunkEncoding::Histogram),
        ENCODING_FLOAT_HISTOGRAM => Some(ChunkEncoding::FloatHistogram),
        _ => None,
    }
}
