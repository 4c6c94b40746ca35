//! What a target's last scrapes have shown: series by their text, so that a known one is not parsed again.

use std::collections::{BTreeMap, HashSet};

use ahash::RandomState;
use hashbrown::HashTable;
use metric_storage_api::SeriesRef;
use model::{MetricMetadata, MetricType};

/// After so many scrapes without a series it is forgotten.
const KEPT_SCRAPES: u64 = 10;

/// The cache of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: Vec<Entry>,
    /// Places in `entries` by text and type.
    places: HashTable<u32>,
    hasher: RandomState,
    /// Places that are free.
    free: Vec<u32>,
    /// The entry that was seen last: what came behind it in the scrape before mostly comes behind it again.
    last: Option<u32>,
    /// How many entries this scrape has seen.
    seen: usize,
    generation: u64,
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    pub(crate) metadata_changed: bool,
    /// Series of the target's own: `up` and the like.
    pub(crate) own: Vec<(&'static str, SeriesRef)>,
}

/// A series that was seen. Its labels are not kept: the text has them.
#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    stored: Option<Stored>,
    last_seen: u64,
    /// What came behind it when it was seen last.
    next: Option<u32>,
    /// Decides how `le` and `quantile` are spelled, so it belongs to the text.
    kind: MetricType,
}

/// A stored series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) series: SeriesRef,
    /// Whether it is to be marked stale when it is not there any more.
    pub(crate) tracked: bool,
}

impl SeriesCache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.generation += 1;
        self.seen = 0;
        // A scrape begins with what the one before it began with.
        self.last = None;
    }

    /// The text of the series that is to be expected; empty where none is.
    pub(crate) fn expected(&self) -> &[u8] {
        self.expected_place().map_or(&[], |place| &self.entries[place as usize].text)
    }

    fn expected_place(&self) -> Option<u32> {
        match self.last {
            Some(last) => self.entries[last as usize].next,
            None => None,
        }
    }

    /// The place of a known series, marked as seen.
    #[inline]
    pub(crate) fn see(&mut self, text: &[u8], kind: MetricType) -> Option<u32> {
        let fits = |entry: &Entry| *entry.text == *text && entry.kind == kind;
        let expected = self.expected_place();
        let place = match expected.filter(|place| fits(&self.entries[*place as usize])) {
            Some(place) => place,
            None => {
                let hash = self.hasher.hash_one(text);
                *self.places.find(hash, |place| fits(&self.entries[*place as usize]))?
            }
        };
        self.mark(place);
        Some(place)
    }

    fn mark(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        self.seen += usize::from(entry.last_seen != self.generation);
        entry.last_seen = self.generation;
        if let Some(last) = self.last.replace(place) {
            self.entries[last as usize].next = Some(place);
        }
    }

    /// Adds a series that was not known, as seen; `None` where relabelling drops it.
    pub(crate) fn add(&mut self, text: &[u8], kind: MetricType, stored: Option<Stored>) -> u32 {
        let entry = Entry { text: text.into(), stored, last_seen: 0, next: None, kind };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |place: &u32| hasher.hash_one(&*entries[*place as usize].text);
        self.places.insert_unique(hash(&place), place, hash);
        self.mark(place);
        place
    }

    /// What the series at a place is stored as; `None` where relabelling drops it.
    #[inline]
    pub(crate) fn stored(&self, place: u32) -> Option<Stored> {
        self.entries[place as usize].stored
    }

    /// Notes that a series has another reference now.
    pub(crate) fn set_series(&mut self, place: u32, series: SeriesRef) {
        if let Some(stored) = &mut self.entries[place as usize].stored {
            stored.series = series;
        }
    }

    /// The text and the type of the series at a place.
    pub(crate) fn text(&self, place: u32) -> (&[u8], MetricType) {
        let entry = &self.entries[place as usize];
        (&entry.text, entry.kind)
    }

    /// Series that the scrape before this one had and this one has not. What was missed for long is forgotten.
    pub(crate) fn vanished(&mut self) -> Vec<SeriesRef> {
        if self.seen == self.places.len() {
            return Vec::new();
        }
        let generation = self.generation;
        let of = |wanted: u64| {
            let entries = self.entries.iter().filter(move |entry| entry.last_seen == wanted);
            entries.filter_map(|entry| entry.stored)
        };
        let missed = of(generation - 1).filter(|stored| stored.tracked);
        let mut vanished: Vec<SeriesRef> = missed.map(|stored| stored.series).collect();
        if !vanished.is_empty() {
            // The same series under another spelling is not gone.
            let present: HashSet<SeriesRef> = of(generation).map(|stored| stored.series).collect();
            vanished.retain(|series| !present.contains(series));
        }
        self.forget(|entry| entry.last_seen + KEPT_SCRAPES <= generation);
        vanished
    }

    fn forget(&mut self, is_old: impl Fn(&Entry) -> bool) {
        let Self { entries, places, free, last, .. } = self;
        let kept = free.len();
        places.retain(|place| {
            let old = is_old(&entries[*place as usize]);
            if old {
                free.push(*place);
            }
            !old
        });
        if free.len() == kept {
            return;
        }
        for place in &free[kept..] {
            let entry = &mut entries[*place as usize];
            (entry.text, entry.stored, entry.next) = (Box::default(), None, None);
        }
        // Nothing may lead to what is gone.
        let gone: HashSet<u32> = free[kept..].iter().copied().collect();
        for entry in entries.iter_mut() {
            entry.next = entry.next.filter(|place| !gone.contains(place));
        }
        *last = last.filter(|place| !gone.contains(place));
    }

    /// All series that the last good scrape had, for when the target is gone or does not answer. They count as gone.
    pub(crate) fn all_vanish(&mut self) -> Vec<SeriesRef> {
        let generation = self.generation;
        let seen = self.entries.iter().filter(|entry| entry.last_seen + 1 >= generation);
        let stored = seen.filter_map(|entry| entry.stored).filter(|stored| stored.tracked);
        let vanished = stored.map(|stored| stored.series).collect();
        // Two steps, so that neither the next scrape nor the next failure takes them for seen just before it.
        self.generation += 2;
        vanished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: MetricType = MetricType::Gauge;

    /// One scrape: the series that vanished, and how many were expected where they came.
    fn scrape(cache: &mut SeriesCache, texts: &str) -> (Vec<u64>, usize) {
        cache.begin();
        let mut expected = 0;
        for text in texts.bytes() {
            expected += usize::from(cache.expected() == [text]);
            if cache.see(&[text], KIND).is_none() {
                // Capitals are other spellings of the same series.
                let series = SeriesRef(u64::from(text.to_ascii_lowercase()));
                cache.add(&[text], KIND, Some(Stored { series, tracked: text != b'u' }));
            }
        }
        let mut vanished: Vec<u64> = cache.vanished().into_iter().map(|series| series.0).collect();
        vanished.sort_unstable();
        (vanished, expected)
    }

    fn refs(texts: &str) -> Vec<u64> {
        texts.bytes().map(u64::from).collect()
    }

    #[test]
    fn order_is_learned_and_what_is_missing_is_told_once() {
        let mut cache = SeriesCache::default();
        for (texts, vanished, expected) in [
            ("abcu", "", 0),
            ("abcu", "", 3),
            // Its place is found again after something new.
            ("abxcu", "", 2),
            ("abxcu", "", 4),
            ("ab", "cx", 1),
            ("ab", "", 1),
            ("AB", "", 0),
            ("", "ab", 0),
            ("", "", 0),
        ] {
            assert_eq!(scrape(&mut cache, texts), (refs(vanished), expected), "{texts}");
        }
        for _ in 0..KEPT_SCRAPES {
            scrape(&mut cache, "z");
        }
        assert_eq!((cache.places.len(), cache.free.len()), (1, cache.entries.len() - 1));
        assert_eq!(scrape(&mut cache, "abc").0, refs("z"));
        assert_eq!(scrape(&mut cache, "abc"), (vec![], 2));
    }

    #[test]
    fn a_failure_makes_all_vanish_once() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, "ab");
        assert_eq!(cache.all_vanish().len(), 2);
        assert_eq!(cache.all_vanish().len(), 0);
        assert_eq!(scrape(&mut cache, "ab").0, refs(""));
    }
}
