//! The store's options, and the tasks that drive it.

use std::sync::Arc;
use std::time::Duration;

use tsdb::{Db, DbOptions, SyncPolicy};

use crate::config::Config;
use crate::flags::Flags;
use crate::state::State;

const DEFAULT_RETENTION_MS: i64 = 15 * 86_400_000;
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
const SYNC_CHECK: Duration = Duration::from_millis(250);
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// What flags and configuration say of the store. The configuration wins.
pub(super) fn db_options(flags: &Flags, config: &Config) -> DbOptions {
    let (retention_ms, retention_bytes) = retention(flags, config);
    DbOptions {
        min_block_duration_ms: flags.min_block_duration_ms,
        max_block_duration_ms: flags.max_block_duration_ms,
        retention_ms,
        retention_bytes,
        out_of_order_window_ms: config.storage.out_of_order_window_ms,
        sync: match flags.sync.as_str() {
            "always" => SyncPolicy::Always,
            _ => SyncPolicy::AfterWrite { interval: SYNC_INTERVAL },
        },
        wal_segment_bytes: flags.wal_segment_size.0,
        wal_compression: flags.wal_compression,
        exemplars_max: if flags.has_feature("exemplar-storage") {
            config.storage.exemplars_max.unwrap_or(100_000)
        } else {
            0
        },
        no_lock_file: flags.no_lockfile,
        ..DbOptions::default()
    }
}

/// How long and how much is kept; 0 is no bound.
pub(crate) fn retention(flags: &Flags, config: &Config) -> (i64, u64) {
    let bytes = config.storage.retention_size.unwrap_or(flags.retention_size).0;
    let time = config.storage.retention_time_ms.or(flags.retention_time_ms);
    let default = if bytes == 0 { DEFAULT_RETENTION_MS } else { 0 };
    (time.filter(|ms| *ms > 0).unwrap_or(default), bytes)
}

/// Starts what the store needs done from outside.
pub(super) fn start(state: &Arc<State>, db: &Arc<Db>) {
    spawn(state, db, "store sync", SYNC_CHECK, Db::sync_if_due);
    spawn(state, db, "store maintenance", MAINTENANCE_INTERVAL, Db::maintain);
}

fn spawn(
    state: &Arc<State>,
    db: &Arc<Db>,
    name: &'static str,
    interval: Duration,
    step: fn(&Db) -> tsdb::Result<()>,
) {
    let (stopping, db) = (state.lifecycle.stopping().clone(), Arc::clone(db));
    state.lifecycle.spawn(name, async move {
        let mut failed = false;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let db = Arc::clone(&db);
            let done = tokio::task::spawn_blocking(move || step(&db)).await;
            let error = match done {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(service::error_chain(&error)),
                Err(error) => Some(error.to_string()),
            };
            // An error that lasts is told once.
            if let Some(error) = &error
                && !failed
            {
                tracing::error!(step = name, error, "background work on the store failed");
            }
            failed = error.is_some();
        }
    });
}
