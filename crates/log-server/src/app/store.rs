//! The store: opening, background work, metrics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log_store::{DiskLogStore, LogStoreOptions, LogStoreStats, SyncPolicy};
use service::{Failure, Lifecycle};
use sys::{Clock, Fs};
use telemetry::Registry;
use tokio::time::MissedTickBehavior;

use crate::entry_queries::LogqlEntryQueries;
use crate::tenants::TenantLimits;

/// How often acknowledged lines are synced.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// How often background work is looked for.
const MAINTAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often memory is looked after.
const MEMORY_INTERVAL: Duration = Duration::from_millis(500);

/// What opening a store needs.
pub(super) struct Opening {
    pub(super) dir: PathBuf,
    pub(super) foreign_dirs: Vec<PathBuf>,
    pub(super) flush_age: Option<Duration>,
    pub(super) syncs_always: bool,
    pub(super) disk_bytes_max: Option<u64>,
    pub(super) limits: Arc<TenantLimits>,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Opening {
    /// Opens the store. Blocks.
    pub(super) fn open(self) -> Result<DiskLogStore, Failure> {
        service::check_data_directory(&self.dir, "--storage.path")?;
        for dir in &self.foreign_dirs {
            let has_files = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
            if has_files {
                tracing::warn!(directory = %dir.display(), "data of another system are left as they are");
            }
        }
        let mut options = LogStoreOptions::default();
        if let Some(age) = self.flush_age.filter(|age| !age.is_zero()) {
            options.flush_age = age;
        }
        if self.syncs_always {
            options.wal.sync = SyncPolicy::Always;
        }
        options.disk_bytes_max = self.disk_bytes_max;
        let queries = Arc::new(LogqlEntryQueries);
        let started = self.clock.monotonic();
        let (store, report) =
            DiskLogStore::open(&self.dir, options, self.limits, queries, self.fs, Arc::clone(&self.clock))
                .map_err(Failure::runtime)?;
        let took_ms = self.clock.monotonic().saturating_sub(started).as_millis() as u64;
        tracing::info!(
            directory = %self.dir.display(),
            segments = report.segments,
            entries_recovered = report.entries_recovered,
            took_ms,
            "store open"
        );
        if report.segments_damaged > 0 || report.unknown_records > 0 || report.checkpoint_damaged {
            tracing::error!(
                segments_damaged = report.segments_damaged,
                unknown_records = report.unknown_records,
                checkpoint_damaged = report.checkpoint_damaged,
                "damaged data were set aside"
            );
        }
        Ok(store)
    }
}

/// Starts the tasks that sync, flush, merge and expire: the first two apart, as they must not wait for the others.
pub(super) fn spawn_tasks(lifecycle: &Lifecycle, store: &Arc<DiskLogStore>) {
    let sync = Arc::clone(store);
    spawn_periodic(lifecycle, "log store sync", SYNC_INTERVAL, move || {
        if let Err(error) = sync.sync() {
            tracing::error!(error = service::error_chain(&error), "lines could not be synced");
        }
        false
    });
    let memory = Arc::clone(store);
    spawn_periodic(lifecycle, "log store memory", MEMORY_INTERVAL, move || {
        if let Err(error) = memory.maintain_memory() {
            tracing::error!(error = service::error_chain(&error), "lines could not be written to segments");
        }
        false
    });
    let maintain = Arc::clone(store);
    spawn_periodic(lifecycle, "log store maintenance", MAINTAIN_INTERVAL, move || {
        match maintain.maintain() {
            Ok(report) => report.more,
            Err(error) => {
                tracing::error!(error = service::error_chain(&error), "background work on the store failed");
                false
            }
        }
    });
}

/// Runs blocking work each `interval`, again at once while it says that there is more.
fn spawn_periodic(
    lifecycle: &Lifecycle,
    name: &'static str,
    interval: Duration,
    work: impl Fn() -> bool + Send + Sync + 'static,
) {
    let stopping = lifecycle.stopping().clone();
    let work = Arc::new(work);
    lifecycle.spawn(name, async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            loop {
                let round = Arc::clone(&work);
                let more = tokio::task::spawn_blocking(move || round()).await.unwrap_or(false);
                if !more || stopping.is_cancelled() {
                    break;
                }
            }
        }
    });
}

/// Shows what the store holds.
pub(super) fn register_metrics(registry: &Registry, store: &Arc<DiskLogStore>) {
    type Read = fn(&LogStoreStats) -> u64;
    let gauges: [(&str, &str, Read); 6] = [
        ("loki_ingester_memory_streams", "Streams with entries in memory.", |stats| stats.memory_streams),
        ("log_store_memory_bytes", "Bytes of entries in memory.", |stats| stats.memory_bytes),
        ("log_store_segments", "Segments.", |stats| stats.segments),
        ("log_store_segment_bytes", "Bytes of segments on disk.", |stats| stats.segment_bytes),
        ("log_store_segment_entries", "Entries in segments.", |stats| stats.segment_entries),
        ("log_store_segment_line_bytes", "Bytes of lines in segments.", |stats| stats.segment_line_bytes),
    ];
    for (name, help, read) in gauges {
        let store = Arc::clone(store);
        registry.gauge_fn(name, help, move || read(&store.stats()) as f64);
    }
    let counters: [(&str, &str, Read); 9] = [
        ("log_store_entries_stored_total", "Entries stored.", |stats| stats.entries_stored),
        ("log_store_entries_duplicate_total", "Entries that were there already.", |stats| {
            stats.entries_duplicate
        }),
        ("log_store_entries_rejected_total", "Entries refused.", |stats| stats.entries_rejected),
        ("log_store_bytes_stored_total", "Bytes of lines stored.", |stats| stats.bytes_stored),
        ("log_store_flushes_total", "Flushes to segments.", |stats| stats.flushes),
        ("log_store_flush_failures_total", "Flushes that failed.", |stats| stats.flush_failures),
        ("log_store_merges_total", "Merges of segments.", |stats| stats.merges),
        ("log_store_segments_expired_total", "Segments deleted by retention.", |stats| {
            stats.segments_expired
        }),
        ("log_store_damaged_total", "Segments and blocks that failed a check.", |stats| {
            stats.segments_damaged + stats.blocks_damaged
        }),
    ];
    for (name, help, read) in counters {
        let store = Arc::clone(store);
        registry.counter_fn(name, help, move || read(&store.stats()) as f64);
    }
}
