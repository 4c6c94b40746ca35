//! How far each source of a tenant has come.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use log_storage_api::{LogBatch, SourcePlace, SourcePosition};
use parking_lot::{Mutex, MutexGuard};

/// A source keeps so many generations: a rotated file is read to its end while the next one has begun.
const GENERATIONS_MAX: usize = 8;
/// Deliveries of sources in different stripes do not wait for each other.
const STRIPES: usize = 64;

/// A mark: how far a source and generation has come, and when that was last heard of, in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) generation: u64,
    pub(crate) place: SourcePlace,
    pub(crate) updated_ms: i64,
}

/// All marks of a tenant.
#[derive(Debug)]
pub(crate) struct Positions {
    marks: Mutex<BTreeMap<Arc<str>, Vec<Mark>>>,
    stripes: Vec<Mutex<()>>,
}

impl Default for Positions {
    fn default() -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::new(())).collect();
        Self { marks: Mutex::default(), stripes }
    }
}

impl Positions {
    /// Keeps other deliveries of the batch's sources out until the guards are dropped: what two connections send at once is
    /// stored once.
    pub(crate) fn lock_sources(&self, batch: &LogBatch<'_>) -> Vec<MutexGuard<'_, ()>> {
        let stripe = |source: &str| crc32c::crc32c(source.as_bytes()) as usize % STRIPES;
        let sources = batch.streams.iter().filter_map(|stream| stream.source.as_ref());
        let mut wanted: Vec<usize> = sources.map(|source| stripe(&source.source)).collect();
        // Always in the same order, so that two batches cannot wait for each other.
        wanted.sort_unstable();
        wanted.dedup();
        wanted.into_iter().map(|idx| self.stripes[idx].lock()).collect()
    }

    pub(crate) fn get(&self, source: &str, generation: u64) -> Option<SourcePlace> {
        let marks = self.marks.lock();
        marks.get(source)?.iter().find(|mark| mark.generation == generation).map(|mark| mark.place)
    }

    /// Moves a mark forward; never back.
    pub(crate) fn advance(&self, source: &Arc<str>, new: Mark) {
        let mut marks = self.marks.lock();
        let generations = marks.entry(Arc::clone(source)).or_default();
        match generations.iter_mut().find(|mark| mark.generation == new.generation) {
            Some(mark) => {
                mark.place = mark.place.max(new.place);
                mark.updated_ms = mark.updated_ms.max(new.updated_ms);
            }
            None => {
                if generations.len() == GENERATIONS_MAX {
                    let oldest = generations.iter().enumerate().min_by_key(|(_, mark)| mark.updated_ms);
                    let oldest = oldest.map_or(0, |(idx, _)| idx);
                    generations.remove(oldest);
                }
                generations.push(new);
            }
        }
    }

    /// Positions of the sources whose name starts with `prefix`.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<SourcePosition> {
        let marks = self.marks.lock();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let named = marks.range::<str, _>(from).take_while(|(source, _)| source.starts_with(prefix));
        named
            .flat_map(|(source, marks)| {
                marks.iter().map(|mark| SourcePosition {
                    source: Arc::clone(source),
                    generation: mark.generation,
                    place: mark.place,
                })
            })
            .collect()
    }

    /// Forgets marks that were not advanced since `oldest_ms`.
    pub(crate) fn forget_before(&self, oldest_ms: i64) {
        let mut marks = self.marks.lock();
        for generations in marks.values_mut() {
            generations.retain(|mark| mark.updated_ms >= oldest_ms);
        }
        marks.retain(|_, generations| !generations.is_empty());
    }

    /// All marks.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Mark)> {
        let marks = self.marks.lock();
        let each = |(source, marks): (&Arc<str>, &Vec<Mark>)| {
            let source = Arc::clone(source);
            marks.iter().map(move |mark| (Arc::clone(&source), mark.clone())).collect::<Vec<_>>()
        };
        marks.iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(generation: u64, offset: u64, updated_ms: i64) -> Mark {
        Mark { generation, place: SourcePlace { offset, ordinal: 0 }, updated_ms }
    }

    #[test]
    fn marks_only_grow_and_old_generations_go() {
        let positions = Positions::default();
        let source: Arc<str> = "host1/file/a".into();
        for generation in 0..10 {
            positions.advance(&source, mark(generation, 100 + generation, generation as i64));
        }
        positions.advance(&source, mark(9, 5, 20));
        assert_eq!(positions.get(&source, 9).map(|place| place.offset), Some(109));
        assert_eq!(
            (positions.get(&source, 0), positions.with_prefix("host1/").len()),
            (None, GENERATIONS_MAX)
        );
        assert!(positions.with_prefix("host10").is_empty());
        positions.forget_before(10);
        assert_eq!(positions.all(), [(source, mark(9, 109, 20))]);
    }
}
