//! Buckets: their indexes, their bounds, their text.

use std::fmt;

use crate::format_float_g;
use crate::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, FloatHistogram};

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramBucket {
    /// The lower bound; -Inf for the first custom bucket.
    pub lower: f64,
    /// The upper bound; +Inf for the last custom bucket.
    pub upper: f64,
    /// Observations in it.
    pub count: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
}

impl HistogramBucket {
    /// The share of the bucket that lies below `value`, which lies within it: observations are taken to be spread evenly
    /// (`linear`), or evenly over the logarithms.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, value_log) =
            (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }
}

impl fmt::Display for HistogramBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) =
            (format_float_g(self.lower), format_float_g(self.upper), format_float_g(self.count));
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

/// The upper bound of the exponential bucket with this index.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let power = f64::from(index) * 2f64.powi(-schema);
    // The bucket before the one for infinities ends at the greatest float.
    if power == 1024.0 {
        return f64::MAX;
    }
    if schema <= 0 {
        return 2f64.powf(power);
    }
    // Whole and fractional parts apart, so that powers of two come out exactly.
    let whole = index >> schema;
    let fraction = f64::from(index - (whole << schema)) * 2f64.powi(-schema);
    scale(fraction.exp2(), whole)
}

/// `value * 2^power`, also where 2^power itself is no normal float.
fn scale(value: f64, power: i32) -> f64 {
    if (-1000..=1000).contains(&power) {
        return value * 2f64.powi(power);
    }
    let half = power / 2;
    value * 2f64.powi(half) * 2f64.powi(power - half)
}

/// The index in a coarser schema of a bucket.
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    ((index - 1) >> (from - to)) + 1
}

/// The indexes of the buckets that spans describe.
pub(super) fn span_indexes(spans: &[BucketSpan]) -> impl Iterator<Item = i32> {
    let mut next = 0i32;
    spans.iter().flat_map(move |span| {
        let first = next.wrapping_add(span.offset);
        next = first.wrapping_add(span.length as i32);
        first..next
    })
}

/// Spans and counts from indexes and counts in order.
pub(super) fn to_spans(buckets: impl Iterator<Item = (i32, f64)>) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut counts = Vec::new();
    let mut next = 0;
    for (index, count) in buckets {
        counts.push(count);
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    (spans, counts)
}

impl FloatHistogram {
    pub(super) fn positive_indexes(&self) -> impl Iterator<Item = i32> {
        span_indexes(&self.positive_spans).take(self.positive_buckets.len())
    }

    pub(super) fn negative_indexes(&self) -> impl Iterator<Item = i32> {
        span_indexes(&self.negative_spans).take(self.negative_buckets.len())
    }

    /// The upper bound of a positive bucket.
    pub(super) fn bound(&self, index: i32) -> f64 {
        if self.schema != CUSTOM_BUCKETS_SCHEMA {
            return exponential_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
        }
    }

    /// The positive buckets, from the zero bucket up; empty ones included.
    pub fn positive(&self) -> impl Iterator<Item = HistogramBucket> {
        let custom = self.uses_custom_buckets();
        self.positive_indexes().zip(&self.positive_buckets).map(move |(index, count)| {
            let (lower, upper) = (self.bound(index - 1), self.bound(index));
            let (lower_inclusive, upper_inclusive) =
                if custom { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
            HistogramBucket { lower, upper, count: *count, lower_inclusive, upper_inclusive }
        })
    }

    /// The negative buckets, from the zero bucket down; empty ones included.
    pub fn negative(&self) -> impl Iterator<Item = HistogramBucket> {
        self.negative_indexes().zip(&self.negative_buckets).map(|(index, count)| {
            let (lower, upper) = (-self.bound(index), -self.bound(index - 1));
            let (lower_inclusive, upper_inclusive) = (lower < 0.0, upper > 0.0);
            HistogramBucket { lower, upper, count: *count, lower_inclusive, upper_inclusive }
        })
    }

    /// The zero bucket.
    pub fn zero_bucket(&self) -> HistogramBucket {
        HistogramBucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
            lower_inclusive: true,
            upper_inclusive: true,
        }
    }

    /// All buckets in ascending order, the zero bucket where it is not empty; bounds within the zero bucket are moved to its
    /// edge.
    pub fn all_buckets(&self) -> Vec<HistogramBucket> {
        let threshold = self.zero_threshold;
        let mut all: Vec<HistogramBucket> = self.negative().collect();
        all.reverse();
        let lowest_positive = all.len();
        all.extend(self.positive());
        for bucket in &mut all {
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            } else if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
        }
        if self.zero_count > 0.0 {
            all.insert(lowest_positive, self.zero_bucket());
        }
        all
    }

    /// The same observations in a coarser exponential schema (or the same one).
    pub fn to_schema(&self, schema: i32) -> Self {
        if schema >= self.schema || self.uses_custom_buckets() || schema == CUSTOM_BUCKETS_SCHEMA {
            return self.clone();
        }
        let coarser = |indexes: &mut dyn Iterator<Item = i32>, counts: &[f64]| {
            let mut merged: Vec<(i32, f64)> = Vec::new();
            for (index, count) in indexes.zip(counts) {
                let index = coarser_index(index, self.schema, schema);
                match merged.last_mut() {
                    Some((last, sum)) if *last == index => *sum += count,
                    _ => merged.push((index, *count)),
                }
            }
            to_spans(merged.into_iter())
        };
        let (positive_spans, positive_buckets) =
            coarser(&mut self.positive_indexes(), &self.positive_buckets);
        let (negative_spans, negative_buckets) =
            coarser(&mut self.negative_indexes(), &self.negative_buckets);
        Self {
            counter_reset_hint: super::CounterResetHint::Unknown,
            schema,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: Vec::new(),
            ..*self
        }
    }

    /// Leaves out empty buckets.
    pub fn compact(&mut self) {
        let filled = |counts: &[f64]| counts.iter().all(|count| *count != 0.0);
        if !filled(&self.positive_buckets) || has_loose_spans(&self.positive_spans) {
            let kept: Vec<(i32, f64)> = self
                .positive_indexes()
                .zip(self.positive_buckets.iter().copied())
                .filter(|(_, count)| *count != 0.0)
                .collect();
            (self.positive_spans, self.positive_buckets) = to_spans(kept.into_iter());
        }
        if !filled(&self.negative_buckets) || has_loose_spans(&self.negative_spans) {
            let kept: Vec<(i32, f64)> = self
                .negative_indexes()
                .zip(self.negative_buckets.iter().copied())
                .filter(|(_, count)| *count != 0.0)
                .collect();
            (self.negative_spans, self.negative_buckets) = to_spans(kept.into_iter());
        }
    }
}

/// Whether spans could be written with fewer of them.
fn has_loose_spans(spans: &[BucketSpan]) -> bool {
    spans.iter().enumerate().any(|(at, span)| span.length == 0 || (at > 0 && span.offset == 0))
}

/// Writes the histogram as `count_values` shows it: `{count:3, sum:5, (1,2]:3}`, empty buckets left out.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_float_g(self.count), format_float_g(self.sum))?;
        let mut negative: Vec<HistogramBucket> =
            self.negative().filter(|bucket| bucket.count != 0.0).collect();
        negative.reverse();
        for bucket in negative {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}
