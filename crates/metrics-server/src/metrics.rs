//! The server's own metrics, under Prometheus' names.

mod store;

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

pub(crate) use store::collect_store;

/// The version of Prometheus whose surface this server has: what clients look at to find out what it can do.
pub(crate) const PROMETHEUS_VERSION: &str = "3.14.0";

/// Handles to the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) ready: Gauge,
    pub(crate) reload_ok: Gauge,
    pub(crate) reload_time: Gauge,
    pub(crate) query_duration: Family<Histogram>,
    pub(crate) queries: Gauge,
    pub(crate) query_samples: Counter,
    pub(crate) remote_reads: Gauge,
    pub(crate) query_log: Gauge,
    pub(crate) query_log_failures: Counter,
    pub(crate) otlp_warnings: Family<Counter>,
    pub(crate) write_invalid_labels: Counter,
    pub(crate) federation_errors: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry, query_slots: usize) -> Self {
        let revision = concat!("watchbell-", env!("CARGO_PKG_VERSION"));
        registry.info(
            "prometheus_build_info",
            "What this program is.",
            &[("version", PROMETHEUS_VERSION), ("revision", revision), ("branch", "main"), ("goversion", "")],
        );
        registry
            .gauge("prometheus_engine_queries_concurrent_max", "The most queries at a time.")
            .set(query_slots as f64);
        registry.process_metrics();
        let bounds = [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        Self {
            ready: registry.gauge("prometheus_ready", "Whether the server takes requests."),
            reload_ok: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last attempt to load the configuration succeeded.",
            ),
            reload_time: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "When the configuration was loaded last.",
            ),
            query_duration: registry.histogram_family(
                "prometheus_engine_query_duration_histogram_seconds",
                "Time taken by queries.",
                &["slice"],
                &bounds,
            ),
            queries: registry.gauge("prometheus_engine_queries", "Queries that run or wait."),
            query_samples: registry
                .counter("prometheus_engine_query_samples_total", "Samples looked at by queries."),
            otlp_warnings: registry.counter_family(
                "prometheus_api_otlp_translation_warnings_total",
                "What was noted while metrics of OpenTelemetry were translated.",
                &["category"],
            ),
            remote_reads: registry
                .gauge("prometheus_remote_read_handler_queries", "Remote reads that run or wait."),
            query_log: registry.gauge("prometheus_engine_query_log_enabled", "Whether queries are logged."),
            query_log_failures: registry.counter(
                "prometheus_engine_query_log_failures_total",
                "Lines of the query log that could not be written.",
            ),
            write_invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "Samples of remote write that were left out because of invalid labels.",
            ),
            federation_errors: registry
                .counter("prometheus_web_federation_errors_total", "Federation requests that failed."),
        }
    }
}
