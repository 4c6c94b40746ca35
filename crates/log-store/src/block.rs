//! A block: rows of one stream in order of time, a section for each column. Immutable; in memory or in a segment file.

pub(crate) mod lines;
pub(crate) mod metadata;
pub(crate) mod timestamps;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_be32, put_uvarint, put_varint};
use model::TimestampNs;
use sys::ReadAt;

use crate::error::BlockError;
use crate::page::Row;
use lines::Lines;
use metadata::MetadataColumns;

/// No block has more rows, whatever wrote it: a bound for what is allocated on behalf of an index.
pub(crate) const BLOCK_ROWS_MAX: usize = 1 << 20;
/// No section is larger.
const SECTION_BYTES_MAX: u64 = 1 << 30;
/// A compressed section has to be smaller than this share of its plain form, in percent.
const COMPRESSION_PERCENT_MAX: usize = 90;
/// Below so many bytes compression does not pay.
const COMPRESSION_BYTES_MIN: usize = 64;

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

/// Encodes rows, which must be in order of time and at least one.
pub(crate) fn encode_block(rows: &[Row<'_>]) -> EncodedBlock {
    let mut builder = BlockBuilder::new();
    let times: Vec<TimestampNs> = rows.iter().map(|row| row.timestamp).collect();
    let mut section = Vec::new();
    timestamps::encode(&mut section, &times);
    builder.push(SectionKind::Timestamps, &section, false);
    lines::encode(&mut builder, rows);
    section.clear();
    metadata::encode(&mut section, rows.iter().map(|row| row.metadata));
    if !section.is_empty() {
        builder.push(SectionKind::Metadata, &section, true);
    }
    let line_bytes = rows.iter().map(|row| row.line.len() as u64).sum();
    let (min, max) = (times[0], times[times.len() - 1]);
    let meta = BlockMeta { rows: rows.len(), min, max, line_bytes, sections: builder.sections };
    EncodedBlock { meta, data: builder.data }
}

/// Collects sections.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    data: Vec<u8>,
    sections: Vec<SectionMeta>,
}

impl BlockBuilder {
    pub(crate) fn new() -> Self {
        Self { data: Vec::new(), sections: Vec::new() }
    }

    /// Adds a section, compressed where that is asked for and pays.
    pub(crate) fn push(&mut self, kind: SectionKind, plain: &[u8], compress: bool) {
        let compressed = if compress && plain.len() >= COMPRESSION_BYTES_MIN {
            zstd::bulk::compress(plain, 1).ok()
        } else {
            None
        };
        let pays = |bytes: &Vec<u8>| bytes.len() * 100 < plain.len() * COMPRESSION_PERCENT_MAX;
        let (compression, bytes) = match compressed.as_ref().filter(|bytes| pays(bytes)) {
            Some(bytes) => (1, bytes.as_slice()),
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
impl BlockBuilder {
    /// What has been pushed, as a reader sees it.
    pub(crate) fn sections(self, rows: usize) -> Sections {
        let meta = BlockMeta { rows, min: 0, max: 0, line_bytes: 0, sections: self.sections };
        let encoded = Arc::new(EncodedBlock { meta: meta.clone(), data: self.data });
        Sections { meta: Arc::new(meta), bytes: BlockBytes::Memory(encoded) }
    }
}

/// Sections of a block on demand.
#[derive(Clone, Debug)]
pub(crate) struct Sections {
    meta: Arc<BlockMeta>,
    bytes: BlockBytes,
}

impl Sections {
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
    timestamps: OnceLock<Vec<TimestampNs>>,
    lines: OnceLock<Lines>,
    metadata: OnceLock<MetadataColumns>,
}

impl OpenBlock {
    pub(crate) fn new(meta: Arc<BlockMeta>, bytes: BlockBytes) -> Self {
        let sections = Sections { meta, bytes };
        Self { sections, timestamps: OnceLock::new(), lines: OnceLock::new(), metadata: OnceLock::new() }
    }

    pub(crate) fn meta(&self) -> &BlockMeta {
        &self.sections.meta
    }

    pub(crate) fn timestamps(&self) -> Result<&[TimestampNs], BlockError> {
        load(&self.timestamps, || {
            let section = self.sections.read(SectionKind::Timestamps)?;
            let times = timestamps::decode(&section, self.meta().rows)?;
            let ends = (times.first().copied(), times.last().copied());
            if ends != (Some(self.meta().min), Some(self.meta().max)) {
                return Err(BlockError::Damaged("times lie outside the block's range"));
            }
            Ok(times)
        })
        .map(Vec::as_slice)
    }

    pub(crate) fn lines(&self) -> Result<&Lines, BlockError> {
        load(&self.lines, || Lines::open(&self.sections, self.meta().rows))
    }

    pub(crate) fn metadata(&self) -> Result<&MetadataColumns, BlockError> {
        load(&self.metadata, || {
            let section = self.sections.read(SectionKind::Metadata)?;
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
