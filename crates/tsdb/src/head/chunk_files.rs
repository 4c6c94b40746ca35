//! Closed chunks of the head in `chunks_head/`: appended through a buffer, read at positions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_encoding::{ByteReader, ENCODING_XOR, crc32c, put_be64, put_uvarint};
use parking_lot::{Mutex, RwLock};
use sys::{AppendFile, Fs, Mapped, ReadAt};

use crate::wal::writer::create_dir_durably;
use crate::{Error, Result};

const MAGIC: u32 = 0x0130_BC91;
const VERSION: u8 = 1;
pub(crate) const HEADER_BYTES: u64 = 8;
const FILE_BYTES_MAX: u64 = 128 << 20;
/// Series, first time, last time, encoding.
const CHUNK_HEADER_BYTES: usize = 25;
const CHECKSUM_BYTES: usize = 4;
/// The top bit of the encoding byte marks a chunk of out-of-order samples.
const OUT_OF_ORDER: u8 = 0x80;
/// A longer chunk is taken for damage.
pub(crate) const CHUNK_BYTES_MAX: usize = 16 << 20;
/// Bytes read at once while opening.
const SCAN_BYTES: usize = 1 << 20;

/// Where a chunk lies: the file's number in the upper half, the offset in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChunkPlace(pub(crate) u64);

impl ChunkPlace {
    fn new(file: u32, offset: u64) -> Self {
        Self(u64::from(file) << 32 | offset)
    }

    pub(crate) fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn offset(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

/// A closed chunk of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedChunk {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) place: ChunkPlace,
    /// Bytes of its data.
    pub(crate) length: u32,
    pub(crate) encoding: u8,
}

impl ClosedChunk {
    /// Whether it holds just one native histogram, of this time.
    pub(crate) fn is_histogram_at(&self, timestamp: i64) -> bool {
        self.encoding != ENCODING_XOR && (self.min_time, self.max_time) == (timestamp, timestamp)
    }
}

/// A chunk found while opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundChunk {
    pub(crate) series: u64,
    pub(crate) out_of_order: bool,
    pub(crate) chunk: ClosedChunk,
}

/// A file that can be read; what is not written yet is in the buffer.
#[derive(Debug)]
pub(crate) struct ChunkFile {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    /// Bytes that have been written.
    written: AtomicU64,
    /// The newest sample in it.
    max_time: Mutex<i64>,
}

/// A chunk file's content so far, mapped while a selection needs much of it: pages that it touches are given back with it.
#[derive(Debug)]
pub(crate) struct MappedFile {
    file: Arc<ChunkFile>,
    content: Arc<dyn Mapped>,
}

/// All of `chunks_head/`.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    files: RwLock<BTreeMap<u32, Arc<ChunkFile>>>,
    open: Mutex<OpenFile>,
}

#[derive(Debug, Default)]
struct OpenFile {
    /// The number of the file being written; before the first, of the last that was found.
    number: u32,
    /// Whether that file takes chunks.
    active: bool,
    /// Made with the first flush.
    writer: Option<Box<dyn AppendFile>>,
    /// The file's length with the buffer.
    len: u64,
    /// What is not written yet; its end is the file's end.
    buffer: Vec<u8>,
    max_time: i64,
}

/// Where a chunk's bytes can be had.
#[derive(Debug)]
pub(crate) enum ChunkBytes {
    /// Not written yet: a copy.
    Copied(Vec<u8>),
    /// In this file.
    File(Arc<ChunkFile>),
}

impl ChunkFiles {
    /// Opens the directory and hands every chunk that is whole to `each`, file by file. A damaged file is cut at its last
    /// whole chunk, its old content kept under `aside`, and the damage told to `damaged`.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        mut each: impl FnMut(FoundChunk),
        mut damaged: impl FnMut(&Path, u64, &'static str),
    ) -> Result<Self> {
        create_dir_durably(&*fs, dir)?;
        let entries = fs.read_dir(dir).map_err(Error::io("list", dir))?;
        let mut files = BTreeMap::new();
        let mut last = 0;
        let mut broken = false;
        for entry in entries {
            let Ok(number) = entry.name.parse::<u32>() else { continue };
            let path = dir.join(&entry.name);
            last = last.max(number);
            if broken {
                // A series' chunks in here would hide that earlier ones are gone: the log has them all.
                damaged(&path, 0, "an earlier file is damaged");
                fs.remove_file(&path).map_err(Error::io("remove", &path))?;
                continue;
            }
            let scan = scan_file(&*fs, &path, number, entry.len, &mut each)?;
            if let Some(reason) = scan.damage {
                damaged(&path, scan.good_end, reason);
            }
            broken = scan.good_end < entry.len;
            if scan.good_end <= HEADER_BYTES {
                fs.remove_file(&path).map_err(Error::io("remove", &path))?;
                continue;
            }
            let mut writer = fs.open_append(&path).map_err(Error::io("open", &path))?;
            if broken {
                writer.truncate(scan.good_end).map_err(Error::io("truncate", &path))?;
            }
            // Before later chunks come to lie in a file of their own.
            writer.sync().map_err(Error::io("sync", &path))?;
            let file = fs.open_read(&path).map_err(Error::io("open", &path))?;
            let written = AtomicU64::new(scan.good_end);
            files.insert(number, Arc::new(ChunkFile { path, file, written, max_time: scan.max_time.into() }));
        }
        let open = OpenFile { number: last, ..OpenFile::default() };
        Ok(Self { fs, dir: dir.to_owned(), files: RwLock::new(files), open: Mutex::new(open) })
    }

    /// Appends a chunk to the buffer. Nothing is written before [`Self::flush`], so this cannot fail.
    pub(crate) fn append(
        &self,
        series: u64,
        (min_time, max_time): (i64, i64),
        encoding: u8,
        out_of_order: bool,
        data: &[u8],
    ) -> ClosedChunk {
        let mut open = self.open.lock();
        let size = CHUNK_HEADER_BYTES + data.len() + CHECKSUM_BYTES + 5;
        if open.active && open.len + size as u64 > FILE_BYTES_MAX && self.end_file(&mut open).is_err() {
            // No space: the file grows past its usual size (offsets allow 4 GiB) until it can be ended.
            open.active = true;
        }
        if !open.active {
            open.begin();
        }
        let place = ChunkPlace::new(open.number, open.len);
        let start = open.buffer.len();
        let buffer = &mut open.buffer;
        put_be64(buffer, series);
        put_be64(buffer, min_time as u64);
        put_be64(buffer, max_time as u64);
        buffer.push(if out_of_order { encoding | OUT_OF_ORDER } else { encoding });
        put_uvarint(buffer, data.len() as u64);
        buffer.extend_from_slice(data);
        let checksum = crc32c(&buffer[start..]);
        buffer.extend_from_slice(&checksum.to_be_bytes());
        open.len += (open.buffer.len() - start) as u64;
        open.max_time = open.max_time.max(max_time);
        ClosedChunk { min_time, max_time, place, length: data.len() as u32, encoding }
    }

    /// Writes the buffer. After an error it is kept, is still read from, and is tried again.
    pub(crate) fn flush(&self) -> Result<()> {
        self.flush_open(&mut self.open.lock())
    }

    /// Ends the open file, synced, so that it can be deleted whole later.
    pub(crate) fn finish_file(&self) -> Result<()> {
        let mut open = self.open.lock();
        self.end_file(&mut open)
    }

    /// Bytes of a chunk that was just found in a series: in the buffer or in a file.
    pub(crate) fn locate(&self, chunk: &ClosedChunk) -> Option<ChunkBytes> {
        let written = || {
            let file = self.files.read().get(&chunk.place.file()).cloned()?;
            (chunk.place.offset() < file.written.load(Ordering::Acquire)).then_some(ChunkBytes::File(file))
        };
        if let Some(file) = written() {
            return Some(file);
        }
        let open = self.open.lock();
        let buffered_from = open.len - open.buffer.len() as u64;
        if open.number != chunk.place.file() || chunk.place.offset() < buffered_from {
            drop(open);
            return written();
        }
        let start = (chunk.place.offset() - buffered_from) as usize;
        let data = chunk_data(open.buffer.get(start..)?, chunk.length).ok()?;
        Some(ChunkBytes::Copied(data.to_vec()))
    }

    /// Maps what is in a file by now. What has been written to it is never changed; a failed write is cut off behind it.
    pub(crate) fn map(&self, file: &Arc<ChunkFile>) -> Result<MappedFile> {
        let content = self.fs.map(&file.path).map_err(Error::io("map", &file.path))?;
        Ok(MappedFile { file: Arc::clone(file), content })
    }

    /// Deletes whole files whose samples all lie before `time`, oldest first, and returns how many went.
    pub(crate) fn truncate(&self, time: i64) -> Result<usize> {
        let mut removed = 0;
        loop {
            // The two locks are never held together in this order: writers take them the other way round.
            let open_number = {
                let open = self.open.lock();
                open.active.then_some(open.number)
            };
            let first = {
                let files = self.files.read();
                let first = files.first_key_value().map(|(number, file)| (*number, Arc::clone(file)));
                first.filter(|(number, file)| Some(*number) != open_number && *file.max_time.lock() < time)
            };
            let Some((number, file)) = first else { return Ok(removed) };
            self.fs.remove_file(&file.path).map_err(Error::io("remove", &file.path))?;
            self.files.write().remove(&number);
            removed += 1;
        }
    }

    /// Bytes on disk and in the buffer.
    pub(crate) fn bytes(&self) -> u64 {
        let buffered = self.open.lock().buffer.len() as u64;
        let files = self.files.read();
        files.values().map(|file| file.written.load(Ordering::Relaxed)).sum::<u64>() + buffered
    }

    fn end_file(&self, open: &mut OpenFile) -> Result<()> {
        self.flush_open(open)?;
        if let Some(writer) = &mut open.writer {
            writer.sync().map_err(Error::io("sync", &self.dir))?;
        }
        open.writer = None;
        open.active = false;
        Ok(())
    }

    fn create_file(&self, open: &mut OpenFile) -> Result<()> {
        let number = open.number;
        let path = self.dir.join(format!("{number:06}"));
        let writer = self.fs.create_new(&path).map_err(Error::io("create", &path))?;
        let file = match self.fs.open_read(&path) {
            Ok(file) => file,
            Err(error) => {
                // Without this the name stays taken and every later try fails on it.
                self.fs.remove_file(&path).ok();
                return Err(Error::io("open", &path)(error));
            }
        };
        if let Err(error) = self.fs.sync_dir(&self.dir) {
            self.fs.remove_file(&path).ok();
            return Err(Error::io("sync", &self.dir)(error));
        }
        let entry = ChunkFile { path, file, written: AtomicU64::new(0), max_time: i64::MIN.into() };
        self.files.write().insert(number, Arc::new(entry));
        open.writer = Some(writer);
        Ok(())
    }

    fn flush_open(&self, open: &mut OpenFile) -> Result<()> {
        if open.buffer.is_empty() {
            return Ok(());
        }
        if open.writer.is_none() {
            self.create_file(open)?;
        }
        let Some(writer) = &mut open.writer else { return Ok(()) };
        let Some(file) = self.files.read().get(&open.number).cloned() else { return Ok(()) };
        let written = file.written.load(Ordering::Acquire);
        if writer.len() != written {
            writer.truncate(written).map_err(Error::io("truncate", &file.path))?;
        }
        if let Err(error) = writer.append(&open.buffer) {
            // A second failure here is noticed by the next flush, which cuts again.
            writer.truncate(written).ok();
            return Err(Error::io("append to", &file.path)(error));
        }
        *file.max_time.lock() = open.max_time;
        file.written.store(open.len, Ordering::Release);
        open.buffer.clear();
        Ok(())
    }
}

impl OpenFile {
    /// Begins the next file, in the buffer only.
    fn begin(&mut self) {
        self.number += 1;
        self.active = true;
        self.buffer.clear();
        self.buffer.extend_from_slice(&MAGIC.to_be_bytes());
        self.buffer.extend_from_slice(&[VERSION, 0, 0, 0]);
        self.len = HEADER_BYTES;
        self.max_time = i64::MIN;
    }
}

impl MappedFile {
    /// A chunk's data, checked.
    pub(crate) fn chunk(&self, chunk: &ClosedChunk) -> Result<&[u8]> {
        let offset = chunk.place.offset();
        let bytes = self.content.bytes().get(offset as usize..).unwrap_or(&[]);
        let place = || format!("{}, offset {offset}", self.file.path.display());
        chunk_data(bytes, chunk.length).map_err(|reason| Error::corrupt(place(), reason))
    }
}

impl ChunkFile {
    /// Reads a chunk's data into `buf`, checked.
    pub(crate) fn read(&self, chunk: &ClosedChunk, buf: &mut Vec<u8>) -> Result<()> {
        let size = CHUNK_HEADER_BYTES
            + uvarint_length(u64::from(chunk.length))
            + chunk.length as usize
            + CHECKSUM_BYTES;
        buf.resize(size, 0);
        let offset = chunk.place.offset();
        self.file.read_exact_at(offset, buf).map_err(Error::io("read", &self.path))?;
        let length = match chunk_data(buf, chunk.length) {
            Ok(data) => data.len(),
            Err(reason) => {
                return Err(Error::corrupt(format!("{}, offset {offset}", self.path.display()), reason));
            }
        };
        let start = size - CHECKSUM_BYTES - length;
        buf.copy_within(start..start + length, 0);
        buf.truncate(length);
        Ok(())
    }
}

fn uvarint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// The data of the chunk that starts at `bytes`, where it has this length and its checksum fits.
fn chunk_data(bytes: &[u8], length: u32) -> std::result::Result<&[u8], &'static str> {
    let mut reader = ByteReader::new(bytes);
    let mut parse = || {
        reader.take(CHUNK_HEADER_BYTES)?;
        let length = reader.length()?;
        Ok::<_, chunk_encoding::DecodeError>((length, reader.take(length)?, reader))
    };
    let (found, data, mut rest) = parse().map_err(|_| "chunk ends too early")?;
    let checksum = rest.be32().map_err(|_| "chunk ends too early")?;
    let covered = bytes.len() - rest.rest().len() - CHECKSUM_BYTES;
    if found != length as usize {
        return Err("chunk length does not match");
    }
    if crc32c(&bytes[..covered]) != checksum {
        return Err("chunk checksum does not match");
    }
    Ok(data)
}

struct Scan {
    good_end: u64,
    max_time: i64,
    damage: Option<&'static str>,
}

fn scan_file(
    fs: &dyn Fs,
    path: &Path,
    number: u32,
    len: u64,
    each: &mut impl FnMut(FoundChunk),
) -> Result<Scan> {
    let mut scan = Scan { good_end: 0, max_time: i64::MIN, damage: None };
    let file = fs.open_read(path).map_err(Error::io("open", path))?;
    let mut header = [0; HEADER_BYTES as usize];
    if len < HEADER_BYTES {
        scan.damage = (len > 0).then_some("file header is incomplete");
        return Ok(scan);
    }
    file.read_exact_at(0, &mut header).map_err(Error::io("read", path))?;
    if header[..4] != MAGIC.to_be_bytes() || header[4] != VERSION {
        scan.damage = (header != [0; 8]).then_some("not a head chunk file of version 1");
        return Ok(scan);
    }
    scan.good_end = HEADER_BYTES;
    let (mut buf, mut start) = (Vec::new(), 0);
    while scan.good_end < len {
        match parse_found(&buf[start..], ChunkPlace::new(number, scan.good_end)) {
            Parsed::Chunk(found, size) => {
                scan.max_time = scan.max_time.max(found.chunk.max_time);
                scan.good_end += size as u64;
                start += size;
                each(found);
            }
            Parsed::End => return Ok(scan),
            Parsed::Damaged(reason) => {
                scan.damage = Some(reason);
                return Ok(scan);
            }
            Parsed::Short => {
                let have = buf.len() - start;
                let at = scan.good_end + have as u64;
                let take = (SCAN_BYTES.max(have) as u64).min(len - at) as usize;
                if take == 0 {
                    scan.damage = Some("chunk ends too early");
                    return Ok(scan);
                }
                buf.copy_within(start.., 0);
                buf.resize(have + take, 0);
                start = 0;
                file.read_exact_at(at, &mut buf[have..]).map_err(Error::io("read", path))?;
            }
        }
    }
    Ok(scan)
}

enum Parsed {
    Chunk(FoundChunk, usize),
    /// Zeros: the rest of a preallocated file.
    End,
    Short,
    Damaged(&'static str),
}

fn parse_found(bytes: &[u8], place: ChunkPlace) -> Parsed {
    let mut reader = ByteReader::new(bytes);
    let mut parse = || {
        let (series, min_time, max_time) = (reader.be64()?, reader.be64()? as i64, reader.be64()? as i64);
        let encoding = reader.byte()?;
        let length = reader.length()?;
        Ok::<_, chunk_encoding::DecodeError>((series, min_time, max_time, encoding, length))
    };
    let Ok((series, min_time, max_time, encoding, length)) = parse() else {
        return if bytes.len() > CHUNK_HEADER_BYTES + 10 {
            Parsed::Damaged("chunk header does not decode")
        } else {
            Parsed::Short
        };
    };
    if encoding == 0 && series == 0 && length == 0 {
        return Parsed::End;
    }
    if length > CHUNK_BYTES_MAX || min_time > max_time {
        return Parsed::Damaged("chunk header does not fit");
    }
    let covered = bytes.len() - reader.rest().len() + length;
    let Some(checksum) = bytes.get(covered..covered + CHECKSUM_BYTES) else { return Parsed::Short };
    if crc32c(&bytes[..covered]).to_be_bytes() != checksum {
        return Parsed::Damaged("chunk checksum does not match");
    }
    let chunk =
        ClosedChunk { min_time, max_time, place, length: length as u32, encoding: encoding & !OUT_OF_ORDER };
    let found = FoundChunk { series, out_of_order: encoding & OUT_OF_ORDER != 0, chunk };
    Parsed::Chunk(found, covered + CHECKSUM_BYTES)
}
