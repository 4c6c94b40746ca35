//! Native histograms (Prometheus native histogram specification, schemas -4 to 8 and -53 for custom buckets).

mod buckets;
mod reset;
mod sum;
mod trim;

#[cfg(test)]
mod tests;

pub use buckets::HistogramBucket;
pub use sum::{HistogramError, HistogramMerge, HistogramSum};

/// The schema of histograms whose bucket bounds are listed.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

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

impl FloatHistogram {
    /// Whether the bucket bounds are listed.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.each_count(|count| *count *= factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge; a division by 0 leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.each_count(|count| *count /= divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn each_count(&mut self, mut change: impl FnMut(&mut f64)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive_buckets.iter_mut().for_each(&mut change);
        self.negative_buckets.iter_mut().for_each(&mut change);
    }

    /// Adds another histogram; resolution, zero bucket and custom bounds become those that both can be put into.
    pub fn add(&mut self, other: &Self) -> Result<HistogramMerge, HistogramError> {
        let mut sum = HistogramSum::new(self);
        let merge = sum.add(other)?;
        *self = sum.into_uncompensated();
        Ok(merge)
    }

    /// Subtracts another histogram, otherwise as [`Self::add`].
    pub fn subtract(&mut self, other: &Self) -> Result<HistogramMerge, HistogramError> {
        let mut sum = HistogramSum::new(self);
        let merge = sum.subtract(other)?;
        *self = sum.into_uncompensated();
        Ok(merge)
    }

    /// Whether both hold the same data, compared bit by bit; what is known of resets does not count.
    pub fn same_as(&self, other: &Self) -> bool {
        fn bits(values: &[f64]) -> impl Iterator<Item = u64> {
            values.iter().map(|value| value.to_bits())
        }
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && self.positive_indexes().eq(other.positive_indexes())
            && self.negative_indexes().eq(other.negative_indexes())
            && bits(&self.positive_buckets).eq(bits(&other.positive_buckets))
            && bits(&self.negative_buckets).eq(bits(&other.negative_buckets))
    }

    /// Whether a count has grown beyond what a float holds.
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .any(|count| count.is_infinite())
    }

    /// The heap bytes that the histogram holds, for memory budgets.
    pub fn heap_bytes(&self) -> usize {
        8 * (self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len())
    }
}
