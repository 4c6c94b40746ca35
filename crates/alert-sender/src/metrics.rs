//! What the sender counts, under Prometheus' names.

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// Handles to the metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) latency: Family<Histogram>,
    pub(crate) errors: Family<Counter>,
    pub(crate) sent: Family<Counter>,
    pub(crate) dropped: Family<Counter>,
    pub(crate) queue_length: Family<Gauge>,
    pub(crate) queue_capacity: Gauge,
    pub(crate) discovered: Gauge,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> Self {
        let labels = &["alertmanager"];
        let bounds = [0.01, 0.1, 1.0, 10.0];
        Self {
            latency: registry.histogram_family(
                "prometheus_notifications_latency_histogram_seconds",
                "Time taken to send alerts.",
                labels,
                &bounds,
            ),
            errors: registry.counter_family(
                "prometheus_notifications_errors_total",
                "Alerts in requests that failed.",
                labels,
            ),
            sent: registry.counter_family("prometheus_notifications_sent_total", "Alerts sent.", labels),
            dropped: registry.counter_family(
                "prometheus_notifications_dropped_total",
                "Alerts dropped because a queue was full or a request failed.",
                labels,
            ),
            queue_length: registry.gauge_family(
                "prometheus_notifications_queue_length",
                "Alerts waiting to be sent.",
                labels,
            ),
            queue_capacity: registry
                .gauge("prometheus_notifications_queue_capacity", "The most alerts that a queue holds."),
            discovered: registry
                .gauge("prometheus_notifications_alertmanagers_discovered", "Alertmanagers that are known."),
        }
    }
}
