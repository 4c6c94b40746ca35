//! What the store knows of itself, under Prometheus' names.

use std::sync::{Arc, OnceLock};

use telemetry::{Collector, Kind, Registry};

use super::Metrics;

/// Shows the store's counters and sizes once it is open.
pub(crate) fn collect_store(registry: &Registry, db: Arc<OnceLock<Arc<tsdb::Db>>>, metrics: &Metrics) {
    let ready = metrics.ready.clone();
    registry.collector(move |collector| {
        if let Some(db) = db.get() {
            ready.set(1.0);
            let stats = db.stats(0);
            gauges(collector, &stats);
            counters(collector, db);
            let newest =
                if stats.head_max_time == i64::MIN { 0.0 } else { stats.head_max_time as f64 / 1000.0 };
            let name = "prometheus_remote_storage_highest_timestamp_in_seconds";
            collector.gauge(name, "The newest sample that came into the store.", &[], newest);
        }
    });
}

fn gauges(collector: &mut Collector, stats: &tsdb::DbStats) {
    let mut gauge = |name: &str, help: &str, value: f64| {
        collector.gauge(&format!("prometheus_tsdb_{name}"), help, &[], value);
    };
    let time = |time: i64| if time == i64::MIN || time == i64::MAX { 0.0 } else { time as f64 };
    gauge("head_series", "Series in the head.", stats.head_series as f64);
    gauge("head_stale_series", "Series in the head that are stale.", stats.head_stale_series as f64);
    gauge("head_native_histogram_series", "Series of native histograms.", stats.head_histogram_series as f64);
    gauge("head_chunks", "Chunks in the head.", stats.head_chunks as f64);
    gauge("head_min_time", "The head's oldest sample, in ms.", time(stats.head_min_time));
    gauge("head_max_time", "The head's newest sample, in ms.", time(stats.head_max_time));
    gauge("head_min_time_seconds", "The head's oldest sample, in s.", time(stats.head_min_time) / 1000.0);
    gauge("head_max_time_seconds", "The head's newest sample, in s.", time(stats.head_max_time) / 1000.0);
    gauge("head_active_appenders", "Batches being written.", stats.active_appenders as f64);
    gauge("head_chunks_storage_size_bytes", "Size of the head's chunk files.", stats.head_chunk_bytes as f64);
    gauge("symbol_table_size_bytes", "Size of all label names and values.", stats.symbol_bytes as f64);
    gauge("lowest_timestamp", "The oldest sample, in ms.", time(stats.lowest_time));
    gauge("lowest_timestamp_seconds", "The oldest sample, in s.", time(stats.lowest_time) / 1000.0);
    gauge("blocks_loaded", "Blocks in use.", stats.blocks as f64);
    gauge("storage_blocks_bytes", "Size of all blocks.", stats.block_bytes as f64);
    gauge("wal_storage_size_bytes", "Size of the log.", stats.wal_bytes as f64);
    gauge("wal_segment_current", "The segment of the log being written.", stats.wal_segment as f64);
    gauge("exemplar_exemplars_in_storage", "Exemplars kept.", stats.exemplars as f64);
    gauge(
        "exemplar_series_with_exemplars_in_storage",
        "Series with exemplars.",
        stats.exemplar_series as f64,
    );
    gauge("exemplar_max_exemplars", "The most exemplars kept.", stats.exemplars_max as f64);
    gauge(
        "data_replay_duration_seconds",
        "Time taken by the replay of the log.",
        stats.replay_ms as f64 / 1000.0,
    );
    gauge("clean_start", "Whether the last stop was in order.", f64::from(u8::from(stats.clean_start)));
}

/// The store's counters by field, Prometheus' name for each, and what it says.
const COUNTERS: [(&str, &str, &str); 30] = [
    ("out_of_order_samples_appended", "head_out_of_order_samples_appended_total", "Late samples stored."),
    ("out_of_order_samples", "out_of_order_samples_total", "Samples refused as out of order."),
    ("out_of_bound_samples", "out_of_bound_samples_total", "Samples refused as out of bounds."),
    ("too_old_samples", "too_old_samples_total", "Samples refused as too old."),
    ("duplicate_samples", "duplicate_samples_total", "Samples refused as duplicates with another value."),
    ("limited_series", "limited_series_total", "Series refused by a limit."),
    ("series_created", "head_series_created_total", "Series created in the head."),
    ("series_removed", "head_series_removed_total", "Series removed from the head."),
    ("series_not_found", "head_series_not_found_total", "References to series that are not there."),
    ("chunks_created", "head_chunks_created_total", "Chunks created in the head."),
    ("chunks_removed", "head_chunks_removed_total", "Chunks removed from the head."),
    ("head_truncations", "head_truncations_total", "Truncations of the head."),
    ("head_truncations_failed", "head_truncations_failed_total", "Truncations of the head that failed."),
    ("compactions", "compactions_total", "Compactions."),
    ("compactions_failed", "compactions_failed_total", "Compactions that failed."),
    ("vertical_compactions", "vertical_compactions_total", "Compactions of overlapping blocks."),
    ("reloads", "reloads_total", "Times that blocks were looked for."),
    ("reloads_failed", "reloads_failures_total", "Times that looking for blocks failed."),
    ("time_retentions", "time_retentions_total", "Blocks deleted because of their age."),
    ("size_retentions", "size_retentions_total", "Blocks deleted because of the size of all."),
    ("checkpoint_creations", "checkpoint_creations_total", "Checkpoints written."),
    (
        "checkpoint_creations_failed",
        "checkpoint_creations_failed_total",
        "Checkpoints that could not be written.",
    ),
    ("checkpoint_deletions", "checkpoint_deletions_total", "Checkpoints deleted."),
    ("wal_truncations", "wal_truncations_total", "Truncations of the log."),
    ("wal_truncations_failed", "wal_truncations_failed_total", "Truncations of the log that failed."),
    ("wal_writes_failed", "wal_writes_failed_total", "Writes to the log that failed."),
    ("wal_corruptions", "wal_corruptions_total", "Damaged places found in the log."),
    (
        "head_chunk_corruptions",
        "mmap_chunk_corruptions_total",
        "Damaged places found in the head's chunk files.",
    ),
    ("exemplars_appended", "exemplar_exemplars_appended_total", "Exemplars stored."),
    ("replay_unknown_refs", "wal_replay_unknown_refs_total", "Samples of the log whose series is not known."),
];

fn counters(collector: &mut Collector, db: &tsdb::Db) {
    let values: std::collections::HashMap<&str, u64> = db.counters().values().into_iter().collect();
    let value = |field: &str| values.get(field).copied().unwrap_or(0) as f64;
    for (kind, field) in [("float", "float_samples_appended"), ("histogram", "histogram_samples_appended")] {
        let name = "prometheus_tsdb_head_samples_appended_total";
        collector.sample(
            name,
            "Samples stored.",
            Kind::Counter,
            &[("type", kind)],
            telemetry::Sample::Number(value(field)),
        );
    }
    for (kind, field) in [
        ("samples", "float_samples_appended"),
        ("histograms", "histogram_samples_appended"),
        ("exemplars", "exemplars_appended"),
    ] {
        let name = format!("prometheus_remote_storage_{kind}_in_total");
        collector.counter(&name, "What came into the store and may be sent on.", &[], value(field));
    }
    for (field, name, help) in COUNTERS {
        collector.counter(&format!("prometheus_tsdb_{name}"), help, &[], value(field));
    }
}
