//! What discoveries count, under Prometheus' names.

use telemetry::{Counter, Family, Gauge, Registry};

/// Handles to the metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) discovered_targets: Family<Gauge>,
    pub(crate) received_updates: Family<Counter>,
    pub(crate) refresh_failures: Family<Counter>,
    pub(crate) file_read_errors: Counter,
    pub(crate) http_failures: Counter,
    pub(crate) dns_lookups: Counter,
    pub(crate) dns_failures: Counter,
    pub(crate) consul_failures: Counter,
    pub(crate) kubernetes_failures: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> Self {
        Self {
            discovered_targets: registry.gauge_family(
                "prometheus_sd_discovered_targets",
                "Targets that are discovered now.",
                &["name", "config"],
            ),
            received_updates: registry.counter_family(
                "prometheus_sd_received_updates_total",
                "Changes received from discoveries.",
                &["name"],
            ),
            refresh_failures: registry.counter_family(
                "prometheus_sd_refresh_failures_total",
                "Refreshes that failed.",
                &["mechanism"],
            ),
            file_read_errors: registry
                .counter("prometheus_sd_file_read_errors_total", "Files of targets that could not be read."),
            dns_lookups: registry.counter("prometheus_sd_dns_lookups_total", "DNS look-ups."),
            dns_failures: registry
                .counter("prometheus_sd_dns_lookup_failures_total", "DNS look-ups that failed."),
            consul_failures: registry
                .counter("prometheus_sd_consul_rpc_failures_total", "Requests to Consul that failed."),
            kubernetes_failures: registry
                .counter("prometheus_sd_kubernetes_failures_total", "Requests to Kubernetes that failed."),
            http_failures: registry
                .counter("prometheus_sd_http_failures_total", "HTTP discovery requests that failed."),
        }
    }
}
