//! Series and values of entries from columns of their fields: worked out once for each distinct value.

use std::sync::Arc;

use hashbrown::HashMap;
use log_storage_api::{FieldColumn, FieldFinder, FieldVerdict, ScanBatch};
use logql_syntax::Conversion;
use vector_ops::Grouping;

use super::range_aggregation::converted;
use crate::fields::Fields;

/// How columns make series and values.
#[derive(Debug)]
pub(super) struct ColumnPlan {
    fields: Arc<Fields>,
    /// Labels of the series and their fields, sorted by name.
    grouping: Vec<(String, usize)>,
    unwrap: Option<(usize, Conversion)>,
}

/// What columns say of a batch.
#[derive(Debug, Default)]
pub(super) struct ColumnAnswer<'a> {
    /// The labels of series.
    pub(super) keys: Vec<Vec<(&'a str, &'a str)>>,
    pub(super) rows: Vec<ColumnRow>,
    /// Entries whose lines have to be looked at.
    pub(super) left: Vec<u32>,
}

/// An entry that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnRow {
    pub(super) entry: u32,
    /// Which of the keys it has.
    pub(super) key: u32,
    /// The unwrapped value.
    pub(super) value: f64,
}

/// Where a label of the series comes from.
#[derive(Clone, Copy)]
enum KeyPart<'a> {
    Fixed(&'a str),
    Column(&'a FieldColumn),
}

/// What a value means where it is unwrapped.
#[derive(Clone, Copy)]
enum Unwrapped {
    Value(f64),
    /// The entry makes no sample.
    None,
    /// The line has to be looked at: it becomes an error.
    Unsure,
}

impl ColumnPlan {
    pub(super) fn new(
        mut fields: Fields,
        grouping: &Grouping,
        unwrap: Option<(&str, Conversion)>,
    ) -> Option<Self> {
        // A field that had to be renamed is not found by the name that it has in the line, and errors are no fields.
        let is_plain = |name: &str| !name.ends_with("_extracted") && !name.starts_with("__error");
        let names = grouping.names().iter().map(String::as_str);
        if !names.clone().chain(unwrap.map(|(label, _)| label)).all(is_plain) {
            return None;
        }
        let unwrap = unwrap.map(|(label, conversion)| (label, fields.field(label), conversion));
        let kept = names.filter(|name| unwrap.is_none_or(|(label, ..)| label != *name));
        let grouping = kept.map(|name| (name.to_owned(), fields.field(name))).collect();
        Some(Self {
            fields: Arc::new(fields),
            grouping,
            unwrap: unwrap.map(|(_, field, conversion)| (field, conversion)),
        })
    }

    pub(super) fn finder(&self) -> Arc<dyn FieldFinder> {
        Arc::clone(&self.fields) as Arc<dyn FieldFinder>
    }

    /// What the columns of a batch say; `None` where they are not enough.
    pub(super) fn answer<'s, 'a: 's>(&'s self, batch: &ScanBatch<'a>) -> Option<ColumnAnswer<'s>> {
        let known = |field: usize| batch.fields.get(field).filter(|column| !column.idx.is_empty());
        let mut filters = Vec::new();
        for (filter, field) in self.fields.filters().iter().enumerate() {
            let column = known(*field)?;
            let verdict = |value: &Option<String>| self.fields.verdict(filter, value.as_deref());
            filters.push((column, column.values.iter().map(verdict).collect::<Vec<_>>()));
        }
        let mut parts = Vec::new();
        for (name, field) in &self.grouping {
            parts.push(match batch.stream.labels.get(name) {
                Some(value) => KeyPart::Fixed(value),
                None => KeyPart::Column(known(*field)?),
            });
        }
        let unwrap = match self.unwrap {
            None => None,
            Some((field, conversion)) => {
                let column = known(field)?;
                let table: Vec<_> = column.values.iter().map(|value| unwrapped(conversion, value)).collect();
                Some((column, table))
            }
        };
        let mut keys = Keys::new(&self.grouping, &parts)?;
        let mut answer = ColumnAnswer::default();
        for entry in 0..batch.timestamps.len() {
            match judge(&filters, entry) {
                FieldVerdict::Passes => {}
                FieldVerdict::Fails => continue,
                FieldVerdict::Unsure => {
                    answer.left.push(entry as u32);
                    continue;
                }
            }
            let value = match &unwrap {
                None => Unwrapped::Value(1.0),
                Some((column, table)) => {
                    table.get(column.idx[entry] as usize).copied().unwrap_or(Unwrapped::Unsure)
                }
            };
            match (value, keys.number(entry, &mut answer.keys)) {
                (Unwrapped::None, _) => {}
                (Unwrapped::Value(value), Some(key)) => {
                    answer.rows.push(ColumnRow { entry: entry as u32, key, value });
                }
                _ => answer.left.push(entry as u32),
            }
        }
        Some(answer)
    }
}

fn unwrapped(conversion: Conversion, value: &Option<String>) -> Unwrapped {
    match value.as_deref().filter(|text| !text.is_empty()) {
        None => Unwrapped::None,
        Some(text) => converted(conversion, text).map_or(Unwrapped::Unsure, Unwrapped::Value),
    }
}

/// What the filters say of an entry, in their order.
fn judge(filters: &[(&FieldColumn, Vec<FieldVerdict>)], entry: usize) -> FieldVerdict {
    for (column, verdicts) in filters {
        match verdicts.get(column.idx[entry] as usize) {
            Some(FieldVerdict::Passes) => {}
            Some(FieldVerdict::Fails) => return FieldVerdict::Fails,
            Some(FieldVerdict::Unsure) | None => return FieldVerdict::Unsure,
        }
    }
    FieldVerdict::Passes
}

/// Numbers the label sets of a batch's series.
struct Keys<'n, 'p, 'a> {
    names: &'n [(String, usize)],
    parts: &'p [KeyPart<'a>],
    known: HashMap<u64, u32>,
}

impl<'n, 'p, 'a: 'n> Keys<'n, 'p, 'a> {
    /// `None` where combinations cannot be told apart by a number.
    fn new(names: &'n [(String, usize)], parts: &'p [KeyPart<'a>]) -> Option<Self> {
        let mut combinations = 1u64;
        for part in parts {
            if let KeyPart::Column(column) = part {
                combinations = combinations.checked_mul(column.values.len() as u64 + 1)?;
            }
        }
        Some(Self { names, parts, known: HashMap::new() })
    }

    /// The number of the entry's label set, put into `keys` where it is new; `None` where a value is not known.
    fn number(&mut self, entry: usize, keys: &mut Vec<Vec<(&'n str, &'n str)>>) -> Option<u32> {
        let mut combination = 0u64;
        for part in self.parts {
            if let KeyPart::Column(column) = part {
                let idx = column.idx[entry];
                if idx == FieldColumn::UNKNOWN {
                    return None;
                }
                combination = combination * (column.values.len() as u64 + 1) + u64::from(idx);
            }
        }
        if let Some(known) = self.known.get(&combination) {
            return Some(*known);
        }
        let mut pairs = Vec::with_capacity(self.parts.len());
        for ((name, _), part) in self.names.iter().zip(self.parts) {
            let value: Option<&'a str> = match *part {
                KeyPart::Fixed(value) => Some(value),
                KeyPart::Column(column) => column.values[column.idx[entry] as usize].as_deref(),
            };
            pairs.extend(value.map(|value| (name.as_str(), value)));
        }
        keys.push(pairs);
        let number = keys.len() as u32 - 1;
        self.known.insert(combination, number);
        Some(number)
    }
}
