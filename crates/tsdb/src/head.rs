//! The head: all series with samples that are in no block yet, sharded by the hash of their labels.
//!
//! Locks are taken in this order: commit, visibility, index, keys, shard, chunk files. A reader holds `visibility` only while it
//! copies open chunks; decoding needs no lock.

pub(crate) mod append_buffers;
pub(crate) mod appender;
pub(crate) mod chunk_files;
pub(crate) mod exemplars;
pub(crate) mod group_numbers;
pub(crate) mod key_table;
pub(crate) mod label_index;
pub(crate) mod label_pins;
pub(crate) mod newest;
pub(crate) mod read;
pub(crate) mod ref_table;
pub(crate) mod replay;
pub(crate) mod series;
pub(crate) mod series_table;
pub(crate) mod shard;
pub(crate) mod validate;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use ahash::RandomState;
use hashbrown::HashSet;
use metric_storage_api::{AppendRejection, SeriesRef, SeriesSample};
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

/// Shards of series; a power of two.
const SHARDS: usize = 16;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();
/// So many series in a row share a shard and lie side by side: a sender's series are created one after another and come
/// together again and again.
const RUN: usize = 1 << RUN_BITS;
const RUN_BITS: u32 = 8;
/// Keys kept per series, beyond a floor: a sender that spells a label set in many ways cannot fill the memory.
const KEYS_PER_SERIES_MAX: usize = 4;
const KEYS_FLOOR: usize = 65_536;
/// Keys that are looked up in one go.
pub(crate) const KEYS_AT_ONCE: usize = 64;

/// A series' number in the head, in the order of creation. Used again after the series is gone.
pub(crate) type SeriesId = u32;

/// Series that are in no block yet, and how to find them.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) index: Arc<RwLock<LabelIndex>>,
    shards: Vec<Mutex<Shard>>,
    keys: RwLock<KeyTable>,
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
    /// How many there were when the index was made smaller last.
    optimized_count: AtomicU64,
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
            keys: RwLock::default(),
            hasher: KeyHasher::new(),
            label_hasher: RandomState::new(),
            visibility: RwLock::default(),
            files,
            exemplars: Mutex::new(ExemplarRing::new(options.exemplars_max)),
            unlogged: Mutex::default(),
            alias_refs: Mutex::default(),
            next_ref: AtomicU64::new(1),
            series_count: AtomicU64::new(0),
            optimized_count: AtomicU64::new(0),
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
        self.shards[shard_of(series)].lock()
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

    /// Makes the index smaller where many series were added since this was done last.
    pub(crate) fn optimize_index(&self) {
        let count = self.series_count();
        let before = self.optimized_count.load(Ordering::Relaxed);
        if count.abs_diff(before) > before / 8 {
            self.index.write().optimize();
            self.optimized_count.store(count, Ordering::Relaxed);
        }
    }

    /// How many series there are.
    pub(crate) fn series_count(&self) -> u64 {
        self.series_count.load(Ordering::Relaxed)
    }

    /// What stands for a key.
    #[inline]
    pub(crate) fn hash_key(&self, key: &[u8]) -> KeyHash {
        self.hasher.hash(key)
    }

    /// The series that a key stands for, if it is known, as it stands now.
    #[inline]
    pub(crate) fn find_key(&self, hash: KeyHash) -> Option<Resolved> {
        // Held while the series is looked up: a number is not given to another series before its keys are forgotten.
        let keys = self.keys.read();
        self.look_up(keys.find(hash)?, None)
    }

    /// The same for many keys. The steps are apart so that what one key waits for, memory above all, others wait for at the
    /// same time.
    pub(crate) fn find_keys(&self, hashes: &[KeyHash], found: &mut [Option<Resolved>]) {
        const UNKNOWN: SeriesId = SeriesId::MAX;
        let keys = self.keys.read();
        let mut ids = [UNKNOWN; KEYS_AT_ONCE];
        for (id, hash) in ids.iter_mut().zip(hashes) {
            *id = keys.find(*hash).unwrap_or(UNKNOWN);
        }
        let epoch = self.epoch.load(Ordering::Relaxed);
        let mut shards = ShardCursor::new(self);
        for (id, resolved) in ids.iter().zip(found) {
            if *id == UNKNOWN {
                *resolved = None;
                continue;
            }
            *resolved = shards.of(*id).any_mut(slot_of(*id)).map(|(generation, series)| {
                series.touched = epoch;
                Resolved::new(*id, generation, series)
            });
        }
    }

    /// The series of many samples; as many as `found` takes.
    pub(crate) fn look_up_many(&self, samples: &[SeriesSample], found: &mut [Option<Resolved>]) {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let mut shards = ShardCursor::new(self);
        for (sample, resolved) in samples.iter().zip(found) {
            *resolved = from_ref(sample.series).and_then(|(id, generation)| {
                let series = shards.of(id).get_mut(slot_of(id), generation)?;
                series.touched = epoch;
                Some(Resolved::new(id, generation, series))
            });
        }
    }

    /// A series as it stands now, marked as looked at. A reference with another generation is not that series.
    #[inline]
    pub(crate) fn look_up(&self, id: SeriesId, generation: Option<u32>) -> Option<Resolved> {
        let mut shard = self.shard(id);
        let (current, series) = shard.any_mut(slot_of(id))?;
        if generation.is_some_and(|generation| generation != current) {
            return None;
        }
        series.touched = self.epoch.load(Ordering::Relaxed);
        Some(Resolved::new(id, current, series))
    }

    /// Remembers which series a key stands for.
    pub(crate) fn remember_key(&self, hash: KeyHash, series: SeriesRef) {
        let Some((series, generation)) = from_ref(series) else { return };
        let mut keys = self.keys.write();
        if keys.find(hash).is_some() || self.look_up(series, Some(generation)).is_none() {
            return;
        }
        let most = (self.series_count() as usize * KEYS_PER_SERIES_MAX).max(KEYS_FLOOR);
        if keys.len() >= most {
            keys.clear();
        }
        keys.insert(hash, series);
    }

    /// Forgets the keys of series that are gone.
    pub(crate) fn forget_keys(&self, is_alive: impl Fn(SeriesId) -> bool) {
        self.keys.write().retain(is_alive);
    }

    /// The series with these labels, if there is one.
    pub(crate) fn find_labels(&self, labels: &Labels) -> Option<SeriesRef> {
        let mut pairs = Vec::with_capacity(labels.len());
        let index = self.index.read();
        if !index.find(labels, &mut pairs) {
            return None;
        }
        self.find_pairs(&index, &pairs)
    }

    /// Finds or creates the series with these labels; `true` where it is new. `wal_ref` is given while replaying.
    pub(crate) fn get_or_create(
        &self,
        labels: &Labels,
        wal_ref: Option<u64>,
        check: impl FnOnce(&LabelIndex) -> Result<(), AppendRejection>,
    ) -> Result<(SeriesRef, bool), AppendRejection> {
        if wal_ref.is_none()
            && let Some(found) = self.find_labels(labels)
        {
            return Ok((found, false));
        }
        let mut index = self.index.write();
        let mut known = Vec::with_capacity(labels.len());
        if index.find(labels, &mut known)
            && let Some(found) = self.find_pairs(&index, &known)
        {
            return Ok((found, false));
        }
        check(&index)?;
        let pairs = index.intern(labels, &known);
        let hash = self.label_hasher.hash_one(&*pairs);
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
        let id = index.series.add(hash);
        index.add_series(&pairs, id);
        let mut series = Series::new(wal_ref, pairs);
        series.touched = self.epoch.load(Ordering::Relaxed);
        let generation = self.shard(id).insert(slot_of(id), series);
        self.series_count.fetch_add(1, Ordering::Relaxed);
        Ok((to_ref(id, generation), true))
    }

    fn find_pairs(&self, index: &LabelIndex, pairs: &[PairId]) -> Option<SeriesRef> {
        let hash = self.label_hasher.hash_one(pairs);
        let same = |id| self.shard(id).get(slot_of(id)).is_some_and(|series| &*series.pairs == pairs);
        let id = index.series.find(hash, same)?;
        Some(to_ref(id, self.shard(id).generation(slot_of(id))?))
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
            shard.lock().remove_where(
                |series| series.chunk_count() == 0 && series.touched < epoch,
                |slot, series| {
                    removed(series.wal_ref);
                    gone.push((id_of(shard_idx, slot), series.pairs));
                },
            );
        }
        for (id, pairs) in &gone {
            index.series.remove(self.label_hasher.hash_one(&**pairs), *id);
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
    #[inline]
    fn new(id: SeriesId, generation: u32, series: &Series) -> Self {
        Self {
            id,
            generation,
            wal_ref: series.wal_ref,
            last_time: series.last_time,
            last_value: series.last_float(),
        }
    }

    /// What callers see.
    pub(crate) fn series_ref(&self) -> SeriesRef {
        to_ref(self.id, self.generation)
    }
}

/// Goes from series to series and holds the lock of one shard at a time, as long as that serves the next series, too.
pub(crate) struct ShardCursor<'a> {
    head: &'a Head,
    held: Option<(usize, MutexGuard<'a, Shard>)>,
}

impl<'a> ShardCursor<'a> {
    pub(crate) fn new(head: &'a Head) -> Self {
        Self { head, held: None }
    }

    /// The shard of a series, locked.
    #[inline]
    pub(crate) fn of(&mut self, series: SeriesId) -> &mut Shard {
        let wanted = shard_of(series);
        // Let go of one before the next is taken.
        self.held.take_if(|held| held.0 != wanted);
        &mut self.held.get_or_insert_with(|| (wanted, self.head.shards[wanted].lock())).1
    }
}

/// The shard of a series.
#[inline]
pub(crate) fn shard_of(series: SeriesId) -> usize {
    (series >> RUN_BITS) as usize & (SHARDS - 1)
}

/// The slot of a series in its shard.
pub(crate) fn slot_of(series: SeriesId) -> u32 {
    let low = series & (RUN as u32 - 1);
    (series >> (RUN_BITS + SHARD_BITS)) << RUN_BITS | low
}

/// The series in a slot of a shard.
fn id_of(shard: usize, slot: u32) -> SeriesId {
    let low = slot & (RUN as u32 - 1);
    ((slot >> RUN_BITS) << SHARD_BITS | shard as u32) << RUN_BITS | low
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
