//! Sums of histograms, with what rounding loses kept beside (Neumaier's variant of Kahan's summation).

use std::fmt;

use crate::compensated_add;
use crate::histogram::buckets::{coarser_index, exponential_bound, to_spans};
use crate::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram};

/// Why two histograms cannot be added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramError {
    /// One has custom bucket bounds, the other exponential ones.
    IncompatibleSchemas,
}

impl fmt::Display for HistogramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot combine a histogram with custom buckets and one with exponential buckets")
    }
}

impl std::error::Error for HistogramError {}

/// What happened when two histograms were put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramMerge {
    /// One said that its counters were reset, the other that they were not.
    pub reset_collision: bool,
    /// Their custom bounds differed: only those that both have are left.
    pub bounds_reconciled: bool,
}

/// A value and what rounding has lost of it.
#[derive(Clone, Copy, Debug, Default)]
struct Term {
    value: f64,
    lost: f64,
}

impl Term {
    fn of(value: f64) -> Self {
        Self { value, lost: 0.0 }
    }

    fn add(&mut self, more: f64) {
        (self.value, self.lost) = compensated_add(more, self.value, self.lost);
    }

    fn add_term(&mut self, more: Self) {
        self.add(more.value);
        self.add(more.lost);
    }

    fn total(self) -> f64 {
        self.value + self.lost
    }
}

type Side = Vec<(i32, Term)>;

/// A running sum of histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    hint: CounterResetHint,
    schema: i32,
    zero_threshold: f64,
    zero: Term,
    count: Term,
    sum: Term,
    positive: Side,
    negative: Side,
    custom_values: Vec<f64>,
}

impl HistogramSum {
    /// Starts with one histogram.
    pub fn new(first: &FloatHistogram) -> Self {
        Self {
            hint: first.counter_reset_hint,
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            zero: Term::of(first.zero_count),
            count: Term::of(first.count),
            sum: Term::of(first.sum),
            positive: side(first.positive_indexes(), &first.positive_buckets, 1.0),
            negative: side(first.negative_indexes(), &first.negative_buckets, 1.0),
            custom_values: first.custom_values.clone(),
        }
    }

    /// Adds a histogram; after an error the sum is unchanged.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<HistogramMerge, HistogramError> {
        self.merge(other, 1.0)
    }

    /// Subtracts a histogram; after an error the sum is unchanged.
    pub fn subtract(&mut self, other: &FloatHistogram) -> Result<HistogramMerge, HistogramError> {
        self.merge(other, -1.0)
    }

    /// Multiplies everything.
    pub fn multiply(&mut self, factor: f64) {
        self.each_term(|term| {
            term.value *= factor;
            term.lost *= factor;
        });
    }

    /// Divides everything.
    pub fn divide(&mut self, divisor: f64) {
        self.each_term(|term| {
            term.value /= divisor;
            term.lost /= divisor;
        });
    }

    /// Whether the sum has grown beyond what a float holds.
    pub fn has_overflow(&self) -> bool {
        let infinite = |term: &Term| term.value.is_infinite();
        infinite(&self.zero)
            || infinite(&self.count)
            || infinite(&self.sum)
            || self.positive.iter().chain(&self.negative).any(|(_, term)| infinite(term))
    }

    /// The sum with what rounding has lost.
    pub fn finish(self) -> FloatHistogram {
        self.into_histogram(Term::total)
    }

    /// The sum as plain additions give it.
    pub(super) fn into_uncompensated(self) -> FloatHistogram {
        self.into_histogram(|term| term.value)
    }

    fn into_histogram(self, value: impl Fn(Term) -> f64) -> FloatHistogram {
        let (positive_spans, positive_buckets) =
            to_spans(self.positive.iter().map(|(index, term)| (*index, value(*term))));
        let (negative_spans, negative_buckets) =
            to_spans(self.negative.iter().map(|(index, term)| (*index, value(*term))));
        FloatHistogram {
            counter_reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: value(self.zero),
            count: value(self.count),
            sum: value(self.sum),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values,
        }
    }

    fn each_term(&mut self, mut change: impl FnMut(&mut Term)) {
        change(&mut self.zero);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, term)| change(term));
    }

    fn merge(&mut self, other: &FloatHistogram, sign: f64) -> Result<HistogramMerge, HistogramError> {
        let custom = self.schema == CUSTOM_BUCKETS_SCHEMA;
        if custom != other.uses_custom_buckets() {
            return Err(HistogramError::IncompatibleSchemas);
        }
        let mut outcome =
            HistogramMerge { reset_collision: self.merge_hint(other), bounds_reconciled: false };
        if !custom {
            let zero = self.merge_zero_bucket(other);
            self.zero.add(sign * zero);
        }
        self.count.add(sign * other.count);
        self.sum.add(sign * other.sum);
        let mut positive = side(other.positive_indexes(), &other.positive_buckets, sign);
        let mut negative = side(other.negative_indexes(), &other.negative_buckets, sign);
        if custom {
            if self.custom_values == other.custom_values {
                add_side(&mut self.positive, &positive, |_| false);
            } else {
                outcome.bounds_reconciled = true;
                self.merge_custom(&positive, &other.custom_values);
            }
            return Ok(outcome);
        }
        if other.schema < self.schema {
            coarsen(&mut self.positive, self.schema, other.schema);
            coarsen(&mut self.negative, self.schema, other.schema);
            self.schema = other.schema;
        } else if other.schema > self.schema {
            coarsen(&mut positive, other.schema, self.schema);
            coarsen(&mut negative, other.schema, self.schema);
        }
        // What lies within the zero bucket has been counted there.
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let within_zero = |index| exponential_bound(index, schema) <= threshold;
        add_side(&mut self.positive, &positive, within_zero);
        add_side(&mut self.negative, &negative, within_zero);
        Ok(outcome)
    }

    /// Puts the hints together; whether they contradict each other.
    fn merge_hint(&mut self, other: &FloatHistogram) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        let (mine, theirs) = (self.hint, other.counter_reset_hint);
        let collides = mine != theirs && ![mine, theirs].iter().any(|hint| matches!(hint, Gauge | Unknown));
        self.hint = match (mine, theirs) {
            _ if mine == theirs => mine,
            (Gauge, _) | (_, Gauge) => Gauge,
            _ => Unknown,
        };
        collides
    }

    /// Widens the zero bucket until it fits both; the other's count for that width.
    fn merge_zero_bucket(&mut self, other: &FloatHistogram) -> f64 {
        let (mut other_count, mut other_threshold) = (other.zero_count, other.zero_threshold);
        while other_threshold != self.zero_threshold {
            if self.zero_threshold > other_threshold {
                (other_count, other_threshold) = other.zero_count_within(self.zero_threshold);
            }
            if other_threshold > self.zero_threshold {
                self.widen_zero_bucket(other_threshold);
            }
        }
        other_count
    }

    /// Moves buckets into a zero bucket that is at least as wide as `threshold`, and ends at a bucket's bound.
    fn widen_zero_bucket(&mut self, mut threshold: f64) {
        let schema = self.schema;
        loop {
            // A bound within a bucket that has observations moves to that bucket's end, which may reach into others.
            let cut = self
                .positive
                .iter()
                .chain(&self.negative)
                .filter(|(_, term)| term.value != 0.0)
                .map(|(index, _)| (exponential_bound(index - 1, schema), exponential_bound(*index, schema)))
                .find(|(lower, upper)| *lower < threshold && *upper > threshold);
            match cut {
                Some((_, upper)) => threshold = upper,
                None => break,
            }
        }
        let mut zero = self.zero;
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.retain(|(index, term)| {
                let within = exponential_bound(index - 1, schema) < threshold;
                if within {
                    zero.add_term(*term);
                }
                !within && (term.value != 0.0 || term.lost != 0.0)
            });
        }
        self.zero = zero;
        self.zero_threshold = threshold;
    }

    /// Puts both into the buckets whose bounds both have.
    fn merge_custom(&mut self, other: &Side, other_bounds: &[f64]) {
        let shared: Vec<f64> =
            self.custom_values.iter().copied().filter(|bound| other_bounds.contains(bound)).collect();
        let mut targets = vec![Term::default(); shared.len() + 1];
        for (buckets, bounds) in [(&self.positive, self.custom_values.as_slice()), (other, other_bounds)] {
            for (index, term) in buckets {
                targets[shared_index(*index, bounds, &shared)].add_term(*term);
            }
        }
        self.positive = (0..)
            .zip(targets)
            .filter(|(_, term): &(i32, Term)| term.value != 0.0 || term.lost != 0.0)
            .collect();
        self.custom_values = shared;
    }
}

/// The bucket of `shared` bounds that the bucket `index` of `bounds` lies in.
pub(super) fn shared_index(index: i32, bounds: &[f64], shared: &[f64]) -> usize {
    match usize::try_from(index).ok().and_then(|index| bounds.get(index)) {
        Some(bound) => shared.partition_point(|candidate| candidate < bound),
        None => shared.len(),
    }
}

fn side(indexes: impl Iterator<Item = i32>, counts: &[f64], sign: f64) -> Side {
    indexes.zip(counts).map(|(index, count)| (index, Term::of(sign * count))).collect()
}

fn coarsen(buckets: &mut Side, from: i32, to: i32) {
    let mut merged: Side = Vec::with_capacity(buckets.len());
    for (index, term) in buckets.drain(..) {
        let index = coarser_index(index, from, to);
        match merged.last_mut() {
            Some((last, sum)) if *last == index => sum.add_term(term),
            _ => merged.push((index, term)),
        }
    }
    *buckets = merged;
}

/// Adds buckets to others, both in order of index.
fn add_side(into: &mut Side, from: &Side, skip: impl Fn(i32) -> bool) {
    let mut at = 0;
    for (index, term) in from {
        if skip(*index) {
            continue;
        }
        while at < into.len() && into[at].0 < *index {
            at += 1;
        }
        match into.get_mut(at) {
            Some((found, sum)) if found == index => sum.add_term(*term),
            _ => into.insert(at, (*index, *term)),
        }
    }
}
