//! Lines as one text and their lengths: for blocks that are too small or too irregular for more.

use chunk_encoding::{ByteReader, put_uvarint};

use super::super::{BlockBuilder, SectionKind, Sections};
use crate::error::BlockError;
use crate::page::Row;

/// Lines, each a piece of one text.
#[derive(Debug)]
pub(crate) struct PlainLines {
    text: String,
    ends: Vec<u32>,
}

pub(crate) fn encode(builder: &mut BlockBuilder<'_>, kind: SectionKind, rows: &[Row<'_>]) {
    let mut section = Vec::new();
    for row in rows {
        put_uvarint(&mut section, row.line.len() as u64);
    }
    for row in rows {
        section.extend_from_slice(row.line.as_bytes());
    }
    builder.push(kind, &section, true);
}

impl PlainLines {
    pub(crate) fn decode(sections: &Sections, kind: SectionKind, rows: usize) -> Result<Self, BlockError> {
        let section = sections.read(kind)?;
        let mut reader = ByteReader::new(&section);
        let mut ends = Vec::with_capacity(rows.min(section.len()));
        let mut end = 0usize;
        for _ in 0..rows {
            end = end.saturating_add(reader.length()?);
            ends.push(u32::try_from(end).map_err(|_| BlockError::Damaged("line length"))?);
        }
        let text =
            std::str::from_utf8(reader.rest()).map_err(|_| BlockError::Damaged("text is not UTF-8"))?;
        let inside = |end: &u32| text.is_char_boundary(*end as usize);
        if end != text.len() || !ends.iter().all(inside) {
            return Err(BlockError::Damaged("lines do not fit their text"));
        }
        sections.charge(text.len() + ends.len() * 4);
        Ok(Self { text: text.to_owned(), ends })
    }

    pub(crate) fn line(&self, row: usize) -> &str {
        let from = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.text[from..self.ends[row] as usize]
    }
}
