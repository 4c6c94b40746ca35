//! Counter resets between two histograms.

use crate::compensated_add;
use crate::histogram::buckets::{coarser_index, exponential_bound};
use crate::histogram::sum::shared_index;
use crate::histogram::{CounterResetHint, FloatHistogram};

impl FloatHistogram {
    /// Whether the counters started anew between `previous` and this histogram: said so by the hint, or seen because a count
    /// or a bucket has become smaller, or the layout has become finer.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.shrinks_in_shared_bounds(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_within(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let shrinks = |mine: Vec<(i32, f64)>, theirs: Vec<(i32, f64)>| {
            let mut at = 0;
            theirs.iter().any(|(index, before)| {
                while at < mine.len() && mine[at].0 < *index {
                    at += 1;
                }
                match mine.get(at) {
                    Some((found, now)) if found == index => now < before,
                    _ => *before != 0.0,
                }
            })
        };
        shrinks(self.beyond_zero(self, true), self.beyond_zero(previous, true))
            || shrinks(self.beyond_zero(self, false), self.beyond_zero(previous, false))
    }

    /// The buckets of `of` in this histogram's resolution, without those within its zero bucket.
    fn beyond_zero(&self, of: &Self, positive: bool) -> Vec<(i32, f64)> {
        let custom = self.uses_custom_buckets();
        let mut merged: Vec<(i32, f64)> = Vec::new();
        let mut add = |index: i32, count: f64| {
            let index = if custom || of.uses_custom_buckets() {
                index
            } else {
                coarser_index(index, of.schema, self.schema)
            };
            if !custom && exponential_bound(index, self.schema) <= self.zero_threshold {
                return;
            }
            match merged.last_mut() {
                Some((last, sum)) if *last == index => *sum += count,
                _ => merged.push((index, count)),
            }
        };
        if positive {
            of.positive_indexes().zip(&of.positive_buckets).for_each(|(index, count)| add(index, *count));
        } else {
            of.negative_indexes().zip(&of.negative_buckets).for_each(|(index, count)| add(index, *count));
        }
        merged
    }

    fn shrinks_in_shared_bounds(&self, previous: &Self) -> bool {
        let shared: Vec<f64> = self
            .custom_values
            .iter()
            .copied()
            .filter(|bound| previous.custom_values.contains(bound))
            .collect();
        let rolled_up = |histogram: &Self| {
            let mut counts = vec![0.0; shared.len() + 1];
            for (index, count) in histogram.positive_indexes().zip(&histogram.positive_buckets) {
                counts[shared_index(index, &histogram.custom_values, &shared)] += count;
            }
            counts
        };
        rolled_up(self).iter().zip(rolled_up(previous)).any(|(now, before)| *now < before)
    }

    /// What the zero bucket would count if it were at least as wide as `threshold`, and the width that it then has: a width
    /// that would cut a bucket with observations is extended to that bucket's end. `threshold` is not narrower than it is.
    pub(super) fn zero_count_within(&self, mut threshold: f64) -> (f64, f64) {
        if threshold <= self.zero_threshold {
            return (self.zero_count, self.zero_threshold);
        }
        'widen: loop {
            let (mut count, mut lost) = (self.zero_count, 0.0);
            for bucket in self.positive().chain(self.negative()) {
                let (near, far) =
                    (bucket.lower.abs().min(bucket.upper.abs()), bucket.lower.abs().max(bucket.upper.abs()));
                if near >= threshold {
                    continue;
                }
                if far > threshold && bucket.count != 0.0 {
                    threshold = far;
                    continue 'widen;
                }
                (count, lost) = compensated_add(bucket.count, count, lost);
            }
            return (count, threshold);
        }
    }
}
