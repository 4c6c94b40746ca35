//! What a target's last scrapes have shown: series by their text, so that a known one is not parsed again.

use std::collections::{BTreeMap, HashMap};

use metric_storage_api::SeriesRef;
use model::{Labels, MetricMetadata, MetricType};

/// After so many scrapes without a series it is forgotten.
const KEPT_SCRAPES: u64 = 10;

/// The cache of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: HashMap<Key, Entry, ahash::RandomState>,
    generation: u64,
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    pub(crate) metadata_changed: bool,
    /// Series of the target's own: `up` and the like.
    pub(crate) own: HashMap<&'static str, (Labels, Option<SeriesRef>)>,
}

/// The series' text. The type decides how `le` and `quantile` are spelled, so it belongs to it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

/// A series that was seen.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is stored as; `None` where relabelling drops it.
    pub(crate) stored: Option<Stored>,
    kind: MetricType,
    last_seen: u64,
}

/// A stored series.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) labels: Labels,
    pub(crate) series: Option<SeriesRef>,
    /// Whether it is to be marked stale when it is not there any more.
    pub(crate) tracked: bool,
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl SeriesCache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.generation += 1;
    }

    /// A known series, marked as seen.
    pub(crate) fn see(&mut self, text: &[u8], kind: MetricType) -> Option<&mut Entry> {
        let generation = self.generation;
        let entry = self.entries.get_mut(text).filter(|entry| entry.kind == kind)?;
        entry.last_seen = generation;
        Some(entry)
    }

    /// Adds a series that was not known.
    pub(crate) fn add(&mut self, text: &[u8], kind: MetricType, stored: Option<Stored>) {
        let entry = Entry { stored, kind, last_seen: self.generation };
        self.entries.insert(Key(text.to_vec()), entry);
    }

    /// Series that the scrape before this one had and this one has not. What was missed for long is forgotten.
    pub(crate) fn vanished(&mut self) -> Vec<Stored> {
        let generation = self.generation;
        // The order does not matter: each series gets a marker of its own.
        let missed = self.entries.values().filter(|entry| entry.last_seen + 1 == generation);
        let missed = missed.filter_map(|entry| entry.stored.as_ref()).filter(|stored| stored.tracked);
        let mut vanished: Vec<Stored> = missed.cloned().collect();
        if !vanished.is_empty() {
            // The same series under another spelling is not gone.
            let seen = self.entries.values().filter(|entry| entry.last_seen == generation);
            let present: std::collections::HashSet<&Labels> =
                seen.filter_map(|entry| entry.stored.as_ref()).map(|stored| &stored.labels).collect();
            vanished.retain(|stored| !present.contains(&stored.labels));
        }
        self.entries.retain(|_, entry| entry.last_seen + KEPT_SCRAPES > generation);
        vanished
    }

    /// All series that the last good scrape had, for when the target is gone or does not answer. They count as gone.
    pub(crate) fn all_vanish(&mut self) -> Vec<Stored> {
        let generation = self.generation;
        let seen = self.entries.values().filter(|entry| entry.last_seen + 1 >= generation);
        let vanished =
            seen.filter_map(|entry| entry.stored.clone()).filter(|stored| stored.tracked).collect();
        // Two steps, so that neither the next scrape nor the next failure takes them for seen just before it.
        self.generation += 2;
        vanished
    }
}
