//! Exemplars in a ring of fixed size, chained per series.

use std::collections::HashMap;

use metric_storage_api::AppendRejection;
use model::{Exemplar, Labels, TimeRange};

/// The most bytes that an exemplar's labels may take, as OpenMetrics says.
const LABEL_CHARS_MAX: usize = 128;

/// The newest exemplars of all series.
#[derive(Debug, Default)]
pub(crate) struct ExemplarRing {
    capacity: usize,
    entries: Vec<Entry>,
    /// Where the next one goes once the ring is full.
    next: usize,
    /// Newest exemplar of each series, by the series' labels.
    newest: HashMap<Labels, usize>,
}

#[derive(Debug)]
struct Entry {
    series: Labels,
    exemplar: Exemplar,
}

impl ExemplarRing {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Whether exemplars are kept at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    /// Whether an exemplar may be added; `false` where it equals the newest.
    pub(crate) fn check(&self, series: &Labels, exemplar: &Exemplar) -> Result<bool, AppendRejection> {
        let size: usize =
            exemplar.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if size > LABEL_CHARS_MAX {
            let reason = format!("exemplar labels of {size} characters, at most {LABEL_CHARS_MAX}");
            return Err(AppendRejection::InvalidLabels(reason.into()));
        }
        let Some(newest) = self.newest.get(series).map(|idx| &self.entries[*idx].exemplar) else {
            return Ok(true);
        };
        if newest.labels == exemplar.labels
            && newest.timestamp == exemplar.timestamp
            && newest.value.to_bits() == exemplar.value.to_bits()
        {
            return Ok(false);
        }
        if exemplar.timestamp < newest.timestamp
            || (exemplar.timestamp == newest.timestamp && exemplar.value < newest.value)
        {
            return Err(AppendRejection::ExemplarOutOfOrder);
        }
        Ok(true)
    }

    /// Adds an exemplar, in place of the oldest where the ring is full.
    pub(crate) fn add(&mut self, series: Labels, exemplar: Exemplar) {
        if !self.is_enabled() {
            return;
        }
        let at = if self.entries.len() < self.capacity { self.entries.len() } else { self.next };
        self.next = (at + 1) % self.capacity;
        if let Some(old) = self.entries.get(at)
            && self.newest.get(&old.series) == Some(&at)
        {
            self.newest.remove(&old.series);
        }
        self.newest.insert(series.clone(), at);
        let entry = Entry { series, exemplar };
        match self.entries.get_mut(at) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
    }

    /// Exemplars in `range` of the series that `matches` accepts, in the order in which they came.
    pub(crate) fn select(
        &self,
        range: TimeRange,
        matches: impl Fn(&Labels) -> bool,
    ) -> Vec<(Labels, Exemplar)> {
        self.in_order()
            .filter(|entry| range.contains(entry.exemplar.timestamp) && matches(&entry.series))
            .map(|entry| (entry.series.clone(), entry.exemplar.clone()))
            .collect()
    }

    /// Exemplars kept, and series with some.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.newest.len())
    }

    fn in_order(&self) -> impl Iterator<Item = &Entry> {
        let split = if self.entries.len() < self.capacity { 0 } else { self.next };
        self.entries[split..].iter().chain(&self.entries[..split])
    }
}
