//! What the service counts, under the original's names.

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// Metrics of ingestion and queries.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) received_bytes: Family<Counter>,
    pub(crate) received_lines: Family<Counter>,
    pub(crate) discarded_samples: Family<Counter>,
    pub(crate) tails: Gauge,
    pub(crate) query_seconds: Family<Histogram>,
    pub(crate) query_bytes: Counter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let bounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        Self {
            received_bytes: registry.counter_family(
                "loki_distributor_bytes_received_total",
                "Bytes of lines and structured metadata received.",
                &["tenant"],
            ),
            received_lines: registry.counter_family(
                "loki_distributor_lines_received_total",
                "Lines received.",
                &["tenant"],
            ),
            discarded_samples: registry.counter_family(
                "loki_discarded_samples_total",
                "Lines refused, by reason.",
                &["reason", "tenant"],
            ),
            tails: registry.gauge("loki_querier_tail_active", "Tails that are open."),
            query_seconds: registry.histogram_family(
                "loki_logql_querystats_latency_seconds",
                "How long queries took.",
                &["type"],
                &bounds,
            ),
            query_bytes: registry.counter(
                "loki_logql_querystats_bytes_processed_total",
                "Bytes of lines that queries were answered from.",
            ),
        }
    }
}
