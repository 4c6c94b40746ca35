//! Metrics of what is kept: silences and the notification log.

use std::time::Duration;

use telemetry::{Counter, Gauge, Histogram, Registry};

/// Seconds that maintenance takes.
const UPKEEP_BOUNDS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0];
/// Seconds that queries take.
const QUERY_BOUNDS: [f64; 6] = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0];

/// Of one store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    maintenance: Counter,
    maintenance_errors: Counter,
    gc_errors: Option<Counter>,
    gc_took: Histogram,
    snapshot_took: Histogram,
    snapshot_bytes: Gauge,
}

/// How a run of the maintenance went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Upkeep {
    /// How long it took to forget what is old.
    pub(crate) gc: Duration,
    /// How long it took to write the export, and how large it is.
    pub(crate) snapshot: Duration,
    pub(crate) snapshot_bytes: Option<u64>,
}

impl StoreMetrics {
    /// Of the silences.
    pub(super) fn of_silences(registry: &Registry) -> Self {
        let mut metrics = Self::register(registry, "silences", "silences");
        let help = "Attempts to forget old silences that failed.";
        metrics.gc_errors = Some(registry.counter("alertmanager_silences_gc_errors_total", help));
        metrics
    }

    /// Of the notification log.
    pub(super) fn of_log(registry: &Registry) -> Self {
        Self::register(registry, "nflog", "notification log")
    }

    fn register(registry: &Registry, name: &str, what: &str) -> Self {
        let counter =
            |unit: &str, help: String| registry.counter(&format!("alertmanager_{name}_{unit}"), &help);
        let seconds = |unit: &str, help: String| {
            registry.histogram(&format!("alertmanager_{name}_{unit}_duration_seconds"), &help, &UPKEEP_BOUNDS)
        };
        Self {
            maintenance: counter("maintenance_total", format!("Maintenance runs of the {what}.")),
            maintenance_errors: counter(
                "maintenance_errors_total",
                format!("Maintenance runs of the {what} that failed."),
            ),
            gc_errors: None,
            gc_took: seconds("gc", format!("How long it took to forget what is old of the {what}.")),
            snapshot_took: seconds("snapshot", format!("How long it took to export the {what}.")),
            snapshot_bytes: registry.gauge(
                &format!("alertmanager_{name}_snapshot_size_bytes"),
                &format!("Bytes of the last export, which the {what} is a part of."),
            ),
        }
    }

    /// A run that worked.
    pub(crate) fn maintained(&self, upkeep: Upkeep) {
        self.maintenance.inc();
        self.gc_took.observe_duration(upkeep.gc);
        self.snapshot_took.observe_duration(upkeep.snapshot);
        if let Some(bytes) = upkeep.snapshot_bytes {
            self.snapshot_bytes.set(bytes as f64);
        }
    }

    /// A run that failed.
    pub(crate) fn failed(&self) {
        self.maintenance.inc();
        self.maintenance_errors.inc();
        self.gc_errors.iter().for_each(Counter::inc);
    }

    /// Something could not be stored.
    pub(crate) fn not_stored(&self) {
        self.maintenance_errors.inc();
    }
}

/// Queries of silences by the API.
#[derive(Clone, Debug)]
pub(crate) struct QueryMetrics {
    queries: Counter,
    errors: Counter,
    took: Histogram,
    scanned: Counter,
    skipped: Counter,
}

impl QueryMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let counter =
            |unit: &str, help: &str| registry.counter(&format!("alertmanager_silences_{unit}"), help);
        Self {
            queries: counter("queries_total", "Queries of silences."),
            errors: counter("query_errors_total", "Queries of silences that were refused."),
            took: registry.histogram(
                "alertmanager_silences_query_duration_seconds",
                "How long queries of silences took.",
                &QUERY_BOUNDS,
            ),
            scanned: counter("query_silences_scanned_total", "Silences that queries have looked at."),
            skipped: counter(
                "query_silences_skipped_total",
                "Silences that queries have left out by their state, without a look at their matchers.",
            ),
        }
    }

    /// A query that was answered.
    pub(crate) fn answered(&self, took: Duration, scanned: usize, skipped: usize) {
        self.queries.inc();
        self.took.observe_duration(took);
        self.scanned.add(scanned as u64);
        self.skipped.add(skipped as u64);
    }

    /// A query that was not understood.
    pub(crate) fn refused(&self) {
        self.queries.inc();
        self.errors.inc();
    }
}
