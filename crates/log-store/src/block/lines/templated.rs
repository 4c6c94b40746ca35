//! Lines as templates and columns: rows of one template are put together, and each place where they differ is a column.

mod column;
mod fields;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use chunk_encoding::{ByteReader, DecodeError, put_uvarint};
use hashbrown::HashMap;
use log_storage_api::ScanStats;

use super::super::{BLOCK_ROWS_MAX, BlockBuilder, BlockEnv, SectionKind, Sections, load};
use super::plain::{self, PlainLines};
use crate::error::BlockError;
use crate::filter::{LineFilters, TemplatePlan};
use crate::page::Row;
use column::{Column, ColumnData, ColumnEncoder, ColumnSink, ColumnValues};

pub(crate) use column::SlotTest;
pub(crate) use fields::field_of_line;
use tokens::Token;
pub(crate) use tokens::{DIGITS_MAX, SLOT_DIGITS, is_slot, slot_takes, tokenize};

/// Fewer rows are stored as text.
const ROWS_MIN: usize = 32;
/// A template with fewer rows is not worth its columns: its lines are stored as text.
const TEMPLATE_ROWS_MIN: usize = 3;
/// Templates are numbered by two bytes; number 0 is for lines stored as text.
const TEMPLATES_MAX: usize = u16::MAX as usize;

/// What encoding a block needs; kept from block to block.
#[derive(Debug, Default)]
pub(crate) struct LineEncoder {
    tokens: Vec<Token>,
    key: Vec<u8>,
    rows: Tokenized,
    column: ColumnValues,
    columns: ColumnEncoder,
}

/// The rows of a block, tokenized.
#[derive(Debug, Default)]
struct Tokenized {
    templates: Vec<Building>,
    /// Which template each row has.
    row_templates: Vec<u32>,
    /// Where each row's tokens begin in `values` and `lens`.
    starts: Vec<u32>,
    /// Of a token of digits its number, of a hexadecimal one its place in the line.
    values: Vec<u64>,
    lens: Vec<u8>,
}

/// Rows of one template while a block is made.
#[derive(Debug)]
struct Building {
    key: Vec<u8>,
    slots: Vec<u8>,
    rows: Vec<u32>,
    /// The template's number in the block; 0 where its lines are stored as text.
    number: u16,
}

/// Adds the sections of templates and columns; false, and nothing is added, where text would be better.
pub(super) fn encode(encoder: &mut LineEncoder, builder: &mut BlockBuilder<'_>, rows: &[Row<'_>]) -> bool {
    if rows.len() < ROWS_MIN {
        return false;
    }
    encoder.find_templates(rows);
    let next = encoder.rows.number_templates();
    let templates = &encoder.rows.templates;
    let ids: Vec<u16> =
        encoder.rows.row_templates.iter().map(|idx| templates[*idx as usize].number).collect();
    let others: Vec<Row<'_>> =
        rows.iter().zip(&ids).filter(|(_, id)| **id == 0).map(|(row, _)| *row).collect();
    if others.len() * 2 > rows.len() {
        return false;
    }
    let sink = encoder.encode_columns(rows, next);
    builder.push(SectionKind::Templates, &sink.header, true);
    let wide = next > u16::from(u8::MAX);
    let mut section = Vec::with_capacity(1 + ids.len() * (1 + usize::from(wide)));
    section.push(u8::from(wide));
    for id in ids {
        section.extend_from_slice(&id.to_le_bytes()[..1 + usize::from(wide)]);
    }
    builder.push(SectionKind::TemplateIds, &section, true);
    builder.push(SectionKind::ColumnIndex, &sink.index, true);
    builder.push(SectionKind::ColumnBits, &sink.packed, false);
    if !others.is_empty() {
        plain::encode(builder, SectionKind::OtherLines, &others);
    }
    true
}

impl LineEncoder {
    /// Finds the templates of rows, in the order of their first row, and each row's tokens.
    fn find_templates(&mut self, rows: &[Row<'_>]) {
        let found = &mut self.rows;
        found.templates.clear();
        found.row_templates.clear();
        found.starts.clear();
        found.values.clear();
        found.lens.clear();
        let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
        for (row_idx, row) in rows.iter().enumerate() {
            let line = row.line.as_bytes();
            tokens::tokenize(line, &mut self.tokens, &mut self.key);
            let idx = match known.get(self.key.as_slice()) {
                Some(idx) => *idx,
                None => {
                    let idx = found.templates.len() as u32;
                    known.insert(self.key.clone(), idx);
                    let slots = self.tokens.iter().map(|token| token.slot).collect();
                    let (key, rows) = (self.key.clone(), Vec::new());
                    found.templates.push(Building { key, slots, rows, number: 0 });
                    idx
                }
            };
            found.templates[idx as usize].rows.push(row_idx as u32);
            found.row_templates.push(idx);
            found.starts.push(found.values.len() as u32);
            for token in &self.tokens {
                let text = &line[token.start as usize..token.end as usize];
                let number = || text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
                found.lens.push(text.len() as u8);
                found.values.push(if token.slot == SLOT_DIGITS { number() } else { u64::from(token.start) });
            }
        }
    }

    fn encode_columns(&mut self, rows: &[Row<'_>], templates: u16) -> ColumnSink {
        let mut sink = ColumnSink::default();
        put_uvarint(&mut sink.header, u64::from(templates));
        let found = &self.rows;
        for template in found.templates.iter().filter(|template| template.number > 0) {
            put_uvarint(&mut sink.header, template.key.len() as u64);
            sink.header.extend_from_slice(&template.key);
            put_uvarint(&mut sink.header, template.rows.len() as u64);
            for (slot_idx, slot) in template.slots.iter().enumerate() {
                found.column(template, slot_idx, *slot, rows, &mut self.column);
                self.columns.encode(*slot, &self.column, &mut sink);
            }
        }
        sink
    }
}

impl Tokenized {
    /// Gathers the values of a template's slot.
    fn column(
        &self,
        template: &Building,
        slot_idx: usize,
        slot: u8,
        rows: &[Row<'_>],
        column: &mut ColumnValues,
    ) {
        column.clear();
        for row in &template.rows {
            let token = self.starts[*row as usize] as usize + slot_idx;
            let (value, len) = (self.values[token], self.lens[token]);
            column.lens.push(len);
            if slot == SLOT_DIGITS {
                column.values.push(value);
            } else {
                let line = rows[*row as usize].line.as_bytes();
                column.text.extend_from_slice(&line[value as usize..value as usize + usize::from(len)]);
            }
        }
    }

    /// Numbers the templates that are worth their columns; returns how many there are.
    fn number_templates(&mut self) -> u16 {
        let mut next = 0;
        for template in &mut self.templates {
            if template.rows.len() >= TEMPLATE_ROWS_MIN && usize::from(next) < TEMPLATES_MAX {
                next += 1;
                template.number = next;
            }
        }
        next
    }
}

/// Lines that are put together from templates and columns.
#[derive(Debug)]
pub(crate) struct TemplatedLines {
    sections: Sections,
    rows: usize,
    templates: Box<[Template]>,
    /// The headers of all columns, one after the other.
    headers: Box<[u8]>,
    other_rows: usize,
    ids: OnceLock<Ids>,
    data: OnceLock<Data>,
    others: OnceLock<PlainLines>,
}

/// A template. Its columns' headers are decoded when they are first needed: of a block's hundreds of templates a query
/// needs few.
#[derive(Debug)]
struct Template {
    shape: Arc<Shape>,
    rows: u32,
    /// Where its columns' headers begin, and its parts of the index and of the packed section.
    header_at: u32,
    index_at: u32,
    packed_at: u32,
    columns: OnceLock<Box<[Column]>>,
}

/// What all blocks' templates with the same key share.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Tells shapes of a store apart.
    pub(crate) id: u64,
    /// The line with a marker in place of each slot.
    pub(crate) key: Box<[u8]>,
    /// Whether a run of digits is cut over several slots, so that no slot alone tells what the run is.
    cut_runs: bool,
    /// Bytes of the constant text.
    constant_bytes: usize,
    slots: usize,
}

impl Shape {
    pub(crate) fn new(id: u64, key: &[u8]) -> Self {
        let slots = key.iter().filter(|byte| is_slot(**byte)).count();
        let cut_runs = key.windows(2).any(|pair| pair[0] == SLOT_DIGITS && pair[1] == SLOT_DIGITS);
        Self { id, key: key.into(), cut_runs, constant_bytes: key.len() - slots, slots }
    }
}

/// Which template each row has, by number, and its place among that template's rows.
#[derive(Debug)]
struct Ids {
    numbers: Vec<u16>,
    ordinals: Vec<u32>,
}

#[derive(Debug)]
struct Data {
    index: Vec<u8>,
    packed: Vec<u8>,
}

impl Template {
    /// Reads a template, and passes over the headers of its columns, which go to `headers`.
    fn decode(
        reader: &mut ByteReader<'_>,
        env: &BlockEnv,
        headers: &mut Vec<u8>,
        (index_at, packed_at): (&mut usize, &mut usize),
    ) -> Result<Self, DecodeError> {
        let key_len = reader.length()?;
        let key = reader.take(key_len)?;
        let rows = reader.length()?;
        if rows == 0 || rows > BLOCK_ROWS_MAX {
            return Err(DecodeError::Invalid("rows of a template"));
        }
        let place = |at: usize| u32::try_from(at).map_err(|_| DecodeError::Invalid("place of a column"));
        let (own_index, own_packed) = (place(*index_at)?, place(*packed_at)?);
        let before = reader.rest();
        for slot in key.iter().filter(|byte| is_slot(**byte)) {
            Column::decode(reader, *slot, rows, index_at, packed_at)?;
        }
        let header_at = place(headers.len())?;
        headers.extend_from_slice(&before[..before.len() - reader.rest().len()]);
        Ok(Self {
            shape: env.shape(key),
            rows: rows as u32,
            header_at,
            index_at: own_index,
            packed_at: own_packed,
            columns: OnceLock::new(),
        })
    }

    fn columns(&self, lines: &TemplatedLines) -> Result<&[Column], BlockError> {
        load(&self.columns, || {
            let mut reader = ByteReader::new(lines.headers.get(self.header_at as usize..).ok_or(BROKEN)?);
            let (mut index_at, mut packed_at) = (self.index_at as usize, self.packed_at as usize);
            let mut columns = Vec::with_capacity(self.shape.slots);
            for slot in self.shape.key.iter().filter(|byte| is_slot(**byte)) {
                let rows = self.rows as usize;
                columns.push(Column::decode(&mut reader, *slot, rows, &mut index_at, &mut packed_at)?);
            }
            lines.sections.charge(columns.iter().map(Column::heap_bytes).sum());
            Ok(columns.into())
        })
        .map(|columns| &**columns)
    }

    fn append(
        &self,
        columns: &[Column],
        data: ColumnData<'_>,
        ordinal: usize,
        dst: &mut Vec<u8>,
    ) -> Option<()> {
        let mut columns = columns.iter();
        let mut rest = &*self.shape.key;
        while let Some(at) = rest.iter().position(|byte| is_slot(*byte)) {
            dst.extend_from_slice(&rest[..at]);
            columns.next()?.append(data, ordinal, dst)?;
            rest = &rest[at + 1..];
        }
        dst.extend_from_slice(rest);
        Some(())
    }

    /// The rows, by their place in the template, that may pass: `None` for all.
    fn candidates(
        &self,
        lines: &TemplatedLines,
        groups: &[Vec<usize>],
        filters: &LineFilters,
    ) -> Result<Option<Vec<u32>>, BlockError> {
        let mut left: Option<Vec<u32>> = None;
        if self.shape.cut_runs {
            return Ok(left);
        }
        for group in groups {
            let tests: Option<Vec<_>> =
                group.iter().map(|needle| filters.needles()[*needle].slot_test()).collect();
            let Some(tests) = tests else { continue };
            let mut rows = Vec::new();
            for column in self.columns(lines)? {
                for test in tests.iter().filter(|test| column.may_pass(test)) {
                    column.candidates(lines.data()?, test, &mut rows).ok_or(BROKEN)?;
                }
            }
            rows.sort_unstable();
            rows.dedup();
            left = Some(match left {
                Some(before) => before.into_iter().filter(|row| rows.binary_search(row).is_ok()).collect(),
                None => rows,
            });
        }
        Ok(left)
    }
}

const BROKEN: BlockError = BlockError::Damaged("columns do not fit their templates");

impl TemplatedLines {
    pub(super) fn decode(sections: &Sections, rows: usize) -> Result<Self, BlockError> {
        let section = sections.read(SectionKind::Templates)?;
        let mut reader = ByteReader::new(&section);
        let count = reader.length()?;
        let (mut index_at, mut packed_at) = (0, 0);
        let mut templates = Vec::with_capacity(count.min(section.len()));
        let mut headers = Vec::new();
        let mut templated_rows = 0;
        for _ in 0..count {
            let places = (&mut index_at, &mut packed_at);
            let template = Template::decode(&mut reader, sections.env(), &mut headers, places)?;
            templated_rows += template.rows as usize;
            templates.push(template);
        }
        let other_rows = rows.checked_sub(templated_rows).ok_or(BROKEN)?;
        let (templates, headers) = (templates.into_boxed_slice(), headers.into_boxed_slice());
        sections.charge(templates.len() * size_of::<Template>() + headers.len());
        Ok(Self {
            sections: sections.clone(),
            rows,
            templates,
            headers,
            other_rows,
            ids: OnceLock::new(),
            data: OnceLock::new(),
            others: OnceLock::new(),
        })
    }

    /// Reads everything that a line may need.
    pub(super) fn load(&self) -> Result<(), BlockError> {
        self.ids()?;
        self.data()?;
        self.others()?;
        Ok(())
    }

    fn ids(&self) -> Result<&Ids, BlockError> {
        load(&self.ids, || {
            let section = self.sections.read(SectionKind::TemplateIds)?;
            let (wide, bytes) = section.split_first().ok_or(BROKEN)?;
            let numbers: Vec<u16> = match wide {
                0 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
                1 => bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
                _ => return Err(BROKEN),
            };
            let mut seen = vec![0u32; self.templates.len() + 1];
            let mut ordinals = Vec::with_capacity(numbers.len());
            for number in &numbers {
                let count = seen.get_mut(usize::from(*number)).ok_or(BROKEN)?;
                ordinals.push(*count);
                *count += 1;
            }
            let of_templates = self.templates.iter().map(|template| template.rows as usize);
            let expected = std::iter::once(self.other_rows).chain(of_templates);
            if numbers.len() != self.rows || !seen.iter().map(|count| *count as usize).eq(expected) {
                return Err(BROKEN);
            }
            self.sections.charge(numbers.len() * 6);
            Ok(Ids { numbers, ordinals })
        })
    }

    /// How many templates there are.
    pub(crate) fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Which template each row has, by number; 0 for a line stored as text.
    pub(crate) fn template_numbers(&self) -> Result<&[u16], BlockError> {
        self.ids().map(|ids| ids.numbers.as_slice())
    }

    /// The key of a template: its line with a marker in place of each slot.
    pub(crate) fn template_key(&self, number: u16) -> Option<&[u8]> {
        let idx = usize::from(number).checked_sub(1)?;
        self.templates.get(idx).map(|template| &*template.shape.key)
    }

    fn data(&self) -> Result<ColumnData<'_>, BlockError> {
        let data = load(&self.data, || {
            let index = self.sections.read(SectionKind::ColumnIndex)?;
            let packed = self.sections.read(SectionKind::ColumnBits)?;
            self.sections.charge(index.len() + packed.len());
            Ok(Data { index, packed })
        })?;
        Ok(ColumnData { index: &data.index, packed: &data.packed })
    }

    fn others(&self) -> Result<&PlainLines, BlockError> {
        load(&self.others, || PlainLines::decode(&self.sections, SectionKind::OtherLines, self.other_rows))
    }

    pub(super) fn line(&self, row: usize) -> Result<Cow<'_, str>, BlockError> {
        let ids = self.ids()?;
        let (number, ordinal) = (usize::from(ids.numbers[row]), ids.ordinals[row] as usize);
        let Some(template) = number.checked_sub(1).map(|idx| &self.templates[idx]) else {
            return Ok(Cow::Borrowed(self.others()?.line(ordinal)));
        };
        let mut text = Vec::with_capacity(template.shape.key.len() + template.shape.slots * 8);
        template.append(template.columns(self)?, self.data()?, ordinal, &mut text).ok_or(BROKEN)?;
        String::from_utf8(text).map(Cow::Owned).map_err(|_| BROKEN)
    }

    pub(super) fn line_bytes(&self, row: usize) -> Result<u64, BlockError> {
        let ids = self.ids()?;
        let (number, ordinal) = (usize::from(ids.numbers[row]), ids.ordinals[row] as usize);
        let Some(template) = number.checked_sub(1).map(|idx| &self.templates[idx]) else {
            return Ok(self.others()?.line(ordinal).len() as u64);
        };
        let data = self.data()?;
        let mut bytes = template.shape.constant_bytes;
        for column in template.columns(self)? {
            bytes += column.len(data, ordinal).ok_or(BROKEN)?;
        }
        Ok(bytes as u64)
    }

    /// What is to be done with the rows of each template. Templates decide first, then columns.
    pub(super) fn checks(&self, filters: &LineFilters) -> Result<Vec<Check>, BlockError> {
        let mut checks = Vec::with_capacity(self.templates.len() + 1);
        checks.push(self.check_others(filters)?);
        let plans = filters.plans(self.templates.iter().map(|template| &*template.shape));
        for (template, plan) in self.templates.iter().zip(&plans) {
            checks.push(match plan {
                TemplatePlan::None => Check::Skip,
                TemplatePlan::All => Check::Take,
                TemplatePlan::Check(groups) if groups.is_empty() => Check::Rows,
                TemplatePlan::Check(groups) => match template.candidates(self, groups, filters)? {
                    None => Check::Rows,
                    Some(rows) if rows.is_empty() => Check::Skip,
                    Some(rows) => Check::Some(rows),
                },
            });
        }
        Ok(checks)
    }

    /// Which of the lines stored as text pass: they are looked at at once, so that a block can be ruled out.
    fn check_others(&self, filters: &LineFilters) -> Result<Check, BlockError> {
        if self.other_rows == 0 {
            return Ok(Check::Skip);
        }
        let others = self.others()?;
        let passing = (0..self.other_rows).filter(|ordinal| filters.matches(others.line(*ordinal)));
        let passing: Vec<u32> = passing.map(|ordinal| ordinal as u32).collect();
        Ok(if passing.is_empty() { Check::Skip } else { Check::Exactly(passing) })
    }

    /// The rows of a range whose lines pass; only lines that the checks leave open are put together.
    pub(super) fn select(
        &self,
        checks: &[Check],
        range: Range<usize>,
        filters: &LineFilters,
        stats: &mut ScanStats,
    ) -> Result<Vec<u32>, BlockError> {
        let mut passing = Vec::new();
        if checks.iter().all(|check| matches!(check, Check::Skip)) {
            return Ok(passing);
        }
        let ids = self.ids()?;
        let mut text = Vec::new();
        for row in range {
            let (number, ordinal) = (usize::from(ids.numbers[row]), ids.ordinals[row]);
            match checks[number].of(ordinal) {
                Some(true) => passing.push(row as u32),
                Some(false) => {}
                None => {
                    stats.lines_decoded += 1;
                    if self.line_passes(number, ordinal as usize, filters, &mut text)? {
                        passing.push(row as u32);
                    }
                }
            }
        }
        Ok(passing)
    }

    fn line_passes(
        &self,
        number: usize,
        ordinal: usize,
        filters: &LineFilters,
        text: &mut Vec<u8>,
    ) -> Result<bool, BlockError> {
        let Some(template) = number.checked_sub(1).map(|idx| &self.templates[idx]) else {
            return Ok(filters.matches(self.others()?.line(ordinal)));
        };
        text.clear();
        template.append(template.columns(self)?, self.data()?, ordinal, text).ok_or(BROKEN)?;
        Ok(filters.matches(std::str::from_utf8(text).map_err(|_| BROKEN)?))
    }
}

/// What is to be done with the rows of a template.
#[derive(Debug)]
pub(crate) enum Check {
    Skip,
    Take,
    Rows,
    /// At most these rows, in order.
    Some(Vec<u32>),
    /// These rows, in order.
    Exactly(Vec<u32>),
}

impl Check {
    /// Whether a row passes; `None` where its line has to be looked at.
    fn of(&self, ordinal: u32) -> Option<bool> {
        match self {
            Self::Skip => Some(false),
            Self::Take => Some(true),
            Self::Rows => None,
            Self::Some(rows) => {
                if rows.binary_search(&ordinal).is_ok() {
                    None
                } else {
                    Some(false)
                }
            }
            Self::Exactly(rows) => Some(rows.binary_search(&ordinal).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests;
