//! What a query answers.

use std::sync::Arc;
use std::time::Duration;

use model::{FloatHistogram, Labels, TimestampMs};
use promql_syntax::ValueType;

/// A query's answer.
#[derive(Clone, Debug, Default)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// What the user should know about it.
    pub annotations: Annotations,
    /// What it cost.
    pub stats: QueryStats,
    /// What each part took, where the engine was told to note it.
    pub explain: Option<ExplainNode>,
}

/// Remarks on a result, each with its place in the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The result may be wrong or incomplete.
    pub warnings: Vec<String>,
    /// The query or the data may not be what the user thinks.
    pub infos: Vec<String>,
}

/// What a query cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples looked at, once for each step that used them (`totalQueryableSamples`).
    pub samples_total: u64,
    /// The most samples held in memory at a time (`peakSamples`).
    pub samples_peak: u64,
    /// Samples read from the store.
    pub samples_read: u64,
    /// Series selected.
    pub series: u64,
    /// `samples_total` by step, where [`crate::EngineFeatures::per_step_stats`] is on.
    pub samples_per_step: Vec<(TimestampMs, u64)>,
}

/// A value of one of the four types.
#[derive(Clone, Debug)]
pub enum Value {
    /// One number.
    Scalar {
        /// When.
        timestamp: TimestampMs,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When.
        timestamp: TimestampMs,
        /// The text.
        value: String,
    },
    /// One sample per series. The order means something only after `sort`, `topk` and `bottomk`.
    Vector(Vec<VectorSample>),
    /// Many samples per series, in label order.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// The value's type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar { .. } => ValueType::Scalar,
            Self::String { .. } => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::Vector(Vec::new())
    }
}

/// A part of a query with what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainNode {
    /// What it is: `selector`, `range selector`, `subquery`, `aggregation`, `operator`, `function`, `number`, `text`.
    pub kind: &'static str,
    /// The operator's or function's name; empty for others.
    pub name: String,
    /// The part as written.
    pub text: Option<String>,
    /// Whether it is the same at every step, so that it was evaluated at one only.
    pub is_constant: bool,
    /// What it took with all parts within it. `None` where it was evaluated together with the part above it, or not at all.
    pub cost: Option<NodeCost>,
    /// The time that no part within it accounts for.
    pub own_time: Duration,
    /// The samples read that no part within it accounts for.
    pub own_samples_read: u64,
    /// The parts within it.
    pub children: Vec<ExplainNode>,
}

/// What a part of a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCost {
    /// How often it was evaluated.
    pub evaluations: u64,
    /// On the clock, other work of the machine included.
    pub time: Duration,
    /// Samples at steps, as the limit counts them.
    pub samples: u64,
    /// Samples read from the store.
    pub samples_read: u64,
    /// Series that it gave; the most of several evaluations.
    pub series: u64,
}

/// A sample's value.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// One sample of a vector.
#[derive(Clone, Debug)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// When.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: SampleValue,
}

/// One series of a matrix.
#[derive(Clone, Debug)]
pub struct MatrixSeries {
    /// The series.
    pub labels: Labels,
    /// Float samples in order of time.
    pub floats: Vec<(TimestampMs, f64)>,
    /// Histograms in order of time; no timestamp is also among the floats.
    pub histograms: Vec<(TimestampMs, Arc<FloatHistogram>)>,
}
