//! What a sender counts, under Prometheus' names.

use telemetry::{Counter, Family, FloatCounter, Gauge, Histogram, Registry};

const LABELS: [&str; 2] = ["remote_name", "url"];
const WITH_REASON: [&str; 3] = ["remote_name", "url", "reason"];

/// Families of all senders of a service.
#[derive(Clone, Debug)]
pub struct Metrics {
    total: [Family<Counter>; 4],
    failed: [Family<Counter>; 4],
    retried: [Family<Counter>; 4],
    pending: [Family<Gauge>; 3],
    dropped: [Family<Counter>; 3],
    bytes: Family<Counter>,
    metadata_bytes: Family<Counter>,
    enqueue_retries: Family<Counter>,
    gauges: [Family<Gauge>; 8],
    sent_seconds: Family<Histogram>,
    send_seconds_total: Family<FloatCounter>,
}

/// The families' members of one sender.
#[derive(Clone, Debug)]
pub(crate) struct SenderMetrics {
    /// Samples, histograms, exemplars, metadata.
    pub(crate) total: [Counter; 4],
    pub(crate) failed: [Counter; 4],
    pub(crate) retried: [Counter; 4],
    pub(crate) pending: [Gauge; 3],
    dropped: [Family<Counter>; 3],
    labels: [String; 2],
    pub(crate) bytes: Counter,
    pub(crate) metadata_bytes: Counter,
    pub(crate) enqueue_retries: Counter,
    pub(crate) shards: Gauge,
    pub(crate) shards_desired: Gauge,
    pub(crate) highest_queued: Gauge,
    pub(crate) highest_sent: Gauge,
    pub(crate) sent_seconds: Histogram,
    pub(crate) send_seconds_total: FloatCounter,
}

impl Metrics {
    /// Registers the families.
    pub fn register(registry: &Registry) -> Self {
        let counters = |what: &str, help: &str| {
            ["samples", "histograms", "exemplars", "metadata"].map(|kind| {
                let name = format!("prometheus_remote_storage_{kind}_{what}");
                registry.counter_family(&name, &format!("{kind} {help}."), &LABELS)
            })
        };
        let gauge = |name: &str, help: &str| {
            registry.gauge_family(&format!("prometheus_remote_storage_{name}"), help, &LABELS)
        };
        Self {
            total: counters("total", "sent"),
            failed: counters("failed_total", "that could not be sent and are not tried again"),
            retried: counters("retried_total", "sent again after an error that may pass"),
            pending: ["samples", "histograms", "exemplars"]
                .map(|kind| gauge(&format!("{kind}_pending"), "What waits to be sent.")),
            dropped: ["samples", "histograms", "exemplars"].map(|kind| {
                let name = format!("prometheus_remote_storage_{kind}_dropped_total");
                registry.counter_family(&name, "What was read and is not sent.", &WITH_REASON)
            }),
            bytes: registry.counter_family(
                "prometheus_remote_storage_bytes_total",
                "Bytes of samples sent, compressed.",
                &LABELS,
            ),
            metadata_bytes: registry.counter_family(
                "prometheus_remote_storage_metadata_bytes_total",
                "Bytes of metadata sent, compressed.",
                &LABELS,
            ),
            enqueue_retries: registry.counter_family(
                "prometheus_remote_storage_enqueue_retries_total",
                "How often a full queue made the reader of the log wait.",
                &LABELS,
            ),
            gauges: [
                gauge("shards", "Shards that send now."),
                gauge("shards_desired", "Shards that the load asks for."),
                gauge("queue_highest_timestamp_seconds", "The newest sample that was put into the queue."),
                gauge("queue_highest_sent_timestamp_seconds", "The newest sample that was sent."),
                gauge("shards_max", "The most shards."),
                gauge("shards_min", "The fewest shards."),
                gauge("shard_capacity", "Samples that a shard holds."),
                gauge("max_samples_per_send", "Samples in one request."),
            ],
            sent_seconds: registry.histogram_family(
                "prometheus_remote_storage_sent_batch_duration_seconds",
                "Time taken by requests.",
                &LABELS,
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0],
            ),
            send_seconds_total: registry.float_counter_family(
                "watchbell_remote_write_send_seconds_total",
                "Time spent on requests.",
                &LABELS,
            ),
        }
    }

    /// The members of the sender with this configuration.
    pub(crate) fn of(&self, config: &crate::RemoteWriteConfig) -> SenderMetrics {
        let labels = [config.name.clone(), ::config::mask_url_password(config.url.as_str())];
        let values: [&str; 2] = [&labels[0], &labels[1]];
        let queue = &config.queue;
        let fixed = [queue.max_shards, queue.min_shards, queue.capacity, queue.max_samples_per_send];
        for (gauge, value) in self.gauges[4..].iter().zip(fixed) {
            gauge.with(&values).set(value as f64);
        }
        let counters =
            |families: &[Family<Counter>; 4]| [0, 1, 2, 3].map(|idx: usize| families[idx].with(&values));
        SenderMetrics {
            total: counters(&self.total),
            failed: counters(&self.failed),
            retried: counters(&self.retried),
            pending: [0, 1, 2].map(|idx: usize| self.pending[idx].with(&values)),
            dropped: self.dropped.clone(),
            bytes: self.bytes.with(&values),
            metadata_bytes: self.metadata_bytes.with(&values),
            enqueue_retries: self.enqueue_retries.with(&values),
            shards: self.gauges[0].with(&values),
            shards_desired: self.gauges[1].with(&values),
            highest_queued: self.gauges[2].with(&values),
            highest_sent: self.gauges[3].with(&values),
            sent_seconds: self.sent_seconds.with(&values),
            send_seconds_total: self.send_seconds_total.with(&values),
            labels,
        }
    }
}

impl SenderMetrics {
    /// Counts what is not sent: 0 for samples, 1 for histograms, 2 for exemplars.
    pub(crate) fn drop(&self, kind: usize, reason: &str, count: u64) {
        self.dropped[kind].with(&[&self.labels[0], &self.labels[1], reason]).add(count);
    }
}
