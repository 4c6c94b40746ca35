//! Lines of a block's rows.

mod plain;
mod templated;

use std::borrow::Cow;
use std::ops::Range;

use log_storage_api::{FieldColumn, ScanStats};

use super::{BlockBuilder, SectionKind, Sections};
use crate::error::BlockError;
use crate::fields::{FieldColumnBuilder, FieldLookup};
use crate::filter::LineFilters;
use crate::page::Row;
use plain::PlainLines;
use templated::Check;

pub(crate) use templated::{
    DIGITS_MAX, LineEncoder, SLOT_DIGITS, Shape, SlotTest, TemplatedLines, field_of_line, is_slot,
    slot_takes, tokenize,
};

/// Lines in one of the ways in which they can be stored.
#[derive(Debug)]
pub(crate) enum Lines {
    Plain(PlainLines),
    Templated(Box<TemplatedLines>),
}

/// The columns of wanted fields of lines that are there as text.
pub(crate) fn fields_of_lines<'l>(
    lookup: &FieldLookup,
    wanted: &[bool],
    lines: &(impl Iterator<Item = &'l str> + Clone),
) -> Vec<FieldColumn> {
    let mut columns = Vec::with_capacity(wanted.len());
    for (field, is_wanted) in wanted.iter().enumerate() {
        let mut builder = FieldColumnBuilder::default();
        for line in lines.clone().filter(|_| *is_wanted) {
            let number = field_of_line(lookup, line, field, &mut builder);
            builder.push(number);
        }
        columns.push(builder.finish());
    }
    columns
}

/// Adds the sections with the rows' lines.
pub(crate) fn encode(encoder: &mut LineEncoder, builder: &mut BlockBuilder<'_>, rows: &[Row<'_>]) {
    if !templated::encode(encoder, builder, rows) {
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

    /// The columns of wanted fields for some rows; those of others are empty.
    pub(crate) fn fields(
        &self,
        lookup: &FieldLookup,
        wanted: &[bool],
        rows: &[u32],
    ) -> Result<Vec<FieldColumn>, BlockError> {
        match self {
            Self::Templated(lines) => lines.fields(lookup, wanted, rows),
            Self::Plain(lines) => {
                Ok(fields_of_lines(lookup, wanted, &rows.iter().map(|row| lines.line(*row as usize))))
            }
        }
    }

    pub(crate) fn line_bytes(&self, row: usize) -> Result<u64, BlockError> {
        match self {
            Self::Plain(lines) => Ok(lines.line(row).len() as u64),
            Self::Templated(lines) => lines.line_bytes(row),
        }
    }

    /// Prepares for selecting rows by filters.
    pub(crate) fn selection(&self, filters: &LineFilters) -> Result<Selection, BlockError> {
        match self {
            Self::Plain(_) => Ok(Selection(None)),
            Self::Templated(lines) => lines.checks(filters).map(|checks| Selection(Some(checks))),
        }
    }

    /// The rows of a range whose lines pass; `selection` was made by the same filters.
    pub(crate) fn select(
        &self,
        selection: &Selection,
        range: Range<usize>,
        filters: &LineFilters,
        stats: &mut ScanStats,
    ) -> Result<Vec<u32>, BlockError> {
        match (self, &selection.0) {
            (Self::Templated(lines), Some(checks)) => lines.select(checks, range, filters, stats),
            _ => {
                stats.lines_decoded += range.len() as u64;
                let mut passing = Vec::new();
                for row in range {
                    if filters.matches(&self.line(row)?) {
                        passing.push(row as u32);
                    }
                }
                Ok(passing)
            }
        }
    }

    /// The rows of a range whose lines pass, in one go.
    pub(crate) fn select_all(
        &self,
        range: Range<usize>,
        filters: &LineFilters,
        stats: &mut ScanStats,
    ) -> Result<Vec<u32>, BlockError> {
        self.select(&self.selection(filters)?, range, filters, stats)
    }
}

/// What filters say of a block's templates; `None` where it has none.
#[derive(Debug)]
pub(crate) struct Selection(Option<Vec<Check>>);

impl Selection {
    /// Whether no row of the block can pass.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(|checks| checks.iter().all(|check| matches!(check, Check::Skip)))
    }
}
