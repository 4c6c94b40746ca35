//! Lines of a block's rows.

mod plain;
mod templated;

use std::borrow::Cow;
use std::ops::Range;

use log_storage_api::ScanStats;

use super::{BlockBuilder, SectionKind, Sections};
use crate::error::BlockError;
use crate::filter::LineFilters;
use crate::page::Row;
use plain::PlainLines;
use templated::TemplatedLines;

pub(crate) use templated::{DIGITS_MAX, SLOT_DIGITS, SlotTest, is_slot, slot_takes};

/// Lines in one of the ways in which they can be stored.
#[derive(Debug)]
pub(crate) enum Lines {
    Plain(PlainLines),
    Templated(Box<TemplatedLines>),
}

/// Adds the sections with the rows' lines.
pub(crate) fn encode(builder: &mut BlockBuilder, rows: &[Row<'_>]) {
    if !templated::encode(builder, rows) {
        plain::encode(builder, SectionKind::PlainLines, rows);
    }
}

impl Lines {
    pub(crate) fn open(sections: &Sections, rows: usize) -> Result<Self, BlockError> {
        if sections.has(SectionKind::Templates) {
            return Ok(Self::Templated(Box::new(TemplatedLines::decode(sections, rows)?)));
        }
        if sections.has(SectionKind::PlainLines) {
            return Ok(Self::Plain(PlainLines::decode(sections, SectionKind::PlainLines, rows)?));
        }
        Err(BlockError::Damaged("no known form of lines: a newer version wrote this"))
    }

    /// Reads everything that a line may need.
    pub(crate) fn load(&self) -> Result<(), BlockError> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Templated(lines) => lines.load(),
        }
    }

    pub(crate) fn line(&self, row: usize) -> Result<Cow<'_, str>, BlockError> {
        match self {
            Self::Plain(lines) => Ok(Cow::Borrowed(lines.line(row))),
            Self::Templated(lines) => lines.line(row),
        }
    }

    pub(crate) fn line_bytes(&self, row: usize) -> Result<u64, BlockError> {
        match self {
            Self::Plain(lines) => Ok(lines.line(row).len() as u64),
            Self::Templated(lines) => lines.line_bytes(row),
        }
    }

    /// The rows of a range whose lines pass.
    pub(crate) fn select(
        &self,
        range: Range<usize>,
        filters: &LineFilters,
        stats: &mut ScanStats,
    ) -> Result<Vec<u32>, BlockError> {
        match self {
            Self::Plain(lines) => {
                stats.lines_decoded += range.len() as u64;
                Ok(range.filter(|row| filters.matches(lines.line(*row))).map(|row| row as u32).collect())
            }
            Self::Templated(lines) => lines.select(range, filters, stats),
        }
    }
}
