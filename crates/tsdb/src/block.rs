//! Immutable blocks: an index, chunk files, deleted ranges and `meta.json` in a directory named by a ULID.

pub(crate) mod index;
pub(crate) mod index_writer;
pub(crate) mod meta;
pub(crate) mod tombstones;
pub(crate) mod ulid;
pub(crate) mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk_encoding::{ByteReader, crc32c};
use go_regex::CompiledMatcher;
use metric_storage_api::StorageError;
use model::{Labels, TimeRange};
use parking_lot::RwLock;
use resources::{RequestContext, Reservation};
use sys::{Fs, ReadAt};

use crate::chunk_handle::{ChunkHandle, ChunkSource};
use crate::select::SourceSeries;
use crate::stats::BlockInfo;
use crate::{Error, Result, intervals};
use index::IndexReader;
use meta::BlockMeta;
use tombstones::Tombstones;

pub(crate) const CHUNKS_MAGIC: u32 = 0x85BD_40DD;
pub(crate) const CHUNKS_VERSION: u8 = 1;
pub(crate) const CHUNKS_HEADER_BYTES: u64 = 8;
/// Enough for nearly every chunk, so that one read does.
const CHUNK_READ_BYTES: usize = 1024;
/// A longer chunk is taken for damage.
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// Series between two looks at whether the request still wants them.
const CHECK_EVERY: usize = 256;

/// An open block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) dir: PathBuf,
    pub(crate) meta: BlockMeta,
    index: IndexReader,
    chunks: Vec<ChunkSegment>,
    tombstones: RwLock<Arc<Tombstones>>,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct ChunkSegment {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    len: u64,
}

impl Block {
    /// Opens a block and checks what can be checked without reading all of it.
    pub(crate) fn open(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        let meta = BlockMeta::read(fs, dir)?;
        let index_path = dir.join("index");
        let index = IndexReader::open(fs, &index_path)?;
        let chunks_dir = dir.join("chunks");
        let mut chunks = Vec::new();
        let mut bytes = fs.file_len(&index_path).map_err(Error::io("measure", &index_path))?;
        for entry in fs.read_dir(&chunks_dir).map_err(Error::io("list", &chunks_dir))? {
            if entry.name.parse::<u32>().is_err() {
                continue;
            }
            let path = chunks_dir.join(&entry.name);
            let file = fs.open_read(&path).map_err(Error::io("open", &path))?;
            let mut header = [0; CHUNKS_HEADER_BYTES as usize];
            file.read_exact_at(0, &mut header).map_err(Error::io("read", &path))?;
            if header[..4] != CHUNKS_MAGIC.to_be_bytes() || header[4] != CHUNKS_VERSION {
                return Err(Error::corrupt(path.display().to_string(), "not a chunk file of version 1"));
            }
            bytes += entry.len;
            chunks.push(ChunkSegment { path, file, len: entry.len });
        }
        let tombstones = Tombstones::read(fs, dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            meta,
            index,
            chunks,
            tombstones: RwLock::new(Arc::new(tombstones)),
            bytes,
        })
    }

    /// What the block says of itself.
    pub(crate) fn info(&self) -> BlockInfo {
        let (meta, stats, compaction) = (&self.meta, &self.meta.stats, &self.meta.compaction);
        BlockInfo {
            ulid: meta.ulid.clone(),
            min_time: meta.min_time,
            max_time: meta.max_time,
            samples: stats.num_samples,
            float_samples: stats.num_float_samples,
            histogram_samples: stats.num_histogram_samples,
            series: stats.num_series,
            chunks: stats.num_chunks,
            tombstones: self.tombstones().count(),
            level: compaction.level,
            sources: compaction.sources.clone(),
            parents: compaction.parents.iter().map(|parent| parent.ulid.clone()).collect(),
            hints: compaction.hints.clone(),
            bytes: self.bytes,
        }
    }

    /// The time range that the block is for; the end belongs to it.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.min_time, self.meta.max_time.saturating_sub(1))
    }

    pub(crate) fn index(&self) -> &IndexReader {
        &self.index
    }

    pub(crate) fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.tombstones.read())
    }

    /// Series that match, with their chunks in `range`.
    pub(crate) fn select(
        self: &Arc<Self>,
        ctx: &RequestContext,
        matchers: &[CompiledMatcher],
        range: TimeRange,
        labels_only: bool,
        held: &mut Reservation,
    ) -> std::result::Result<Vec<(Labels, SourceSeries)>, StorageError> {
        let mut out = Vec::new();
        let tombstones = self.tombstones();
        let mut chunks = Vec::new();
        for (idx, series) in self.index.select(matchers)?.into_iter().enumerate() {
            if idx % CHECK_EVERY == 0 {
                ctx.check()?;
            }
            chunks.clear();
            let labels = self.index.series(series, &mut chunks)?;
            let deleted = tombstones.of(series);
            chunks.retain(|chunk| {
                range.overlaps(TimeRange::new(chunk.min_time, chunk.max_time))
                    && !intervals::covers(deleted, chunk.min_time, chunk.max_time)
            });
            if chunks.is_empty() {
                continue;
            }
            let mut source = SourceSeries::default();
            if !labels_only {
                source.chunks.extend(chunks.iter().map(|chunk| ChunkHandle {
                    min_time: chunk.min_time,
                    max_time: chunk.max_time,
                    source: ChunkSource::Block { block: Arc::clone(self), reference: chunk.reference },
                }));
                source.tombstones = deleted.into();
            }
            held.grow((labels.heap_bytes() + source.heap_bytes()) as u64)?;
            out.push((labels, source));
        }
        Ok(out)
    }

    /// Reads a chunk's data into `buf`, checked, and returns its encoding.
    pub(crate) fn read_chunk(&self, reference: u64, buf: &mut Vec<u8>) -> Result<u8> {
        let (segment, offset) = ((reference >> 32) as usize, reference & 0xffff_ffff);
        let place = || format!("{}, chunk {segment}:{offset}", self.dir.display());
        let segment =
            self.chunks.get(segment).ok_or_else(|| Error::corrupt(place(), "no such chunk file"))?;
        let left = segment.len.saturating_sub(offset);
        buf.resize(CHUNK_READ_BYTES.min(left as usize), 0);
        segment.file.read_exact_at(offset, buf).map_err(Error::io("read", &segment.path))?;
        let mut reader = ByteReader::new(buf);
        let length = reader.length().map_err(|error| Error::corrupt(place(), error))?;
        let head = buf.len() - reader.rest().len();
        // Behind the length: the encoding, the data, the checksum of both.
        let end = head + 1 + length.min(CHUNK_BYTES_MAX) + 4;
        if length > CHUNK_BYTES_MAX || end as u64 > left {
            return Err(Error::corrupt(place(), "chunk ends behind its file"));
        }
        if end > buf.len() {
            buf.resize(end, 0);
            segment.file.read_exact_at(offset, buf).map_err(Error::io("read", &segment.path))?;
        }
        let covered = &buf[head..end - 4];
        if crc32c(covered).to_be_bytes() != buf[end - 4..end] {
            return Err(Error::corrupt(place(), "chunk checksum does not match"));
        }
        let encoding = covered[0];
        buf.copy_within(head + 1..end - 4, 0);
        buf.truncate(length);
        Ok(encoding)
    }

    /// Marks samples of matching series in `range` as deleted and makes that durable.
    pub(crate) fn delete(
        &self,
        fs: &dyn Fs,
        selectors: &[Vec<CompiledMatcher>],
        range: TimeRange,
    ) -> Result<()> {
        let mut stones = Tombstones::clone(&self.tombstones());
        let before = stones.count();
        let mut chunks = Vec::new();
        for matchers in selectors {
            for series in self.index.select(matchers)? {
                chunks.clear();
                self.index.series(series, &mut chunks)?;
                let first = chunks.first().map_or(i64::MAX, |chunk| chunk.min_time);
                let last = chunks.iter().map(|chunk| chunk.max_time).max().unwrap_or(i64::MIN);
                let (min, max) = (range.start.max(first), range.end.min(last));
                if min <= max {
                    stones.add(series, (min, max));
                }
            }
        }
        if stones.is_empty() && before == 0 {
            return Ok(());
        }
        stones.write(fs, &self.dir)?;
        let meta = BlockMeta {
            stats: meta::BlockStats { num_tombstones: stones.count(), ..self.meta.stats.clone() },
            ..self.meta.clone()
        };
        meta.write(fs, &self.dir)?;
        *self.tombstones.write() = Arc::new(stones);
        Ok(())
    }
}
