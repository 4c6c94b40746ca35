//! The head: all series with samples that are in no block yet, sharded by the hash of their labels.
//!
//! Locks are taken in this order: commit, visibility, index, shard, chunk files. A reader holds `visibility` only while it
//! copies open chunks; decoding needs no lock.

pub(crate) mod appender;
pub(crate) mod chunk_files;
pub(crate) mod exemplars;
pub(crate) mod key_table;
pub(crate) mod label_index;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod series;
pub(crate) mod shard;
pub(crate) mod validate;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use metric_storage_api::{AppendRejection, SeriesRef};
use model::Labels;
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::metrics::{Count, Counters};
use crate::options::DbOptions;
use crate::wal::record;
use chunk_files::ChunkFiles;
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
    pub(crate) index: RwLock<LabelIndex>,
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
    next_ref: AtomicU64,
    series_count: AtomicU64,
    pub(crate) chunk_count: AtomicI64,
    /// The oldest and the newest sample; `i64::MAX` and `i64::MIN` while there is none.
    pub(crate) min_time: AtomicI64,
    pub(crate) max_time: AtomicI64,
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
            index: RwLock::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: KeyHasher::new(),
            label_hasher: RandomState::new(),
            visibility: RwLock::default(),
            files,
            exemplars: Mutex::new(ExemplarRing::new(options.exemplars_max)),
            unlogged: Mutex::default(),
            next_ref: AtomicU64::new(1),
            series_count: AtomicU64::new(0),
            chunk_count: AtomicI64::new(0),
            min_time: AtomicI64::new(i64::MAX),
            max_time: AtomicI64::new(i64::MIN),
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

    /// The series that a key stands for, if it is known.
    #[inline]
    pub(crate) fn find_key(&self, key: &[u8]) -> (KeyHash, Option<SeriesRef>) {
        let hash = self.hasher.hash(key);
        let found = self.keys[hash.table(SHARDS)].lock().find(hash);
        let series = found.and_then(|series| {
            self.shard(series).series_ref(slot_of(series)).map(|generation| to_ref(series, generation))
        });
        (hash, series)
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

    /// The oldest sample that may still be added in order.
    pub(crate) fn appendable_from(&self) -> i64 {
        let valid = self.min_valid_time.load(Ordering::Relaxed);
        match self.max_time.load(Ordering::Relaxed) {
            i64::MIN => valid,
            newest => valid.max(newest.saturating_sub(self.chunk_range_ms / 2)),
        }
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
