//! Writing a block: into a temporary directory, synced, then renamed to its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk_encoding::{crc32c, put_uvarint};
use model::Labels;
use sys::{AppendFile, Fs};

use super::index::ChunkMeta;
use super::index_writer::IndexWriter;
use super::meta::{BlockCompaction, BlockMeta, BlockStats};
use super::tombstones::Tombstones;
use super::{CHUNKS_HEADER_BYTES, CHUNKS_MAGIC, CHUNKS_VERSION};
use crate::{Error, Result};

const BUFFER_BYTES: usize = 1 << 20;
const TEMPORARY: &str = ".tmp-for-creation";

/// A file that is written from front to back through a buffer.
#[derive(Debug)]
pub(crate) struct FileWriter {
    path: PathBuf,
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    position: u64,
}

impl FileWriter {
    pub(crate) fn create(fs: &dyn Fs, path: &Path) -> Result<Self> {
        let file = fs.create_new(path).map_err(Error::io("create", path))?;
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), position: 0 })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(data);
        self.position += data.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Fills up with zeros to a multiple of `alignment`.
    pub(crate) fn align(&mut self, alignment: u64) -> Result<()> {
        let missing = self.position.next_multiple_of(alignment) - self.position;
        self.write(&[0; 16][..missing as usize])
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Makes the file durable and returns its length.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.file.sync().map_err(Error::io("sync", &self.path))?;
        Ok(self.position)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(&self.buffer).map_err(Error::io("append to", &self.path))?;
        self.buffer.clear();
        Ok(())
    }
}

/// A chunk to be written.
#[derive(Debug)]
pub(crate) struct ChunkToWrite<'a> {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) encoding: u8,
    pub(crate) data: &'a [u8],
}

/// A block being written. Dropped without [`Self::finish`], it leaves a directory that the next start removes.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    fs: Arc<dyn Fs>,
    /// Where the block will be.
    dir: PathBuf,
    temporary: PathBuf,
    segment_bytes: u64,
    segments: u32,
    segment: Option<FileWriter>,
    index: IndexWriter,
    stats: BlockStats,
    metas: Vec<ChunkMeta>,
}

impl BlockWriter {
    /// Starts a block. `symbols` are all label names and values, sorted and unique.
    pub(crate) fn new(
        fs: &Arc<dyn Fs>,
        parent: &Path,
        ulid: &str,
        symbols: Vec<String>,
        segment_bytes: u64,
    ) -> Result<Self> {
        let dir = parent.join(ulid);
        let temporary = parent.join(format!("{ulid}{TEMPORARY}"));
        let chunks = temporary.join("chunks");
        fs.create_dir_all(&chunks).map_err(Error::io("create", &chunks))?;
        let index = FileWriter::create(&**fs, &temporary.join("index"))?;
        Ok(Self {
            fs: Arc::clone(fs),
            dir,
            temporary,
            segment_bytes,
            segments: 0,
            segment: None,
            index: IndexWriter::new(index, symbols)?,
            stats: BlockStats::default(),
            metas: Vec::new(),
        })
    }

    /// Adds a series, in label order, with its chunks in order of time.
    pub(crate) fn add_series(&mut self, labels: &Labels, chunks: &[ChunkToWrite<'_>]) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut metas = std::mem::take(&mut self.metas);
        metas.clear();
        for chunk in chunks {
            let reference = self.write_chunk(chunk)?;
            metas.push(ChunkMeta { min_time: chunk.min_time, max_time: chunk.max_time, reference });
            let samples = u64::from(chunk_encoding::xor_sample_count(chunk.data));
            self.stats.num_samples += samples;
            match chunk.encoding {
                chunk_encoding::ENCODING_XOR => self.stats.num_float_samples += samples,
                _ => self.stats.num_histogram_samples += samples,
            }
        }
        self.index.add_series(labels, &metas)?;
        self.metas = metas;
        self.stats.num_series += 1;
        self.stats.num_chunks += chunks.len() as u64;
        Ok(())
    }

    /// Makes the block whole and durable and moves it to its place; returns its directory. A block without series is
    /// dropped.
    pub(crate) fn finish(
        self,
        ulid: String,
        (min_time, max_time): (i64, i64),
        compaction: BlockCompaction,
    ) -> Result<Option<PathBuf>> {
        let (fs, temporary, dir) = (Arc::clone(&self.fs), self.temporary.clone(), self.dir.clone());
        if self.stats.num_series == 0 {
            self.abandon();
            return Ok(None);
        }
        let finished = self.finish_files(ulid, (min_time, max_time), compaction);
        if let Err(error) = finished {
            fs.remove_dir_all(&temporary).ok();
            return Err(error);
        }
        fs.rename(&temporary, &dir).map_err(Error::io("rename", &temporary))?;
        let parent = dir.parent().unwrap_or(Path::new("."));
        fs.sync_dir(parent).map_err(Error::io("sync", parent))?;
        Ok(Some(dir))
    }

    fn finish_files(
        mut self,
        ulid: String,
        (min_time, max_time): (i64, i64),
        compaction: BlockCompaction,
    ) -> Result<()> {
        let (fs, temporary) = (Arc::clone(&self.fs), self.temporary.clone());
        if let Some(segment) = self.segment.take() {
            segment.finish()?;
        }
        let stats = std::mem::take(&mut self.stats);
        self.index.finish()?;
        Tombstones::default().write(&*fs, &temporary)?;
        let meta =
            BlockMeta { ulid, min_time, max_time, stats, compaction, version: 1, ..BlockMeta::default() };
        meta.write(&*fs, &temporary)?;
        for synced in [temporary.join("chunks"), temporary.clone()] {
            fs.sync_dir(&synced).map_err(Error::io("sync", &synced))?;
        }
        Ok(())
    }

    /// Removes what was written so far.
    pub(crate) fn abandon(self) {
        let Self { fs, temporary, segment, index, .. } = self;
        drop((segment, index));
        if let Err(error) = fs.remove_dir_all(&temporary) {
            tracing::warn!(error = %error, "unfinished block could not be removed; the next start does it");
        }
    }

    fn write_chunk(&mut self, chunk: &ChunkToWrite<'_>) -> Result<u64> {
        let size = chunk.data.len() as u64 + 16;
        if let Some(full) = self.segment.take_if(|segment| segment.position() + size > self.segment_bytes) {
            full.finish()?;
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => {
                self.segments += 1;
                let path = self.temporary.join("chunks").join(format!("{:06}", self.segments));
                let mut file = FileWriter::create(&*self.fs, &path)?;
                file.write(&CHUNKS_MAGIC.to_be_bytes())?;
                file.write(&[CHUNKS_VERSION, 0, 0, 0])?;
                debug_assert_eq!(file.position(), CHUNKS_HEADER_BYTES, "magic, version, padding");
                none.insert(file)
            }
        };
        let reference = u64::from(self.segments - 1) << 32 | segment.position();
        let mut head = Vec::with_capacity(6);
        put_uvarint(&mut head, chunk.data.len() as u64);
        segment.write(&head)?;
        let mut covered = Vec::with_capacity(chunk.data.len() + 5);
        covered.push(chunk.encoding);
        covered.extend_from_slice(chunk.data);
        let checksum = crc32c(&covered);
        covered.extend_from_slice(&checksum.to_be_bytes());
        segment.write(&covered)?;
        Ok(reference)
    }
}
