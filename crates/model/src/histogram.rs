//! Native histograms (Prometheus native histogram specification, schemas -4 to 8 and -53 for custom buckets).

/// Whether a histogram's counters are known to have started anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Must be found out by comparing.
    #[default]
    Unknown,
    /// Counters started anew with this histogram.
    CounterReset,
    /// Counters did not start anew.
    NotCounterReset,
    /// A gauge histogram: resets have no meaning.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// The gap to the previous span; for the first span the index of its first bucket.
    pub offset: i32,
    /// How many buckets follow.
    pub length: u32,
}

/// A native histogram with float counts; integer histograms are converted when they are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// What is known of counter resets.
    pub counter_reset_hint: CounterResetHint,
    /// The resolution: -4 to 8, or -53 for custom bucket bounds.
    pub schema: i32,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observed values.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<BucketSpan>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<BucketSpan>,
    /// Counts of the positive buckets, not cumulative.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, not cumulative.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds where the schema is -53, without +Inf.
    pub custom_values: Vec<f64>,
}
