//! A segment: an immutable file with blocks of one tenant's streams in one partition of time, and an index at its end.

mod index;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chunk_encoding::DecodeError;
use hashbrown::HashMap;
use log_storage_api::{LogStorageError, StreamInfo};
use model::TimestampNs;
use sys::{Fs, ReadAt};

use crate::block::{BlockBytes, BlockEnv, BlockMeta, OpenBlock};
use crate::error::{Result, io_error};
use crate::registry::StreamRegistry;

pub(crate) use index::{SegmentIndex, put_labels, take_labels};
pub(crate) use writer::SegmentWriter;

pub(crate) const MAGIC: [u8; 4] = *b"WBLS";
pub(crate) const VERSION: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 12;
pub(crate) const TRAILER_BYTES: usize = 28;
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"WBLSEND1";
/// No index is larger: a bound for reading one.
pub(crate) const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Identifies a segment within a store; newer ones are greater.
pub(crate) type SegmentId = u64;

/// A stream's blocks in a segment, in order of their first time.
#[derive(Debug)]
pub(crate) struct SegmentStream {
    pub(crate) info: Arc<StreamInfo>,
    pub(crate) blocks: Vec<SegmentBlock>,
}

/// A block and its place.
#[derive(Debug)]
pub(crate) struct SegmentBlock {
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) offset: u64,
    /// Set when the block has failed a check: reported once.
    damaged: AtomicBool,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    /// Which partition of time: the start divided by the partition's length.
    pub(crate) partition: i64,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) min: TimestampNs,
    pub(crate) max: TimestampNs,
    /// Entries of the partition in log records up to here are in this segment or in others.
    pub(crate) flushed_seq: u64,
    /// Segments whose content is in this one.
    pub(crate) replaces: Vec<SegmentId>,
    pub(crate) streams: Vec<SegmentStream>,
    by_id: HashMap<u128, usize>,
    file: Arc<dyn ReadAt>,
    env: Arc<BlockEnv>,
}

impl SegmentBlock {
    pub(crate) fn new(meta: Arc<BlockMeta>, offset: u64) -> Self {
        Self { meta, offset, damaged: AtomicBool::new(false) }
    }

    /// Marks the block as damaged; whether it was not known to be.
    pub(crate) fn set_damaged(&self) -> bool {
        !self.damaged.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

impl Segment {
    /// Opens a segment and reads its index.
    pub(crate) fn open(
        fs: &dyn Fs,
        path: &Path,
        registry: &StreamRegistry,
    ) -> std::result::Result<Self, OpenError> {
        let (file, len, index) = index::read(fs, path)?;
        Ok(Self::from_index(path, file, len, index, registry))
    }

    fn from_index(
        path: &Path,
        file: Arc<dyn ReadAt>,
        len: u64,
        index: SegmentIndex,
        registry: &StreamRegistry,
    ) -> Self {
        let mut streams = Vec::with_capacity(index.streams.len());
        let mut offset = HEADER_BYTES as u64;
        let (mut min, mut max) = (TimestampNs::MAX, TimestampNs::MIN);
        for (labels, metas) in index.streams {
            let info = registry.intern(&labels);
            let mut blocks = Vec::with_capacity(metas.len());
            for meta in metas {
                min = min.min(meta.min);
                max = max.max(meta.max);
                let data_len = meta.data_len();
                blocks.push(SegmentBlock::new(Arc::new(meta), offset));
                offset += data_len;
            }
            streams.push(SegmentStream { info, blocks });
        }
        let by_id = streams.iter().enumerate().map(|(idx, stream)| (stream.info.id, idx)).collect();
        Self {
            id: index.id,
            partition: index.partition,
            path: path.to_owned(),
            len,
            min,
            max,
            flushed_seq: index.flushed_seq,
            replaces: index.replaces,
            streams,
            by_id,
            file,
            env: Arc::clone(&registry.env),
        }
    }

    pub(crate) fn stream(&self, id: u128) -> Option<&SegmentStream> {
        self.by_id.get(&id).map(|idx| &self.streams[*idx])
    }

    pub(crate) fn stream_position(&self, id: u128) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The open block, kept for the next query.
    pub(crate) fn open_block(&self, block: &SegmentBlock) -> Arc<OpenBlock> {
        self.env.open(&block.meta, || self.open_block_once(block))
    }

    /// The open block, for whoever reads it once.
    pub(crate) fn open_block_once(&self, block: &SegmentBlock) -> OpenBlock {
        let bytes = BlockBytes::File { file: Arc::clone(&self.file), offset: block.offset };
        OpenBlock::new(Arc::clone(&block.meta), bytes, &self.env)
    }

    /// A block's bytes as they are.
    pub(crate) fn raw_block(&self, block: &SegmentBlock) -> Result<Vec<u8>> {
        let mut bytes = vec![0; block.meta.data_len() as usize];
        self.file
            .read_exact_at(block.offset, &mut bytes)
            .map_err(|error| io_error("read", &self.path, error))?;
        Ok(bytes)
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(partition: i64, id: SegmentId) -> String {
    format!("{partition}-{id:016x}.wbls")
}

/// The id in a segment's file name.
pub(crate) fn id_of(name: &str) -> Option<SegmentId> {
    let (_, hex) = name.strip_suffix(".wbls")?.rsplit_once('-')?;
    (hex.len() == 16).then(|| SegmentId::from_str_radix(hex, 16).ok())?
}

/// Why a segment could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Its bytes are not what was written: it is set aside.
    Damaged(&'static str),
    /// It could not be read, or a newer version has written it: it stays where it is.
    Other(LogStorageError),
}

impl From<DecodeError> for OpenError {
    fn from(_: DecodeError) -> Self {
        Self::Damaged("index cannot be decoded")
    }
}
