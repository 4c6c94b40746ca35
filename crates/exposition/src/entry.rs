//! What a parser hands out.

use std::borrow::Cow;

use model::{FloatHistogram, MetricType, TimestampMs};

use crate::SeriesText;

/// One thing that a body says.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A HELP, TYPE or UNIT line.
    Metadata {
        /// The metric family's name.
        family: Cow<'a, str>,
        /// What is said of it.
        kind: MetadataKind<'a>,
    },
    /// A float sample.
    Sample(SampleEntry<'a>),
    /// A native histogram; only from protobuf.
    Histogram(HistogramEntry<'a>),
}

/// What a metadata line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataKind<'a> {
    /// The help text.
    Help(Cow<'a, str>),
    /// The type.
    Type(MetricType),
    /// The unit.
    Unit(Cow<'a, str>),
}

/// A float sample.
#[derive(Clone, Copy, Debug)]
pub struct SampleEntry<'a> {
    /// The series as written.
    pub series: SeriesText<'a>,
    /// The value; a NaN is always the ordinary one.
    pub value: f64,
    /// When, where the body says so.
    pub timestamp: Option<TimestampMs>,
    /// The exemplar, where there is one.
    pub exemplar: Option<ExemplarEntry<'a>>,
    /// Since when the series counts, where the body says so.
    pub start: Option<TimestampMs>,
}

/// A native histogram.
#[derive(Clone, Copy, Debug)]
pub struct HistogramEntry<'a> {
    /// The series.
    pub series: SeriesText<'a>,
    /// The histogram.
    pub histogram: &'a FloatHistogram,
    /// When, where the body says so.
    pub timestamp: Option<TimestampMs>,
    /// Since when the series counts, where the body says so.
    pub start: Option<TimestampMs>,
}

/// An exemplar.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarEntry<'a> {
    /// Its labels, as `{name="value",…}`.
    pub labels: SeriesText<'a>,
    /// Its value.
    pub value: f64,
    /// When, where the body says so.
    pub timestamp: Option<TimestampMs>,
}
