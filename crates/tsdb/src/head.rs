//! The head: all series with samples that are in no block yet, sharded by the hash of their labels.
//!
//! Locks are taken in this order: commit, visibility, index, shard, chunk files. A reader holds `visibility` only while it
//! copies open chunks; decoding needs no lock.

pub(crate) mod appender;
pub(crate) mod chunk_files;
pub(crate) mod exemplars;
pub(crate) mod group_numbers;
pub(crate) mod key_table;
pub(crate) mod label_index;
pub(crate) mod label_pins;
pub(crate) mod newest;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod series;
pub(crate) mod shard;
pub(crate) mod validate;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use hashbrown::HashSet;
use metric_storage_api::{AppendRejection, SeriesRef};
use model::Labels;
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::metrics::{Count, Counters};
use crate::options::DbOptions;
use crate::wal::record;
use chunk_files::{ChunkFiles, ChunkPlace};
use exemplars::ExemplarRing;
use key_table::{KeyHash, KeyHasher, KeyTable};
use label_index::{LabelIndex, PairId};
use series::{ApplyContext, Series};
use shard::Shard;

/// Shards of series and of keys; a power of two.
pub(crate) const SHARDS: usize = 16;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();
/// Keys kept per series, beyond a floor: a sender that spells a label set in many ways cannot fill the memory.
const KEYS_PER_SERIES_MAX: usize = 4;
const KEYS_FLOOR: usize = 65_536;

/// A series' number in the head: its slot, and its shard in the low bits. Used again after the series is gone.
pub(crate) type SeriesId = u32;

/// Series that are in no block yet, and how to find them.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) index: Arc<RwLock<LabelIndex>>,
    shards: Vec<Mutex<Shard>>,
    keys: Vec<Mutex<KeyTable>>,
    hasher: KeyHasher,
    label_hasher: RandomState,
    /// Written while samples are applied or series removed, read while a query takes what it needs.
    pub(crate) visibility: RwLock<()>,
    pub(crate) files: ChunkFiles,
    pub(crate) exemplars: Mutex<ExemplarRing>,
    /// Series records that are not in the log yet, without their type byte.
    pub(crate) unlogged: Mutex<Vec<u8>>,
    /// Further references under which the log knows series.
    pub(crate) alias_refs: Mutex<HashSet<u64>>,
    next_ref: AtomicU64,
    series_count: AtomicU64,
    pub(crate) chunk_count: AtomicI64,
    /// The oldest and the newest sample; `i64::MAX` and `i64::MIN` while there is none.
    pub(crate) min_time: AtomicI64,
    pub(crate) max_time: AtomicI64,
    /// The same for late samples.
    late_times: Mutex<(i64, i64)>,
    /// Samples before it are in blocks.
    pub(crate) min_valid_time: AtomicI64,
    /// Counts collections, so that one spares series that an appender has just looked at.
    pub(crate) epoch: AtomicU32,
    pub(crate) active_appenders: AtomicI64,
    pub(crate) chunk_range_ms: i64,
    samples_per_chunk: u16,
}

impl Head {
    pub(crate) fn new(options: &DbOptions, files: ChunkFiles, min_valid_time: i64) -> Self {
        Self {
            index: Arc::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: KeyHasher::new(),
            label_hasher: RandomState::new(),
            visibility: RwLock::default(),
            files,
            exemplars: Mutex::new(ExemplarRing::new(options.exemplars_max)),
            unlogged: Mutex::default(),
            alias_refs: Mutex::default(),
            next_ref: AtomicU64::new(1),
            series_count: AtomicU64::new(0),
            chunk_count: AtomicI64::new(0),
            min_time: AtomicI64::new(i64::MAX),
            max_time: AtomicI64::new(i64::MIN),
            late_times: Mutex::new((i64::MAX, i64::MIN)),
            min_valid_time: AtomicI64::new(min_valid_time),
            epoch: AtomicU32::new(1),
            active_appenders: AtomicI64::new(0),
            chunk_range_ms: options.min_block_duration_ms,
            samples_per_chunk: options.samples_per_chunk,
        }
    }

    /// Gives out only series references above `max`.
    pub(crate) fn reserve_refs(&self, max: u64) {
        self.next_ref.fetch_max(max + 1, Ordering::Relaxed);
    }

    /// The shard that holds a series.
    pub(crate) fn shard(&self, series: SeriesId) -> MutexGuard<'_, Shard> {
        self.shards[series as usize & (SHARDS - 1)].lock()
    }

    /// All shards.
    pub(crate) fn shards(&self) -> &[Mutex<Shard>] {
        &self.shards
    }

    pub(crate) fn apply_context(&self) -> ApplyContext<'_> {
        ApplyContext {
            files: &self.files,
            chunk_range_ms: self.chunk_range_ms,
            samples_per_chunk: self.samples_per_chunk,
        }
    }

    /// How many series there are.
    pub(crate) fn series_count(&self) -> u64 {
        self.series_count.load(Ordering::Relaxed)
    }

    /// The series that a key stands for, if it is known, as it stands now.
    #[inline]
    pub(crate) fn find_key(&self, key: &[u8]) -> (KeyHash, Option<Resolved>) {
        let hash = self.hasher.hash(key);
        let found = self.keys[hash.table(SHARDS)].lock().find(hash);
        (hash, found.and_then(|series| self.look_up(series, None)))
    }

    /// A series as it stands now, marked as looked at. A reference with another generation is not that series.
    #[inline]
    pub(crate) fn look_up(&self, id: SeriesId, generation: Option<u32>) -> Option<Resolved> {
        let mut shard = self.shard(id);
        let current = shard.series_ref(slot_of(id))?;
        if generation.is_some_and(|generation| generation != current) {
            return None;
        }
        let series = shard.get_mut(slot_of(id), current)?;
        series.touched = self.epoch.load(Ordering::Relaxed);
        Some(Resolved {
            id,
            generation: current,
            wal_ref: series.wal_ref,
            last_time: series.last_time,
            last_value: series.last_float(),
        })
    }

    /// Remembers which series a key stands for.
    pub(crate) fn remember_key(&self, hash: KeyHash, series: SeriesRef) {
        let Some((series, _)) = from_ref(series) else { return };
        let mut keys = self.keys[hash.table(SHARDS)].lock();
        if keys.find(hash).is_some() {
            return;
        }
        let most = (self.series_count() as usize * KEYS_PER_SERIES_MAX).max(KEYS_FLOOR) / SHARDS;
        if keys.len() >= most {
            keys.clear();
        }
        keys.insert(hash, series);
    }

    /// Forgets the keys of series that are gone.
    pub(crate) fn forget_keys(&self, is_alive: impl Fn(SeriesId) -> bool) {
        for keys in &self.keys {
            keys.lock().retain(&is_alive);
        }
    }

    /// The series with these labels, if there is one.
    pub(crate) fn find_labels(&self, labels: &Labels) -> Option<SeriesRef> {
        let mut pairs = Vec::with_capacity(labels.len());
        let index = self.index.read();
        if !index.find(labels, &mut pairs) {
            return None;
        }
        self.find_pairs(&pairs)
    }

    /// Finds or creates the series with these labels; `true` where it is new. `wal_ref` is given while replaying.
    pub(crate) fn get_or_create(
        &self,
        labels: &Labels,
        wal_ref: Option<u64>,
        check: impl FnOnce(&LabelIndex) -> Result<(), AppendRejection>,
    ) -> Result<(SeriesRef, bool), AppendRejection> {
        if let Some(found) = self.find_labels(labels) {
            return Ok((found, false));
        }
        let mut index = self.index.write();
        let mut known = Vec::with_capacity(labels.len());
        if index.find(labels, &mut known)
            && let Some(found) = self.find_pairs(&known)
        {
            return Ok((found, false));
        }
        check(&index)?;
        let pairs = index.intern(labels);
        let hash = self.label_hasher.hash_one(&*pairs);
        let shard_idx = shard_of(hash);
        let wal_ref = match wal_ref {
            Some(given) => {
                self.next_ref.fetch_max(given + 1, Ordering::Relaxed);
                given
            }
            None => {
                let wal_ref = self.next_ref.fetch_add(1, Ordering::Relaxed);
                record::put_series(&mut self.unlogged.lock(), wal_ref, labels.iter());
                wal_ref
            }
        };
        let mut shard = self.shards[shard_idx].lock();
        let mut series = Series::new(wal_ref, pairs.clone());
        series.touched = self.epoch.load(Ordering::Relaxed);
        let rehash = |pairs: &[PairId]| self.label_hasher.hash_one(pairs);
        let (slot, generation) = shard.insert(hash, series, rehash);
        let id = (slot << SHARD_BITS) | shard_idx as u32;
        drop(shard);
        index.add_series(&pairs, id);
        self.series_count.fetch_add(1, Ordering::Relaxed);
        Ok((to_ref(id, generation), true))
    }

    fn find_pairs(&self, pairs: &[PairId]) -> Option<SeriesRef> {
        let hash = self.label_hasher.hash_one(pairs);
        let shard_idx = shard_of(hash);
        let (slot, generation) = self.shards[shard_idx].lock().find(hash, pairs)?;
        Some(to_ref((slot << SHARD_BITS) | shard_idx as u32, generation))
    }

    /// Takes note of the time of an applied sample range.
    pub(crate) fn note_times(&self, min: i64, max: i64) {
        self.min_time.fetch_min(min, Ordering::Relaxed);
        self.max_time.fetch_max(max, Ordering::Relaxed);
    }

    /// Takes note of the time of late samples.
    pub(crate) fn note_late(&self, min: i64, max: i64) {
        let mut range = self.late_times.lock();
        *range = (range.0.min(min), range.1.max(max));
    }

    /// The time range of all samples, late ones included; the start is behind the end while there is none.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        let late = *self.late_times.lock();
        let (min, max) = (self.min_time.load(Ordering::Relaxed), self.max_time.load(Ordering::Relaxed));
        // Without samples in order the newest time is still known, and says nothing.
        if min > max { late } else { (min.min(late.0), max.max(late.1)) }
    }

    /// The oldest sample that may still be added in order.
    pub(crate) fn appendable_from(&self) -> i64 {
        let valid = self.min_valid_time.load(Ordering::Relaxed);
        match self.max_time.load(Ordering::Relaxed) {
            i64::MIN => valid,
            newest => valid.max(newest.saturating_sub(self.chunk_range_ms / 2)),
        }
    }

    /// Forgets samples before `time`, which are in a block, and returns how many chunks went.
    pub(crate) fn truncate(&self, time: i64) -> u64 {
        let _no_reader = self.visibility.write();
        let (mut removed, mut oldest) = (0, i64::MAX);
        for shard in &self.shards {
            for series in shard.lock().iter_mut() {
                removed += series.truncate(time);
                oldest = oldest.min(series.first_time().unwrap_or(i64::MAX));
            }
        }
        self.chunk_count.fetch_sub(removed as i64, Ordering::Relaxed);
        // A chunk that crosses `time` is in the block, too: what counts is what is in no block.
        let oldest = if oldest == i64::MAX { oldest } else { oldest.max(time) };
        self.min_time.store(oldest, Ordering::Relaxed);
        removed as u64
    }

    /// The oldest sample of any chunk, late ones included; `i64::MAX` where there is none.
    pub(crate) fn oldest_time(&self) -> i64 {
        let oldest = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.iter().filter_map(|(_, series)| Some(series.time_range()?.0)).min()
        };
        self.shards.iter().filter_map(oldest).min().unwrap_or(i64::MAX)
    }

    /// Closes the late samples of all series and returns the places of all late chunks.
    pub(crate) fn close_late_chunks(&self) -> HashSet<ChunkPlace> {
        let mut places = HashSet::new();
        for shard in &self.shards {
            for series in shard.lock().iter_mut() {
                places.extend(series.close_late(&self.files).iter().map(|chunk| chunk.place));
            }
        }
        places
    }

    /// The time range of these late chunks.
    pub(crate) fn late_range(&self, places: &HashSet<ChunkPlace>) -> Option<(i64, i64)> {
        let mut range: Option<(i64, i64)> = None;
        for shard in &self.shards {
            for (_, series) in shard.lock().iter() {
                let late = series.extra.as_ref().map_or(&[][..], |extra| &extra.late_closed);
                for chunk in late.iter().filter(|chunk| places.contains(&chunk.place)) {
                    let (min, max) = range.unwrap_or((i64::MAX, i64::MIN));
                    range = Some((min.min(chunk.min_time), max.max(chunk.max_time)));
                }
            }
        }
        range
    }

    /// Forgets late chunks that are in blocks now.
    pub(crate) fn forget_late_chunks(&self, places: &HashSet<ChunkPlace>) {
        let _no_reader = self.visibility.write();
        for shard in &self.shards {
            for extra in shard.lock().iter_mut().filter_map(|series| series.extra.as_mut()) {
                extra.late_closed.retain(|chunk| !places.contains(&chunk.place));
            }
        }
        let mut left = (i64::MAX, i64::MIN);
        for shard in &self.shards {
            for extra in shard.lock().iter().filter_map(|(_, series)| series.extra.as_ref()) {
                let closed = extra.late_closed.iter().map(|chunk| (chunk.min_time, chunk.max_time));
                let open = extra.late.iter().map(|sample| (sample.0, sample.0));
                left = closed.chain(open).fold(left, |all, one| (all.0.min(one.0), all.1.max(one.1)));
            }
        }
        *self.late_times.lock() = left;
    }

    /// The WAL references of all series.
    pub(crate) fn wal_refs(&self) -> HashSet<u64> {
        let mut refs = self.alias_refs.lock().clone();
        for shard in &self.shards {
            refs.extend(shard.lock().iter().map(|(_, series)| series.wal_ref));
        }
        refs
    }

    /// Removes series that have no sample left and that nobody has looked at since the last collection. Their WAL
    /// references are handed to `removed`.
    pub(crate) fn collect(&self, counters: &Counters, mut removed: impl FnMut(u64)) {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let _no_reader = self.visibility.write();
        let mut index = self.index.write();
        let mut gone: Vec<(SeriesId, Box<[PairId]>)> = Vec::new();
        for (shard_idx, shard) in self.shards.iter().enumerate() {
            let rehash = |pairs: &[PairId]| self.label_hasher.hash_one(pairs);
            shard.lock().remove_where(
                rehash,
                |series| series.chunk_count() == 0 && series.touched < epoch,
                |slot, series| {
                    removed(series.wal_ref);
                    gone.push(((slot << SHARD_BITS) | shard_idx as u32, series.pairs));
                },
            );
        }
        index.remove_series(gone.iter().map(|(id, pairs)| (*id, &**pairs)));
        index.optimize();
        self.series_count.fetch_sub(gone.len() as u64, Ordering::Relaxed);
        counters.series_removed.add(gone.len() as u64);
        if !gone.is_empty() {
            // Before the index is let go: slots are used again only by who holds it.
            self.forget_keys(|id| self.shard(id).get(slot_of(id)).is_some());
        }
    }
}

/// What an appender has to know of a series to check a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub(crate) id: SeriesId,
    pub(crate) generation: u32,
    pub(crate) wal_ref: u64,
    pub(crate) last_time: i64,
    pub(crate) last_value: Option<f64>,
}

impl Resolved {
    /// What callers see.
    pub(crate) fn series_ref(&self) -> SeriesRef {
        to_ref(self.id, self.generation)
    }
}

/// The shard of a label hash: bits that the shard's own table does not look at first.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize & (SHARDS - 1)
}

/// The slot of a series in its shard.
pub(crate) fn slot_of(series: SeriesId) -> u32 {
    series >> SHARD_BITS
}

/// What callers see: the number, and the generation of its slot so that a stale reference is noticed.
pub(crate) fn to_ref(series: SeriesId, generation: u32) -> SeriesRef {
    SeriesRef(u64::from(generation) << 32 | u64::from(series))
}

/// The number and the generation. `None` for a reference that was never given out.
pub(crate) fn from_ref(series: SeriesRef) -> Option<(SeriesId, u32)> {
    let generation = (series.0 >> 32) as u32;
    (generation != 0).then_some((series.0 as u32, generation))
}
