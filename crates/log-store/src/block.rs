//! A block: rows of one stream in order of time, a section for each column. Immutable; in memory or in a segment file.

mod env;
pub(crate) mod lines;
pub(crate) mod metadata;
pub(crate) mod timestamps;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_be32, put_uvarint, put_varint};
use model::TimestampNs;
use parking_lot::Mutex;
use sys::ReadAt;

use crate::error::BlockError;
use crate::page::Row;
pub(crate) use env::{BlockEnv, Loaded};
use lines::{LineEncoder, Lines};
use metadata::MetadataColumns;
use timestamps::Times;

/// No block has more rows, whatever wrote it: a bound for what is allocated on behalf of an index.
pub(crate) const BLOCK_ROWS_MAX: usize = 1 << 20;
/// Rows whose lines' bytes are summed up.
pub(crate) const BYTES_GROUP: usize = 16;
/// No section is larger.
const SECTION_BYTES_MAX: u64 = 1 << 30;
/// A compressed section has to be smaller than this share of its plain form, in percent.
const COMPRESSION_PERCENT_MAX: usize = 90;
/// Below so many bytes compression does not pay.
const COMPRESSION_BYTES_MIN: usize = 64;
/// What costs least; higher levels gain next to nothing on index bytes.
const COMPRESSION_LEVEL: i32 = 1;

/// What a section holds. Kinds that are not known are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SectionKind {
    Timestamps = 1,
    /// Lines as plain text.
    PlainLines = 2,
    Metadata = 3,
    /// Templates of lines, and the headers of their columns.
    Templates = 4,
    /// Which template each row has.
    TemplateIds = 5,
    /// Bytes that point into dictionaries of columns, and lengths.
    ColumnIndex = 6,
    /// Packed numbers and hexadecimal digits of columns.
    ColumnBits = 7,
    /// Lines that no template was worth making for.
    OtherLines = 8,
    /// Bytes of lines in each group of rows.
    GroupBytes = 9,
}

/// Where a section lies and how its bytes are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectionMeta {
    kind: u8,
    /// 0 as it is, 1 zstd.
    compression: u8,
    len: u32,
    /// The length before compression.
    plain_len: u32,
    crc: u32,
}

/// What is known of a block without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub(crate) rows: usize,
    pub(crate) min: TimestampNs,
    pub(crate) max: TimestampNs,
    /// Bytes of all lines.
    pub(crate) line_bytes: u64,
    sections: Vec<SectionMeta>,
}

/// A block as bytes.
#[derive(Debug)]
pub(crate) struct EncodedBlock {
    pub(crate) meta: BlockMeta,
    pub(crate) data: Vec<u8>,
}

/// Where a block's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum BlockBytes {
    Memory(Arc<EncodedBlock>),
    File { file: Arc<dyn ReadAt>, offset: u64 },
}

impl BlockMeta {
    pub(crate) fn data_len(&self) -> u64 {
        self.sections.iter().map(|section| u64::from(section.len)).sum()
    }

    /// What the block takes in memory when it is read.
    pub(crate) fn open_bytes(&self) -> u64 {
        let rows = self.rows as u64;
        let plain = |section: &SectionMeta| u64::from(section.plain_len);
        // Times, and where each row's line is to be found, beside the sections themselves.
        rows * 24 + self.sections.iter().map(plain).sum::<u64>()
    }

    pub(crate) fn encode(&self, dst: &mut Vec<u8>) {
        put_uvarint(dst, self.rows as u64);
        put_varint(dst, self.min);
        put_uvarint(dst, self.max.wrapping_sub(self.min) as u64);
        put_uvarint(dst, self.line_bytes);
        put_uvarint(dst, self.sections.len() as u64);
        for section in &self.sections {
            dst.push(section.kind);
            dst.push(section.compression);
            put_uvarint(dst, u64::from(section.len));
            put_uvarint(dst, u64::from(section.plain_len));
            put_be32(dst, section.crc);
        }
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let rows = reader.length()?;
        if rows == 0 || rows > BLOCK_ROWS_MAX {
            return Err(DecodeError::Invalid("number of rows"));
        }
        let min = reader.varint()?;
        let max = min.wrapping_add(reader.uvarint()? as i64);
        let line_bytes = reader.uvarint()?;
        if max < min {
            return Err(DecodeError::Invalid("range of times"));
        }
        let mut sections = Vec::new();
        for _ in 0..reader.length()? {
            let (kind, compression) = (reader.byte()?, reader.byte()?);
            let (len, plain_len) = (reader.uvarint()?, reader.uvarint()?);
            if len > SECTION_BYTES_MAX || plain_len > SECTION_BYTES_MAX {
                return Err(DecodeError::Invalid("section length"));
            }
            let crc = reader.be32()?;
            sections.push(SectionMeta {
                kind,
                compression,
                len: len as u32,
                plain_len: plain_len as u32,
                crc,
            });
        }
        Ok(Self { rows, min, max, line_bytes, sections })
    }
}

/// Encodes blocks; what it needs is kept from block to block.
#[derive(Debug, Default)]
pub(crate) struct BlockEncoder {
    lines: LineEncoder,
    compressor: Compressor,
    times: Vec<TimestampNs>,
    section: Vec<u8>,
    data: Vec<u8>,
}

impl BlockEncoder {
    /// Encodes rows, which must be in order of time and at least one.
    pub(crate) fn encode(&mut self, rows: &[Row<'_>]) -> EncodedBlock {
        let mut builder = BlockBuilder::new(&mut self.compressor, std::mem::take(&mut self.data));
        self.times.clear();
        self.times.extend(rows.iter().map(|row| row.timestamp));
        self.section.clear();
        timestamps::encode(&mut self.section, &self.times);
        builder.push(SectionKind::Timestamps, &self.section, false);
        self.section.clear();
        for group in rows.chunks(BYTES_GROUP) {
            put_uvarint(&mut self.section, group.iter().map(|row| row.line.len() as u64).sum());
        }
        builder.push(SectionKind::GroupBytes, &self.section, false);
        lines::encode(&mut self.lines, &mut builder, rows);
        self.section.clear();
        metadata::encode(&mut self.section, rows.iter().map(|row| row.metadata));
        if !self.section.is_empty() {
            builder.push(SectionKind::Metadata, &self.section, true);
        }
        let line_bytes = rows.iter().map(|row| row.line.len() as u64).sum();
        let (min, max) = (self.times[0], self.times[self.times.len() - 1]);
        let meta = BlockMeta { rows: rows.len(), min, max, line_bytes, sections: builder.sections };
        // The block gets memory of just its size, and the buffer stays here.
        self.data = builder.data;
        let data = self.data.as_slice().to_vec();
        self.data.clear();
        EncodedBlock { meta, data }
    }
}

/// So many encoders are kept for the next block: each holds some megabytes.
const ENCODERS_KEPT: usize = 4;

/// Encoders that are not in use.
#[derive(Debug, Default)]
pub(crate) struct BlockEncoders(Mutex<Vec<BlockEncoder>>);

impl BlockEncoders {
    pub(crate) fn encode(&self, rows: &[Row<'_>]) -> EncodedBlock {
        self.with(|encoder| encoder.encode(rows))
    }

    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut BlockEncoder) -> R) -> R {
        let free = self.0.lock().pop();
        let mut encoder = free.unwrap_or_default();
        let done = work(&mut encoder);
        let mut free = self.0.lock();
        if free.len() < ENCODERS_KEPT {
            free.push(encoder);
        }
        done
    }
}

/// Compresses sections; its tables are kept.
#[derive(Default)]
pub(crate) struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Compressor {
    /// The compressed form; `None` where it cannot be had.
    fn compress(&mut self, plain: &[u8]) -> Option<&[u8]> {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(COMPRESSION_LEVEL).ok();
        }
        self.buffer.clear();
        self.buffer.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        self.zstd.as_mut()?.compress_to_buffer(plain, &mut self.buffer).ok()?;
        Some(&self.buffer)
    }
}

/// Collects sections.
#[derive(Debug)]
pub(crate) struct BlockBuilder<'a> {
    compressor: &'a mut Compressor,
    data: Vec<u8>,
    sections: Vec<SectionMeta>,
}

impl<'a> BlockBuilder<'a> {
    /// A builder that appends to `data`, which must be empty.
    pub(crate) fn new(compressor: &'a mut Compressor, data: Vec<u8>) -> Self {
        debug_assert!(data.is_empty(), "a block begins with its first section");
        Self { compressor, data, sections: Vec::new() }
    }

    /// Adds a section, compressed where that is asked for and pays.
    pub(crate) fn push(&mut self, kind: SectionKind, plain: &[u8], compress: bool) {
        let compressed = if compress && plain.len() >= COMPRESSION_BYTES_MIN {
            self.compressor.compress(plain)
        } else {
            None
        };
        let pays = |bytes: &&[u8]| bytes.len() * 100 < plain.len() * COMPRESSION_PERCENT_MAX;
        let (compression, bytes) = match compressed.filter(pays) {
            Some(bytes) => (1, bytes),
            None => (0, plain),
        };
        self.sections.push(SectionMeta {
            kind: kind as u8,
            compression,
            len: bytes.len() as u32,
            plain_len: plain.len() as u32,
            crc: crc32c(bytes),
        });
        self.data.extend_from_slice(bytes);
    }
}

#[cfg(test)]
impl BlockBuilder<'_> {
    /// What has been pushed, as a reader sees it.
    pub(crate) fn sections(self, rows: usize) -> Sections {
        let meta = BlockMeta { rows, min: 0, max: 0, line_bytes: 0, sections: self.sections };
        let encoded = Arc::new(EncodedBlock { meta: meta.clone(), data: self.data });
        let loaded = Arc::new(Loaded::new(&Arc::default()));
        Sections { meta: Arc::new(meta), bytes: BlockBytes::Memory(encoded), loaded }
    }
}

/// Sections of a block on demand.
#[derive(Clone, Debug)]
pub(crate) struct Sections {
    meta: Arc<BlockMeta>,
    bytes: BlockBytes,
    loaded: Arc<Loaded>,
}

impl Sections {
    pub(crate) fn env(&self) -> &BlockEnv {
        self.loaded.env()
    }

    /// Counts memory that something made of a section takes.
    pub(crate) fn charge(&self, bytes: usize) {
        self.loaded.add(bytes);
    }

    pub(crate) fn has(&self, kind: SectionKind) -> bool {
        self.meta.sections.iter().any(|section| section.kind == kind as u8)
    }

    /// A section's content, checked; empty where the block has none of the kind.
    pub(crate) fn read(&self, kind: SectionKind) -> Result<Vec<u8>, BlockError> {
        let mut at = 0;
        for section in &self.meta.sections {
            if section.kind == kind as u8 {
                return self.read_at(at, section);
            }
            at += u64::from(section.len);
        }
        Ok(Vec::new())
    }

    fn read_at(&self, at: u64, section: &SectionMeta) -> Result<Vec<u8>, BlockError> {
        let bytes = match &self.bytes {
            BlockBytes::Memory(block) => {
                let from = at as usize;
                let own = block.data.get(from..from + section.len as usize);
                own.ok_or(BlockError::Damaged("section lies beyond the block"))?.to_vec()
            }
            BlockBytes::File { file, offset } => {
                let mut bytes = vec![0; section.len as usize];
                file.read_exact_at(offset + at, &mut bytes)?;
                bytes
            }
        };
        if crc32c(&bytes) != section.crc {
            return Err(BlockError::Damaged("checksum of a section does not fit"));
        }
        match section.compression {
            0 => Ok(bytes),
            1 => {
                let plain = zstd::bulk::decompress(&bytes, section.plain_len as usize);
                let plain = plain.map_err(|_| BlockError::Damaged("section cannot be decompressed"))?;
                if plain.len() != section.plain_len as usize {
                    return Err(BlockError::Damaged("section has another length than recorded"));
                }
                Ok(plain)
            }
            _ => Err(BlockError::Damaged("unknown compression: a newer version wrote this")),
        }
    }
}

/// A block that is being read: columns are loaded when they are first needed.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    sections: Sections,
    times: OnceLock<Times>,
    group_bytes: OnceLock<Vec<u64>>,
    timestamps: OnceLock<Vec<TimestampNs>>,
    lines: OnceLock<Lines>,
    metadata: OnceLock<MetadataColumns>,
}

impl OpenBlock {
    pub(crate) fn new(meta: Arc<BlockMeta>, bytes: BlockBytes, env: &Arc<BlockEnv>) -> Self {
        let sections = Sections { meta, bytes, loaded: Arc::new(Loaded::new(env)) };
        if let BlockBytes::Memory(encoded) = &sections.bytes {
            // Held by this block alone once a flush has written it.
            sections.charge(encoded.data.len());
        }
        Self {
            sections,
            times: OnceLock::new(),
            group_bytes: OnceLock::new(),
            timestamps: OnceLock::new(),
            lines: OnceLock::new(),
            metadata: OnceLock::new(),
        }
    }

    pub(crate) fn meta(&self) -> &BlockMeta {
        &self.sections.meta
    }

    pub(crate) fn timestamps(&self) -> Result<&[TimestampNs], BlockError> {
        load(&self.timestamps, || {
            let times = self.times()?.all()?;
            let ends = (times.first().copied(), times.last().copied());
            if ends != (Some(self.meta().min), Some(self.meta().max)) {
                return Err(BlockError::Damaged("times lie outside the block's range"));
            }
            self.sections.charge(times.len() * 8);
            Ok(times)
        })
        .map(Vec::as_slice)
    }

    /// Times that are decoded as far as they are needed.
    pub(crate) fn times(&self) -> Result<&Times, BlockError> {
        load(&self.times, || {
            let section = self.sections.read(SectionKind::Timestamps)?;
            let times = Times::decode(&section, self.meta().rows)?;
            self.sections.charge(times.bytes());
            Ok(times)
        })
    }

    /// Bytes of lines in each group of [`BYTES_GROUP`] rows.
    pub(crate) fn group_bytes(&self) -> Result<&[u64], BlockError> {
        load(&self.group_bytes, || {
            let section = self.sections.read(SectionKind::GroupBytes)?;
            let mut reader = ByteReader::new(&section);
            let groups = 0..self.meta().rows.div_ceil(BYTES_GROUP);
            self.sections.charge(groups.len() * 8);
            Ok(groups.map(|_| reader.uvarint()).collect::<Result<Vec<u64>, DecodeError>>()?)
        })
        .map(Vec::as_slice)
    }

    pub(crate) fn lines(&self) -> Result<&Lines, BlockError> {
        load(&self.lines, || Lines::open(&self.sections, self.meta().rows))
    }

    /// Whether any row has structured metadata.
    pub(crate) fn has_metadata(&self) -> bool {
        self.sections.has(SectionKind::Metadata)
    }

    pub(crate) fn metadata(&self) -> Result<&MetadataColumns, BlockError> {
        load(&self.metadata, || {
            let section = self.sections.read(SectionKind::Metadata)?;
            self.sections.charge(section.len() * 2 + self.meta().rows * 4);
            Ok(metadata::decode(&section, self.meta().rows)?)
        })
    }

    /// Whether the block holds an entry.
    pub(crate) fn contains(&self, wanted: Row<'_>) -> Result<bool, BlockError> {
        let times = self.timestamps()?;
        let from = times.partition_point(|ts| *ts < wanted.timestamp);
        for row in (from..times.len()).take_while(|row| times[*row] == wanted.timestamp) {
            if self.lines()?.line(row)? == wanted.line && self.metadata()?.row_is(row, wanted.metadata) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All rows, for writing them again.
    pub(crate) fn owned_rows(&self) -> Result<Vec<OwnedRow>, BlockError> {
        let (times, lines, metadata) = (self.timestamps()?, self.lines()?, self.metadata()?);
        let mut rows = Vec::with_capacity(times.len());
        for (row, timestamp) in times.iter().enumerate() {
            let line = lines.line(row)?.into_owned();
            rows.push(OwnedRow { timestamp: *timestamp, line, metadata: metadata.row(row) });
        }
        Ok(rows)
    }

    pub(crate) fn line(&self, row: usize) -> Result<Cow<'_, str>, BlockError> {
        self.lines()?.line(row)
    }
}

/// An entry taken out of a block.
#[derive(Clone, Debug)]
pub(crate) struct OwnedRow {
    timestamp: TimestampNs,
    line: String,
    metadata: Vec<(String, String)>,
}

impl OwnedRow {
    pub(crate) fn as_row(&self) -> Row<'_> {
        Row { timestamp: self.timestamp, line: &self.line, metadata: &self.metadata }
    }
}

pub(crate) fn load<T>(
    slot: &OnceLock<T>,
    make: impl FnOnce() -> Result<T, BlockError>,
) -> Result<&T, BlockError> {
    if let Some(loaded) = slot.get() {
        return Ok(loaded);
    }
    let made = make()?;
    Ok(slot.get_or_init(|| made))
}
