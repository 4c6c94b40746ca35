//! Columns of fields of templated lines.

use hashbrown::HashMap;
use log_storage_api::FieldColumn;

use super::column::Codes;
use super::{BROKEN, Column, Template, TemplatedLines};
use crate::error::BlockError;
use crate::fields::{FieldColumnBuilder, FieldLookup, FieldPart, FieldPlace};

/// How the values of a field come from a template's rows.
enum Way<'a> {
    /// All rows have the value of this number.
    Fixed(u32),
    /// The codes of the values in slots tell the value: its number by them all, or [`UNSEEN`].
    ByCodes(Vec<Codes<'a>>, &'a [FieldPart], Vec<u32>),
    /// The numbers in one or two slots tell the value; known ones by these numbers.
    ByNumbers(Vec<usize>, &'a [FieldPart], HashMap<[u64; 2], u32>),
    /// The value has to be put together.
    Text(&'a [FieldPart]),
}

/// The number of a value that was not met yet. [`FieldColumn::UNKNOWN`] is never that of a value.
const UNSEEN: u32 = FieldColumn::UNKNOWN;

impl TemplatedLines {
    /// The columns of wanted fields for some rows; those of others are empty.
    pub(crate) fn fields(
        &self,
        lookup: &FieldLookup,
        wanted: &[bool],
        rows: &[u32],
    ) -> Result<Vec<FieldColumn>, BlockError> {
        let ids = self.ids()?;
        let shapes: Vec<_> = self.templates.iter().map(|_| std::cell::OnceCell::new()).collect();
        let mut columns = Vec::with_capacity(wanted.len());
        for (field, is_wanted) in wanted.iter().enumerate() {
            let mut builder = FieldColumnBuilder::default();
            let mut ways: Vec<Option<Way<'_>>> = self.templates.iter().map(|_| None).collect();
            for row in rows.iter().filter(|_| *is_wanted) {
                let (number, ordinal) =
                    (usize::from(ids.numbers[*row as usize]), ids.ordinals[*row as usize]);
                let Some(idx) = number.checked_sub(1) else {
                    let line = self.others()?.line(ordinal as usize);
                    let number = field_of_line(lookup, line, field, &mut builder);
                    builder.push(number);
                    continue;
                };
                let template = &self.templates[idx];
                let shape = shapes[idx].get_or_init(|| lookup.of_shape(&template.shape));
                let way = match &mut ways[idx] {
                    Some(way) => way,
                    slot => {
                        let place = shape.as_ref().as_ref().map(|fields| &fields[field]);
                        slot.insert(self.way(template, place, &mut builder)?)
                    }
                };
                let number = self.value(template, way, ordinal as usize, &mut builder)?;
                builder.push(number);
            }
            columns.push(builder.finish());
        }
        Ok(columns)
    }

    fn way<'a>(
        &'a self,
        template: &'a Template,
        place: Option<&'a FieldPlace>,
        builder: &mut FieldColumnBuilder,
    ) -> Result<Way<'a>, BlockError> {
        let parts = match place {
            None => return Ok(Way::Fixed(FieldColumn::UNKNOWN)),
            Some(FieldPlace::Missing) => return Ok(Way::Fixed(builder.number(None))),
            Some(FieldPlace::Parts(parts)) => parts.as_slice(),
        };
        let slots = parts.iter().filter_map(|part| match part {
            FieldPart::Slot(slot) => Some(*slot),
            FieldPart::Text(_) => None,
        });
        let slots: Vec<usize> = slots.collect();
        if slots.is_empty() {
            let mut text = Vec::new();
            self.put_together(template, parts, 0, &mut text)?;
            let text = String::from_utf8(text).map_err(|_| BROKEN)?;
            return Ok(Way::Fixed(builder.number(Some(&text))));
        }
        let columns = template.columns(self)?;
        let is_determined = |slot: &usize| columns.get(*slot).is_some_and(Column::is_determined);
        if !slots.iter().all(is_determined) {
            return Ok(Way::Text(parts));
        }
        let data = self.data()?;
        let codes: Option<Vec<Codes<'a>>> = slots.iter().map(|slot| columns[*slot].codes(data)).collect();
        if let Some(codes) = codes {
            let end = codes.iter().try_fold(1usize, |end, codes| end.checked_mul(codes.end()));
            // A table that is not much larger than what it is made for.
            if let Some(end) = end.filter(|end| *end <= template.rows as usize * 4 + 64) {
                return Ok(Way::ByCodes(codes, parts, vec![UNSEEN; end]));
            }
        }
        Ok(if slots.len() <= 2 { Way::ByNumbers(slots, parts, HashMap::new()) } else { Way::Text(parts) })
    }

    /// The number of a row's value.
    fn value(
        &self,
        template: &Template,
        way: &mut Way<'_>,
        ordinal: usize,
        builder: &mut FieldColumnBuilder,
    ) -> Result<u32, BlockError> {
        let mut text = Vec::new();
        match way {
            Way::Fixed(number) => Ok(*number),
            Way::ByCodes(codes, parts, known) => {
                let mut code = 0;
                for codes in codes {
                    code = code * codes.end() + codes.of(ordinal).ok_or(BROKEN)?;
                }
                let known = known.get_mut(code).ok_or(BROKEN)?;
                if *known == UNSEEN {
                    self.put_together(template, parts, ordinal, &mut text)?;
                    *known = builder.number(Some(std::str::from_utf8(&text).map_err(|_| BROKEN)?));
                }
                Ok(*known)
            }
            Way::Text(parts) => {
                self.put_together(template, parts, ordinal, &mut text)?;
                Ok(builder.number(Some(std::str::from_utf8(&text).map_err(|_| BROKEN)?)))
            }
            Way::ByNumbers(slots, parts, known) => {
                let (columns, data) = (template.columns(self)?, self.data()?);
                let mut value = [0; 2];
                for (value, slot) in value.iter_mut().zip(slots.iter()) {
                    let column = columns.get(*slot).ok_or(BROKEN)?;
                    *value = column.number(data, ordinal).ok_or(BROKEN)?;
                }
                if let Some(number) = known.get(&value) {
                    return Ok(*number);
                }
                self.put_together(template, parts, ordinal, &mut text)?;
                let number = builder.number(Some(std::str::from_utf8(&text).map_err(|_| BROKEN)?));
                known.insert(value, number);
                Ok(number)
            }
        }
    }

    fn put_together(
        &self,
        template: &Template,
        parts: &[FieldPart],
        ordinal: usize,
        text: &mut Vec<u8>,
    ) -> Result<(), BlockError> {
        for part in parts {
            match part {
                FieldPart::Text(own) => text.extend_from_slice(own.as_bytes()),
                FieldPart::Slot(slot) => {
                    let column = template.columns(self)?.get(*slot).ok_or(BROKEN)?;
                    column.append(self.data()?, ordinal, text).ok_or(BROKEN)?;
                }
            }
        }
        Ok(())
    }
}

/// The number of a field's value in a line.
pub(crate) fn field_of_line(
    lookup: &FieldLookup,
    line: &str,
    field: usize,
    builder: &mut FieldColumnBuilder,
) -> u32 {
    match lookup.finder.find(line, &[]) {
        None => FieldColumn::UNKNOWN,
        Some(found) => builder.number(found[field].clone().map(|place| &line[place])),
    }
}
