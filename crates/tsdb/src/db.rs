//! The database: what a service opens, appends to, selects from and drives.

mod delete;
mod maintain;
pub(crate) mod open;
mod query;

pub use delete::SnapshotOptions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use metric_storage_api::{Appender, MetricStore, StorageError};
use parking_lot::{Mutex, RwLock};
use resources::RequestContext;
use sys::{Clock, FileLock, Fs};

use crate::block::Block;
use crate::head::Head;
use crate::head::append_buffers::BufferPool;
use crate::head::appender::HeadAppender;
use crate::metrics::{Count, Counters, ReplayProgress};
use crate::options::{DbOptions, SyncPolicy};
use crate::stats::{BlockInfo, DbStats};
use crate::wal::log::{Log, LogInner};
use crate::wal::record;
use crate::wal::tail::{WalPosition, WalTail};
use crate::wal::writer::RecordBatch;
use crate::wal::{list_segments, segment_path};
use crate::{Error, Result};

/// What a database needs from outside.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the database counts; shared with whoever renders it.
    pub counters: Arc<Counters>,
    /// How far the replay at the start has come.
    pub progress: Arc<ReplayProgress>,
}

impl Environment {
    /// An environment with counters of its own.
    pub fn new(fs: Arc<dyn Fs>, clock: Arc<dyn Clock>) -> Self {
        Self { fs, clock, counters: Arc::default(), progress: Arc::default() }
    }
}

/// An open database. All methods take `&self` and may be called from several threads; they block.
#[derive(Debug)]
pub struct Db {
    pub(crate) dir: PathBuf,
    pub(crate) options: DbOptions,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) head: Head,
    pub(crate) append_buffers: BufferPool,
    pub(crate) wal: Log,
    /// The out-of-order log; opened with the first late sample.
    late_log: Mutex<Option<Arc<Log>>>,
    /// Records for it that could not be written yet.
    late_waiting: Mutex<RecordBatch>,
    /// Blocks by time of their start.
    pub(crate) blocks: RwLock<Vec<Arc<Block>>>,
    out_of_order_window_ms: AtomicI64,
    pub(crate) retention_ms: AtomicI64,
    pub(crate) retention_bytes: AtomicU64,
    /// Held while blocks are made, merged or deleted: one such step at a time.
    pub(crate) maintenance: Mutex<()>,
    /// Series that were collected, by WAL reference, with the segment that was open then: until it is folded, records of
    /// theirs may follow.
    pub(crate) deleted_series: Mutex<HashMap<u64, u64>>,
    closed: AtomicBool,
    replay_ms: u64,
    clean_start: bool,
    lock: Mutex<Option<Box<dyn FileLock>>>,
}

impl Db {
    /// Opens a directory, created where missing, and replays its log: this takes as long as there is much in it. Damage is
    /// set aside under `x-damaged/`, counted and logged, and the rest is served.
    pub fn open(dir: &Path, options: DbOptions, environment: Environment) -> Result<Self> {
        open::open(dir, options, environment)
    }

    /// What the database counts.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Changes how far behind the newest sample a sample may be.
    pub fn set_out_of_order_window(&self, window_ms: i64) {
        self.out_of_order_window_ms.store(window_ms.max(0), Ordering::Relaxed);
    }

    /// Changes the retention; 0 means no bound.
    pub fn set_retention(&self, retention_ms: i64, retention_bytes: u64) {
        self.retention_ms.store(retention_ms.max(0), Ordering::Relaxed);
        self.retention_bytes.store(retention_bytes, Ordering::Relaxed);
    }

    pub(crate) fn out_of_order_window_ms(&self) -> i64 {
        self.out_of_order_window_ms.load(Ordering::Relaxed)
    }

    /// Makes durable what was written, where the sync policy's interval has passed. To be called a few times a second,
    /// from a thread that may block, whatever else is going on.
    pub fn sync_if_due(&self) -> Result<()> {
        let SyncPolicy::AfterWrite { interval } = self.options.sync else { return Ok(()) };
        let now = self.clock.monotonic();
        self.wal.sync_if_due(interval, now)?;
        match self.late_log.lock().clone() {
            Some(log) => log.sync_if_due(interval, now),
            None => Ok(()),
        }
    }

    /// Makes everything durable that was written.
    pub fn sync(&self) -> Result<()> {
        self.sync_logs(self.clock.monotonic())
    }

    /// Stops taking samples, makes everything durable and releases the directory. Reads still work on what is open.
    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let synced = self.sync_logs(self.clock.monotonic());
        let flushed = self.head.files.finish_file();
        if self.lock.lock().take().is_some() {
            // A lock file that is left tells the next start that this one did not end in order.
            let path = self.dir.join(open::LOCK_FILE);
            self.fs.remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        synced.and(flushed)
    }

    /// The database at this moment, with the `limit` largest of each kind of cardinality (0 for none).
    pub fn stats(&self, limit: usize) -> DbStats {
        let head = &self.head;
        let mut stats = DbStats {
            head_series: head.series_count(),
            head_chunks: head.chunk_count.load(Ordering::Relaxed).max(0) as u64,
            head_min_time: head.min_time.load(Ordering::Relaxed),
            head_max_time: head.max_time.load(Ordering::Relaxed),
            active_appenders: head.active_appenders.load(Ordering::Relaxed).max(0) as u64,
            head_chunk_bytes: head.files.bytes(),
            replay_ms: self.replay_ms,
            clean_start: self.clean_start,
            exemplars_max: self.options.exemplars_max as u64,
            wal_segment: self.wal.lock().segment(),
            ..DbStats::default()
        };
        {
            let index = head.index.read();
            stats.head_label_pairs = index.pair_count();
            stats.symbol_bytes = index.symbol_bytes();
            if limit > 0 {
                stats.cardinality = index.cardinality(limit);
            }
        }
        for shard in head.shards() {
            for (_, series) in shard.lock().iter() {
                stats.head_bytes += (size_of_val(series) + series.heap_bytes()) as u64;
                stats.head_stale_series += u64::from(series.is_stale());
                stats.head_histogram_series += u64::from(series.open_histogram().is_some());
            }
        }
        let (exemplars, series) = head.exemplars.lock().counts();
        (stats.exemplars, stats.exemplar_series) = (exemplars as u64, series as u64);
        let blocks = self.blocks.read();
        stats.blocks = blocks.len() as u64;
        stats.block_bytes = blocks.iter().map(|block| block.bytes).sum();
        let oldest = blocks.iter().map(|block| block.meta.min_time).min().unwrap_or(i64::MAX);
        stats.lowest_time = oldest.min(stats.head_min_time);
        stats.wal_bytes = self.log_bytes(&self.dir.join("wal"));
        stats
    }

    /// A tail of the log from `at` on; from its present end where that is `None`.
    pub fn tail_wal(&self, at: Option<WalPosition>) -> WalTail {
        let at = at.unwrap_or_else(|| {
            // Nobody writes while the end is measured.
            let log = self.wal.lock();
            let segment = log.segment();
            let path = segment_path(&self.dir.join("wal"), segment);
            WalPosition { segment, offset: self.fs.file_len(&path).unwrap_or(0) }
        });
        WalTail::new(Arc::clone(&self.fs), &self.dir, at)
    }

    /// The blocks in use, in order of time.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        self.blocks.read().iter().map(|block| block.info()).collect()
    }

    /// Writes a batch, and before it the series that are not in the log yet.
    pub(crate) fn write_log(
        &self,
        log: &mut LogInner,
        records: &RecordBatch,
    ) -> std::result::Result<u64, StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Unavailable { reason: "the database is closed".to_owned() });
        }
        let unlogged = std::mem::take(&mut *self.head.unlogged.lock());
        let mut series = RecordBatch::default();
        if !unlogged.is_empty() {
            let mut bytes = Vec::with_capacity(unlogged.len() + 1);
            bytes.push(record::SERIES);
            bytes.extend_from_slice(&unlogged);
            series.push(&bytes, self.options.wal_compression);
        }
        log.write(&[&series, records]).map_err(|error| {
            self.counters.wal_writes_failed.add(1);
            // They go in front of what other appenders have added meanwhile.
            let mut waiting = self.head.unlogged.lock();
            let added = std::mem::replace(&mut *waiting, unlogged);
            waiting.extend_from_slice(&added);
            unavailable(&error)
        })
    }

    /// Writes late samples to the out-of-order log. After an error they are kept and written by the next commit: they are
    /// visible already, and a sender that repeats them is told that they are there.
    pub(crate) fn write_late_log(
        &self,
        samples: &[record::RefSample],
        histograms: &[record::RefHistogram],
        markers: &[(u64, u64)],
    ) -> std::result::Result<(), StorageError> {
        let mut waiting = self.late_waiting.lock();
        let mut bytes = Vec::new();
        if !markers.is_empty() {
            record::put_mmap_markers(&mut bytes, markers);
            waiting.push(&bytes, self.options.wal_compression);
            bytes.clear();
        }
        if !samples.is_empty() {
            record::put_samples(&mut bytes, samples.iter().copied());
            waiting.push(&bytes, self.options.wal_compression);
        }
        record::put_histograms(histograms, |record| waiting.push(record, self.options.wal_compression));
        if waiting.is_empty() {
            return Ok(());
        }
        let log = self.late_log().map_err(|error| unavailable(&error))?;
        log.lock().write(&[&waiting]).map_err(|error| unavailable(&error))?;
        *waiting = RecordBatch::default();
        Ok(())
    }

    /// The out-of-order log, if there is one on disk or late samples came.
    pub(crate) fn late_log_if_any(&self) -> Result<Option<Arc<Log>>> {
        if self.late_log.lock().is_none() && !self.fs.exists(&self.dir.join("wbl")) {
            return Ok(None);
        }
        self.late_log().map(Some)
    }

    fn late_log(&self) -> Result<Arc<Log>> {
        let mut log = self.late_log.lock();
        if let Some(log) = &*log {
            return Ok(Arc::clone(log));
        }
        let opened = Arc::new(Log::open(
            Arc::clone(&self.fs),
            &self.dir.join("wbl"),
            self.options.wal_segment_bytes,
            Arc::clone(&self.counters),
        )?);
        *log = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Makes a commit durable before it is acknowledged.
    pub(crate) fn sync_commit(&self, number: u64) -> std::result::Result<(), StorageError> {
        let now = self.clock.monotonic();
        self.wal.sync_to(number, now).map_err(|error| unavailable(&error))?;
        match self.late_log.lock().clone() {
            Some(log) => log.sync(now).map_err(|error| unavailable(&error)),
            None => Ok(()),
        }
    }

    fn sync_logs(&self, now: Duration) -> Result<()> {
        self.wal.sync(now)?;
        match self.late_log.lock().clone() {
            Some(log) => log.sync(now),
            None => Ok(()),
        }
    }

    pub(crate) fn log_bytes(&self, dir: &Path) -> u64 {
        let segments = list_segments(&*self.fs, dir).unwrap_or_default();
        segments.iter().map(|segment| self.fs.file_len(&segment_path(dir, *segment)).unwrap_or(0)).sum()
    }
}

impl MetricStore for Db {
    fn appender(&self, ctx: &RequestContext) -> std::result::Result<Box<dyn Appender + '_>, StorageError> {
        ctx.check()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Unavailable { reason: "the database is closed".to_owned() });
        }
        Ok(Box::new(HeadAppender::new(self)))
    }
}

fn unavailable(error: &Error) -> StorageError {
    let reason = match error {
        error if error.is_disk_full() => "the disk is full: free space, or shorten the retention".to_owned(),
        Error::Io { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    };
    StorageError::Unavailable { reason }
}
