//! What a database counts of itself. The service renders it under Prometheus' names.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since the start, shared with whoever renders them.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Every counter's field name and value, in order of declaration.
            pub fn values(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// `prometheus_tsdb_head_samples_appended_total{type="float"}`
    float_samples_appended,
    /// `prometheus_tsdb_head_samples_appended_total{type="histogram"}`
    histogram_samples_appended,
    /// `prometheus_tsdb_head_out_of_order_samples_appended_total`
    out_of_order_samples_appended,
    /// `prometheus_tsdb_out_of_order_samples_total`: refused.
    out_of_order_samples,
    /// `prometheus_tsdb_out_of_bound_samples_total`
    out_of_bound_samples,
    /// `prometheus_tsdb_too_old_samples_total`
    too_old_samples,
    /// Samples refused because their timestamp had another value.
    duplicate_samples,
    /// Series refused by a limit.
    limited_series,
    /// `prometheus_tsdb_head_series_created_total`
    series_created,
    /// `prometheus_tsdb_head_series_removed_total`
    series_removed,
    /// `prometheus_tsdb_head_series_not_found_total`
    series_not_found,
    /// `prometheus_tsdb_head_chunks_created_total`
    chunks_created,
    /// `prometheus_tsdb_head_chunks_removed_total`
    chunks_removed,
    /// `prometheus_tsdb_head_truncations_total`
    head_truncations,
    /// `prometheus_tsdb_head_truncations_failed_total`
    head_truncations_failed,
    /// `prometheus_tsdb_compactions_total`
    compactions,
    /// `prometheus_tsdb_compactions_failed_total`
    compactions_failed,
    /// `prometheus_tsdb_vertical_compactions_total`
    vertical_compactions,
    /// `prometheus_tsdb_reloads_total`
    reloads,
    /// `prometheus_tsdb_reloads_failures_total`
    reloads_failed,
    /// `prometheus_tsdb_time_retentions_total`
    time_retentions,
    /// `prometheus_tsdb_size_retentions_total`
    size_retentions,
    /// `prometheus_tsdb_checkpoint_creations_total`
    checkpoint_creations,
    /// `prometheus_tsdb_checkpoint_creations_failed_total`
    checkpoint_creations_failed,
    /// `prometheus_tsdb_checkpoint_deletions_total`
    checkpoint_deletions,
    /// `prometheus_tsdb_wal_truncations_total`
    wal_truncations,
    /// `prometheus_tsdb_wal_truncations_failed_total`
    wal_truncations_failed,
    /// `prometheus_tsdb_wal_writes_failed_total`
    wal_writes_failed,
    /// Syncs of the WAL.
    wal_syncs,
    /// Syncs of the WAL that failed.
    wal_syncs_failed,
    /// `prometheus_tsdb_wal_corruptions_total`
    wal_corruptions,
    /// `prometheus_tsdb_mmap_chunk_corruptions_total`
    head_chunk_corruptions,
    /// Writes of head chunks that failed; they are tried again.
    head_chunk_writes_failed,
    /// Blocks that could not be opened or read.
    block_corruptions,
    /// `prometheus_tsdb_exemplar_exemplars_appended_total`
    exemplars_appended,
    /// `prometheus_tsdb_exemplar_out_of_order_exemplars_total`
    exemplars_out_of_order,
    /// Samples that a replay could not attribute to a series.
    replay_unknown_refs,
}

pub(crate) trait Count {
    fn add(&self, amount: u64);
}

impl Count for AtomicU64 {
    fn add(&self, amount: u64) {
        self.fetch_add(amount, Ordering::Relaxed);
    }
}

/// How far a replay has come; readable while [`crate::Db::open`] runs.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    /// The first segment.
    pub min: AtomicI64,
    /// The last segment.
    pub max: AtomicI64,
    /// The segment being read.
    pub current: AtomicI64,
}
