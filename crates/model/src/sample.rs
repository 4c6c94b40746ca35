//! Samples and what belongs to a metric besides them.

use crate::{Labels, TimestampMs};

/// One float sample of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, in ms since the epoch.
    pub timestamp: TimestampMs,
    /// The value; may be the staleness marker.
    pub value: f64,
}

/// An example of what a sample counts, such as a trace id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The exemplar's own labels, such as `trace_id`.
    pub labels: Labels,
    /// The exemplar's value.
    pub value: f64,
    /// When it was seen; the sample's time where the source gave none.
    pub timestamp: TimestampMs,
}

/// A metric's type, as the exposition formats name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Counts up, falls to 0 on a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// A histogram of a current state.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Constant 1 with labels that inform.
    Info,
    /// One of a set of states.
    StateSet,
    /// Not said.
    #[default]
    Unknown,
}

impl MetricType {
    /// The type's name in the exposition formats and in `/api/v1/metadata`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// What a metric's HELP, TYPE and UNIT lines say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MetricMetadata {
    /// The type.
    pub kind: MetricType,
    /// The unit, empty where none was said.
    pub unit: String,
    /// The help text.
    pub help: String,
}
