//! Writes a segment: blocks as they come, then the index; visible under its name only when it is whole and on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk_encoding::{crc32c, put_be32, put_be64};
use model::Labels;
use sys::{AppendFile, Fs};

use super::{HEADER_BYTES, MAGIC, SegmentIndex, TRAILER_MAGIC, VERSION, file_name};
use crate::block::BlockMeta;
use crate::error::{Result, corrupt, io_error};

/// Blocks are handed to the file in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;

/// A segment that is being written.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    temporary: PathBuf,
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    index: SegmentIndex,
    offset: u64,
    finished: bool,
}

impl SegmentWriter {
    /// Starts a segment; `index` says everything but the streams.
    pub(crate) fn create(fs: &Arc<dyn Fs>, dir: &Path, index: SegmentIndex) -> Result<Self> {
        let path = dir.join(file_name(index.partition, index.id));
        let temporary = path.with_extension("tmp");
        let file = fs.create_new(&temporary).map_err(|error| io_error("create", &temporary, error))?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&VERSION.to_be_bytes());
        buffer.extend_from_slice(&[0, 0]);
        let crc = crc32c(&buffer);
        put_be32(&mut buffer, crc);
        let fs = Arc::clone(fs);
        Ok(Self { fs, path, temporary, file, buffer, index, offset: HEADER_BYTES as u64, finished: false })
    }

    /// Adds a block; those of a stream one after the other, streams in order of labels.
    pub(crate) fn push(&mut self, labels: &Labels, meta: BlockMeta, data: &[u8]) -> Result<()> {
        debug_assert_eq!(meta.data_len(), data.len() as u64, "a block's sections fill it");
        match self.index.streams.last_mut() {
            Some((last, blocks)) if last == labels => blocks.push(meta),
            _ => self.index.streams.push((labels.clone(), vec![meta])),
        }
        self.offset += data.len() as u64;
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= BUFFER_BYTES { self.write_buffer() } else { Ok(()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.streams.is_empty()
    }

    /// Writes the index, makes the file durable and gives it its name. Returns the path. After an error nothing is left of the
    /// segment; where it may be, its path is put into `orphans`, and nothing else may be written for the tenant before that
    /// file is gone: its entries would be there twice after the next start.
    pub(crate) fn finish(mut self, orphans: &mut Vec<PathBuf>) -> Result<PathBuf> {
        let plain = self.index.encode();
        let bytes = zstd::bulk::compress(&plain, 1).map_err(|error| corrupt("index", error))?;
        let mut trailer = Vec::new();
        put_be64(&mut trailer, self.offset);
        put_be32(&mut trailer, plain.len() as u32);
        put_be32(&mut trailer, crc32c(&bytes));
        let crc = crc32c(&trailer);
        put_be32(&mut trailer, crc);
        trailer.extend_from_slice(&TRAILER_MAGIC);
        self.buffer.extend_from_slice(&bytes);
        self.buffer.extend_from_slice(&trailer);
        self.write_buffer()?;
        self.file.sync().map_err(|error| io_error("sync", &self.temporary, error))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let renamed = self.fs.rename(&self.temporary, &self.path).and_then(|()| self.fs.sync_dir(dir));
        if let Err(error) = renamed {
            if !is_gone(self.fs.remove_file(&self.path)) {
                orphans.push(self.path.clone());
            }
            return Err(io_error("rename", &self.temporary, error));
        }
        self.finished = true;
        Ok(self.path.clone())
    }

    fn write_buffer(&mut self) -> Result<()> {
        self.file.append(&self.buffer).map_err(|error| io_error("append to", &self.temporary, error))?;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed at the next start.
            self.fs.remove_file(&self.temporary).ok();
        }
    }
}

/// Whether a removal has left nothing.
fn is_gone(removed: std::io::Result<()>) -> bool {
    removed.map_or_else(|error| error.kind() == std::io::ErrorKind::NotFound, |()| true)
}
