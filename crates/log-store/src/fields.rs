//! Fields of structured lines from templates and columns: a template says where a field's value stands, columns say what it is.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use log_storage_api::{FieldColumn, FieldFinder, FieldVerdict};
use parking_lot::RwLock;

use crate::block::lines::{SLOT_DIGITS, Shape, is_slot};

/// Places of fields in so many shapes are kept for a query.
const SHAPES_MAX: usize = 100_000;

/// A query's fields.
#[derive(Debug)]
pub(crate) struct FieldLookup {
    pub(crate) finder: Arc<dyn FieldFinder>,
    known: RwLock<HashMap<u64, Arc<ShapeFields>>>,
}

/// Where the fields stand in the lines of a shape; `None` where lines have to be looked at.
pub(crate) type ShapeFields = Option<Vec<FieldPlace>>;

/// Where a field stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldPlace {
    /// The lines have no such field.
    Missing,
    /// Its value is made of these, one after the other.
    Parts(Vec<FieldPart>),
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldPart {
    Text(String),
    /// The text of a slot, by its number.
    Slot(usize),
}

impl FieldLookup {
    pub(crate) fn new(finder: &Arc<dyn FieldFinder>) -> Self {
        Self { finder: Arc::clone(finder), known: RwLock::default() }
    }

    pub(crate) fn of_shape(&self, shape: &Shape) -> Arc<ShapeFields> {
        if let Some(known) = self.known.read().get(&shape.id) {
            return Arc::clone(known);
        }
        let fields = Arc::new(self.find(&shape.key));
        let mut known = self.known.write();
        if known.len() < SHAPES_MAX {
            known.insert(shape.id, Arc::clone(&fields));
        }
        fields
    }

    /// Looks at a line as the shape has them, with something in place of each slot.
    fn find(&self, key: &[u8]) -> ShapeFields {
        let mut sample = Vec::with_capacity(key.len() + 16);
        let mut varying: Vec<Range<usize>> = Vec::new();
        for byte in key {
            if !is_slot(*byte) {
                sample.push(*byte);
                continue;
            }
            let start = sample.len();
            sample.extend_from_slice(if *byte == SLOT_DIGITS { b"1" } else { b"a1" });
            varying.push(start..sample.len());
        }
        let sample = String::from_utf8(sample).ok()?;
        let found = self.finder.find(&sample, &varying)?;
        found.into_iter().map(|place| field_place(&sample, &varying, place)).collect()
    }

    /// Takes out the rows that the filters surely drop, from the columns as well.
    pub(crate) fn filter(&self, rows: &mut Vec<u32>, columns: &mut [FieldColumn]) {
        let mut tables = Vec::new();
        for (filter, field) in self.finder.filters().iter().enumerate() {
            let column = &columns[*field];
            if column.idx.is_empty() {
                // What this filter does cannot be told, nor what those behind it see.
                break;
            }
            let verdict = |value: &Option<String>| self.finder.verdict(filter, value.as_deref());
            tables.push((*field, column.values.iter().map(verdict).collect::<Vec<FieldVerdict>>()));
        }
        if tables.is_empty() {
            return;
        }
        let keeps = |row: usize| {
            for (field, verdicts) in &tables {
                match verdicts.get(columns[*field].idx[row] as usize) {
                    Some(FieldVerdict::Passes) => {}
                    Some(FieldVerdict::Fails) => return false,
                    Some(FieldVerdict::Unsure) | None => return true,
                }
            }
            true
        };
        let kept: Vec<bool> = (0..rows.len()).map(keeps).collect();
        retain(rows, &kept);
        for column in columns.iter_mut().filter(|column| !column.idx.is_empty()) {
            retain(&mut column.idx, &kept);
        }
    }
}

impl FieldLookup {
    /// Applies one filter: rows that it cannot tell anything of are moved to `unsure`.
    pub(crate) fn filter_by(
        &self,
        filter: usize,
        column: &FieldColumn,
        rows: &mut Vec<u32>,
        unsure: &mut Vec<u32>,
    ) {
        let verdict = |value: &Option<String>| self.finder.verdict(filter, value.as_deref());
        let verdicts: Vec<FieldVerdict> = column.values.iter().map(verdict).collect();
        let mut idx = column.idx.iter();
        rows.retain(|row| match idx.next().and_then(|idx| verdicts.get(*idx as usize)) {
            Some(FieldVerdict::Passes) => true,
            Some(FieldVerdict::Fails) => false,
            Some(FieldVerdict::Unsure) | None => {
                unsure.push(*row);
                false
            }
        });
    }
}

fn retain(values: &mut Vec<u32>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next() == Some(&true));
}

/// Cuts a place at the slots in it; `None` where it holds a part of a slot.
fn field_place(sample: &str, varying: &[Range<usize>], place: Option<Range<usize>>) -> Option<FieldPlace> {
    let Some(place) = place else { return Some(FieldPlace::Missing) };
    let mut parts = Vec::new();
    let mut at = place.start;
    let text = |from: usize, to: usize, parts: &mut Vec<FieldPart>| {
        if from < to {
            parts.push(FieldPart::Text(sample[from..to].to_owned()));
        }
    };
    for (slot, slot_place) in varying.iter().enumerate() {
        if slot_place.end <= place.start || slot_place.start >= place.end {
            continue;
        }
        if slot_place.start < place.start || slot_place.end > place.end {
            return None;
        }
        text(at, slot_place.start, &mut parts);
        parts.push(FieldPart::Slot(slot));
        at = slot_place.end;
    }
    text(at, place.end, &mut parts);
    Some(FieldPlace::Parts(parts))
}

/// Collects the values of a field.
#[derive(Debug, Default)]
pub(crate) struct FieldColumnBuilder {
    column: FieldColumn,
    /// The numbers of values, by the values' hash.
    known: HashTable<u32>,
    hasher: DefaultHashBuilder,
    missing: Option<u32>,
}

impl FieldColumnBuilder {
    /// The number of a value.
    pub(crate) fn number(&mut self, value: Option<&str>) -> u32 {
        let values = &mut self.column.values;
        let next = values.len() as u32;
        let Some(value) = value else {
            if self.missing.is_none() {
                values.push(None);
            }
            return *self.missing.get_or_insert(next);
        };
        let hash = self.hasher.hash_one(value);
        if let Some(known) = self.known.find(hash, |idx| values[*idx as usize].as_deref() == Some(value)) {
            return *known;
        }
        values.push(Some(value.to_owned()));
        let hasher = &self.hasher;
        self.known.insert_unique(hash, next, |idx| {
            hasher.hash_one(values[*idx as usize].as_deref().unwrap_or_default())
        });
        next
    }

    pub(crate) fn push(&mut self, number: u32) {
        self.column.idx.push(number);
    }

    pub(crate) fn finish(self) -> FieldColumn {
        self.column
    }
}
