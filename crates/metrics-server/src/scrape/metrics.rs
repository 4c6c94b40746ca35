//! What scraping counts, under Prometheus' names.

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// Handles to the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) interval_length: Family<Histogram>,
    pub(crate) duration: Histogram,
    /// How long after its place in the schedule a scrape has begun.
    pub(crate) delay: Histogram,
    pub(crate) pools: Counter,
    pub(crate) pools_failed: Counter,
    pub(crate) pool_targets: Family<Gauge>,
    pub(crate) pool_syncs: Family<Counter>,
    pub(crate) exceeded_targets: Counter,
    pub(crate) exceeded_labels: Counter,
    pub(crate) exceeded_samples: Counter,
    pub(crate) exceeded_body: Counter,
    pub(crate) exceeded_buckets: Counter,
    pub(crate) duplicate_timestamps: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) exemplars_out_of_order: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(&format!("prometheus_target_{name}"), help);
        let bounds = [0.001, 0.01, 0.1, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        Self {
            interval_length: registry.histogram_family(
                "prometheus_target_interval_length_histogram_seconds",
                "Actual intervals between scrapes.",
                &["interval"],
                &bounds,
            ),
            duration: registry.histogram(
                "prometheus_target_scrape_duration_seconds",
                "Time taken by scrapes.",
                &bounds,
            ),
            delay: registry.histogram(
                "watchbell_scrape_start_delay_seconds",
                "How long after their place in the schedule scrapes have begun.",
                &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0],
            ),
            pools: counter("scrape_pools_total", "Scrape pools that were to be created."),
            pools_failed: counter("scrape_pools_failed_total", "Scrape pools that could not be created."),
            pool_targets: registry.gauge_family(
                "prometheus_target_scrape_pool_targets",
                "Targets of a scrape pool.",
                &["scrape_job"],
            ),
            pool_syncs: registry.counter_family(
                "prometheus_target_scrape_pool_sync_total",
                "Changes of targets taken over by a scrape pool.",
                &["scrape_job"],
            ),
            exceeded_targets: counter(
                "scrape_pool_exceeded_target_limit_total",
                "Scrape pools with more targets than their limit.",
            ),
            exceeded_labels: counter(
                "scrape_pool_exceeded_label_limits_total",
                "Scrapes with more or longer labels than allowed.",
            ),
            exceeded_samples: counter(
                "scrapes_exceeded_sample_limit_total",
                "Scrapes with more samples than allowed.",
            ),
            exceeded_body: counter(
                "scrapes_exceeded_body_size_limit_total",
                "Scrapes with too large bodies.",
            ),
            exceeded_buckets: counter(
                "scrapes_exceeded_native_histogram_bucket_limit_total",
                "Scrapes with a native histogram of too many buckets.",
            ),
            duplicate_timestamps: counter(
                "scrapes_sample_duplicate_timestamp_total",
                "Samples refused because their timestamp had another value.",
            ),
            out_of_order: counter("scrapes_sample_out_of_order_total", "Samples refused as out of order."),
            out_of_bounds: counter("scrapes_sample_out_of_bounds_total", "Samples refused as out of bounds."),
            exemplars_out_of_order: counter(
                "scrapes_exemplar_out_of_order_total",
                "Exemplars refused as out of order.",
            ),
        }
    }
}
