//! Lines of a block's rows.

mod plain;

use std::borrow::Cow;
use std::ops::Range;

use log_storage_api::ScanStats;

use super::{BlockBuilder, SectionKind, Sections};
use crate::error::BlockError;
use crate::filter::LineFilters;
use crate::page::Row;
use plain::PlainLines;

/// Lines in one of the ways in which they can be stored.
#[derive(Debug)]
pub(crate) enum Lines {
    Plain(PlainLines),
}

/// Adds the sections with the rows' lines.
pub(crate) fn encode(builder: &mut BlockBuilder, rows: &[Row<'_>]) {
    plain::encode(builder, rows);
}

impl Lines {
    pub(crate) fn open(sections: &Sections<'_>, rows: usize) -> Result<Self, BlockError> {
        if sections.has(SectionKind::PlainLines) {
            return Ok(Self::Plain(PlainLines::decode(sections, rows)?));
        }
        Err(BlockError::Damaged("no known form of lines: a newer version wrote this"))
    }

    pub(crate) fn line(&self, row: usize) -> Result<Cow<'_, str>, BlockError> {
        match self {
            Self::Plain(lines) => Ok(Cow::Borrowed(lines.line(row))),
        }
    }

    pub(crate) fn line_bytes(&self, row: usize) -> Result<u64, BlockError> {
        match self {
            Self::Plain(lines) => Ok(lines.line(row).len() as u64),
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
        }
    }
}
