//! The store: opening, and what its parts share.

mod append;
mod delete;
mod encode;
mod flush;
mod maintain;
mod merge;
mod replay;
mod shrink;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use go_regex::CompiledMatcher;
use hashbrown::HashMap;
use log_storage_api::{
    AppendOutcome, LogBatch, LogReader, LogScan, LogStorageError, LogStore, ScanSink, ScanStats,
    SourcePosition, StreamStats,
};
use model::{TenantId, TimestampNs};
use parking_lot::{Condvar, Mutex, RwLock};
use resources::RequestContext;
use sys::{Clock, FileLock, Fs};
use wal::{ReplayReport, Wal, WalStats};

use crate::block::{BlockEncoders, BlockEnv};
use crate::checkpoint::Checkpoint;
use crate::deletes::EntryQueries;
use crate::error::{Result, io_error, wal_error};
use crate::options::{LimitsSource, LogStoreOptions, as_ns};
use crate::segment::SegmentId;
use crate::tenant::{Tenant, TenantEnv, tenant_dir};
pub use maintain::MaintainReport;

/// A log store in a directory of a file system.
#[derive(Debug)]
pub struct DiskLogStore {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: LogStoreOptions,
    limits: Arc<dyn LimitsSource>,
    dir: PathBuf,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    wal: Wal,
    /// Shared by appends (log and memory as one step) and by scans that take their snapshot; alone for moving entries from
    /// memory into segments, so that nobody sees them twice or not at all.
    gate: RwLock<()>,
    memory_bytes: AtomicU64,
    /// The part of them that waits to be encoded.
    raw_bytes: AtomicU64,
    /// Appends that wait for room, and what tells them that there may be some.
    waiting: Mutex<()>,
    has_room: Condvar,
    pub(crate) encoders: BlockEncoders,
    /// What all tenants share.
    env: TenantEnv,
    /// When the newest entry came, on the monotonic clock in ns.
    newest_arrival_ns: AtomicU64,
    /// When the oldest entry in memory came, on the monotonic clock in ns; `u64::MAX` where there is none.
    oldest_arrival_ns: AtomicU64,
    next_segment_id: AtomicU64,
    /// One thread at a time flushes, whatever else is done in the background: who waits for room does not wait for a merge.
    flush_job: Mutex<Option<flush::FlushJob>>,
    /// One thread at a time merges, expires and deletes. Taken before `flush_job` where both are.
    maintenance: Mutex<maintain::Maintenance>,
    pub(crate) counts: Counts,
    stopped: AtomicBool,
    _lock: Box<dyn FileLock>,
}

/// What the store counts while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) entries_stored: AtomicU64,
    pub(crate) entries_duplicate: AtomicU64,
    pub(crate) entries_rejected: AtomicU64,
    pub(crate) bytes_stored: AtomicU64,
    pub(crate) segments_damaged: AtomicU64,
    pub(crate) blocks_damaged: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_failures: AtomicU64,
    pub(crate) merges: AtomicU64,
    pub(crate) merge_failures: AtomicU64,
    pub(crate) segments_expired: AtomicU64,
}

/// What a store holds and has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStoreStats {
    /// Entries stored.
    pub entries_stored: u64,
    /// Entries that were there already.
    pub entries_duplicate: u64,
    /// Entries refused.
    pub entries_rejected: u64,
    /// Bytes of the lines stored.
    pub bytes_stored: u64,
    /// Streams with entries in memory.
    pub memory_streams: u64,
    /// Bytes of entries in memory.
    pub memory_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Their bytes on disk.
    pub segment_bytes: u64,
    /// Entries in them.
    pub segment_entries: u64,
    /// Bytes of lines in them.
    pub segment_line_bytes: u64,
    /// Segments that were set aside because they failed a check.
    pub segments_damaged: u64,
    /// Blocks that failed a check while they were read.
    pub blocks_damaged: u64,
    /// Flushes done.
    pub flushes: u64,
    /// Flushes that failed and are tried again.
    pub flush_failures: u64,
    /// Merges done.
    pub merges: u64,
    /// Merges that failed and are tried again.
    pub merge_failures: u64,
    /// Segments deleted because their time was over.
    pub segments_expired: u64,
    /// The write-ahead log.
    pub wal: WalStats,
}

/// What opening a store has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// What the write-ahead log had.
    pub wal: ReplayReport,
    /// Records of the log that could not be understood although their checksum fits.
    pub unknown_records: u64,
    /// Entries taken from the log into memory.
    pub entries_recovered: u64,
    /// Segments opened.
    pub segments: u64,
    /// Segments set aside because they failed a check.
    pub segments_damaged: u64,
    /// Whether the checkpoint was damaged: agents may deliver lines again that are stored.
    pub checkpoint_damaged: bool,
}

impl DiskLogStore {
    /// Opens the store in `dir`, created where missing: segments, then what the write-ahead log has beyond them.
    pub fn open(
        dir: &Path,
        options: LogStoreOptions,
        limits: Arc<dyn LimitsSource>,
        queries: Arc<dyn EntryQueries>,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OpenReport)> {
        fs.create_dir_durable(dir).map_err(|error| io_error("create", dir, error))?;
        let lock_path = dir.join("lock");
        let lock = fs.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => LogStorageError::Unavailable {
                reason: format!("{} is open in another process", dir.display()),
            },
            _ => io_error("lock", &lock_path, error),
        })?;
        let (checkpoint, checkpoint_damaged) = Checkpoint::read(&*fs, dir)?;
        let partition_ns = as_ns(options.partition).max(1);
        let env = TenantEnv { blocks: Arc::new(BlockEnv::new(options.cache_bytes)), queries };
        let mut report = OpenReport { checkpoint_damaged, ..OpenReport::default() };
        let (tenants, last_id) = open_tenants(&*fs, dir, &env, &mut report)?;
        let mut replay = replay::Replay::new(dir, tenants, checkpoint, partition_ns, &env);
        let (wal, wal_report) =
            Wal::open(Arc::clone(&fs), &dir.join("wal"), options.wal, &mut |seq, record| {
                replay.take(seq, record);
            })
            .map_err(|error| wal_error(&error))?;
        report.wal = wal_report;
        report.unknown_records = replay.unknown_records;
        report.entries_recovered = replay.entries;
        let oldest = if replay.entries > 0 { clock.monotonic().as_nanos() as u64 } else { u64::MAX };
        let store = Self {
            fs,
            clock,
            options,
            limits,
            dir: dir.to_owned(),
            tenants: RwLock::new(replay.tenants),
            wal,
            gate: RwLock::new(()),
            memory_bytes: AtomicU64::new(replay.bytes),
            raw_bytes: AtomicU64::new(replay.bytes),
            waiting: Mutex::default(),
            has_room: Condvar::new(),
            encoders: BlockEncoders::default(),
            env,
            newest_arrival_ns: AtomicU64::new(0),
            oldest_arrival_ns: AtomicU64::new(oldest),
            next_segment_id: AtomicU64::new(last_id + 1),
            flush_job: Mutex::default(),
            maintenance: Mutex::default(),
            counts: Counts::default(),
            stopped: AtomicBool::new(false),
            _lock: lock,
        };
        store.counts.segments_damaged.store(report.segments_damaged, Ordering::Relaxed);
        Ok((store, report))
    }

    /// Makes all acknowledged entries durable. To be called about once a second where the log's policy is deferred; it does
    /// not hold up appends.
    pub fn sync(&self) -> Result<()> {
        self.wal.sync().map_err(|error| wal_error(&error))
    }

    /// Refuses entries from now on, and writes those in memory to segments, so that the next start has nothing to read
    /// again. Reading goes on.
    pub fn stop(&self) -> Result<()> {
        self.stopped.store(true, Ordering::SeqCst);
        drop(self.gate.write());
        self.sync()?;
        self.flush()
    }

    /// What the store holds and has done.
    pub fn stats(&self) -> LogStoreStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        let mut stats = LogStoreStats {
            entries_stored: load(&counts.entries_stored),
            entries_duplicate: load(&counts.entries_duplicate),
            entries_rejected: load(&counts.entries_rejected),
            bytes_stored: load(&counts.bytes_stored),
            memory_bytes: load(&self.memory_bytes),
            segments_damaged: load(&counts.segments_damaged),
            blocks_damaged: load(&counts.blocks_damaged),
            flushes: load(&counts.flushes),
            flush_failures: load(&counts.flush_failures),
            merges: load(&counts.merges),
            merge_failures: load(&counts.merge_failures),
            segments_expired: load(&counts.segments_expired),
            wal: self.wal.stats(),
            ..LogStoreStats::default()
        };
        for tenant in self.all_tenants() {
            stats.memory_streams += tenant.streams.read().len() as u64;
            for segment in tenant.segments().iter() {
                stats.segments += 1;
                stats.segment_bytes += segment.len;
                let blocks = segment.streams.iter().flat_map(|stream| &stream.blocks);
                for block in blocks {
                    stats.segment_entries += block.meta.rows as u64;
                    stats.segment_line_bytes += block.meta.line_bytes;
                }
            }
        }
        stats
    }

    /// The tenants that have data, in order of name.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.all_tenants().iter().map(|tenant| tenant.id.clone()).collect()
    }

    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.read().get(id).cloned()
    }

    fn tenant_or_new(&self, id: &TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.tenant(id) {
            return tenant;
        }
        let mut tenants = self.tenants.write();
        let make = || Arc::new(Tenant::new(id.clone(), tenant_dir(&self.dir, id), &self.env));
        Arc::clone(tenants.entry(id.clone()).or_insert_with(make))
    }

    fn all_tenants(&self) -> Vec<Arc<Tenant>> {
        let mut tenants: Vec<_> = self.tenants.read().values().cloned().collect();
        tenants.sort_by(|a, b| a.id.cmp(&b.id));
        tenants
    }

    fn new_segment_id(&self) -> SegmentId {
        self.next_segment_id.fetch_add(1, Ordering::Relaxed)
    }

    fn partition_of(&self, timestamp: TimestampNs) -> i64 {
        timestamp.div_euclid(self.partition_ns())
    }

    fn partition_ns(&self) -> i64 {
        as_ns(self.options.partition).max(1)
    }

    /// Runs `work` while entries neither come nor move from memory to segments.
    pub(crate) fn with_stable_view<R>(&self, work: impl FnOnce() -> R) -> R {
        let _gate = self.gate.read();
        work()
    }
}

fn open_tenants(
    fs: &dyn Fs,
    dir: &Path,
    env: &TenantEnv,
    report: &mut OpenReport,
) -> Result<(HashMap<TenantId, Arc<Tenant>>, SegmentId)> {
    let root = dir.join("tenants");
    let mut tenants = HashMap::new();
    let mut last_id = 0;
    let entries = match fs.read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((tenants, last_id)),
        Err(error) => return Err(io_error("list", &root, error)),
    };
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let Some(id) = TenantId::parse(&entry.name) else { continue };
        let (tenant, findings) = Tenant::open(fs, id.clone(), tenant_dir(dir, &id), env)?;
        last_id = last_id.max(findings.last_id);
        report.segments += tenant.segments().len() as u64;
        report.segments_damaged += findings.damaged_segments;
        tenants.insert(id, Arc::new(tenant));
    }
    Ok((tenants, last_id))
}

impl LogReader for DiskLogStore {
    fn scan(
        &self,
        ctx: &RequestContext,
        scan: &LogScan,
        sink: &mut dyn ScanSink,
    ) -> std::result::Result<ScanStats, LogStorageError> {
        crate::scan::scan(self, ctx, scan, sink)
    }

    fn streams(
        &self,
        ctx: &RequestContext,
        selectors: &[Vec<CompiledMatcher>],
        start: TimestampNs,
        end: TimestampNs,
    ) -> std::result::Result<Vec<StreamStats>, LogStorageError> {
        crate::scan::streams(self, ctx, selectors, start, end)
    }
}

impl LogStore for DiskLogStore {
    fn append(
        &self,
        ctx: &RequestContext,
        batch: &LogBatch<'_>,
    ) -> std::result::Result<AppendOutcome, LogStorageError> {
        append::append(self, ctx, batch)
    }

    fn positions(
        &self,
        ctx: &RequestContext,
        prefix: &str,
    ) -> std::result::Result<Vec<SourcePosition>, LogStorageError> {
        ctx.check()?;
        Ok(self.tenant(&ctx.tenant).map_or_else(Vec::new, |tenant| tenant.positions.with_prefix(prefix)))
    }
}
