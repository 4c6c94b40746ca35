//! Metrics registry and its text form; logs and traces.
//!
//! Invariants: there is no global registry: each service makes a [`Registry`] and hands it to its parts, so two instances
//! of a service live in one process. Handles ([`Counter`], [`Gauge`], [`Histogram`]) are cheap to clone and cost one atomic
//! operation; look them up once, not per sample. The tracing subscriber is the one thing that is per process: only a
//! `main` installs it ([`Logging::install`]).
//!
//! ```
//! use telemetry::{Counter, Family, Format, Gauge, Histogram, Registry};
//!
//! /// What a crate's `metrics.rs` looks like.
//! #[derive(Clone, Debug)]
//! struct Metrics { appended: Counter, active: Gauge, requests: Family<Counter>, took: Histogram }
//!
//! impl Metrics {
//!     fn register(registry: &Registry) -> Self {
//!         Self {
//!             appended: registry.counter("tsdb_samples_appended_total", "Samples appended."),
//!             active: registry.gauge("tsdb_head_series", "Series in the head."),
//!             requests: registry.counter_family("requests_total", "Requests.", &["handler", "code"]),
//!             took: registry.histogram("request_duration_seconds", "Time taken.", &[0.1, 1.0]),
//!         }
//!     }
//! }
//!
//! let registry = Registry::new();
//! let metrics = Metrics::register(&registry);
//! metrics.appended.add(2);
//! metrics.active.set(1.5);
//! metrics.requests.with(&["/metrics", "200"]).inc();
//! metrics.took.observe(0.3);
//! registry.gauge_fn("queue_length", "Entries waiting.", || 7.0);
//! let text = registry.render(Format::Prometheus);
//! assert!(text.contains("# TYPE tsdb_samples_appended_total counter\ntsdb_samples_appended_total 2\n"));
//! assert!(text.contains("requests_total{handler=\"/metrics\",code=\"200\"} 1\n"));
//! assert!(text.contains("request_duration_seconds_bucket{le=\"1\"} 1\n") && text.contains("queue_length 7\n"));
//! ```

#![warn(missing_docs)]

mod collect;
mod family;
mod instruments;
mod logging;
mod number;
mod process;
mod propagation;
mod registry;
mod render;
mod repeats;

pub use collect::{Collected, Collector, Kind, Sample};
pub use family::Family;
pub use instruments::{
    Counter, FloatCounter, Gauge, GaugeGuard, Histogram, Instrument, exponential_buckets, linear_buckets,
};
pub use logging::{LogFormat, LogOptions, Logging, LoggingError};
pub use propagation::{current_trace_id, current_traceparent, inject_trace, set_parent, set_parent_from};
pub use registry::Registry;
pub use render::Format;
