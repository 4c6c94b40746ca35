//! Cutting observations off above or below a bound.

use crate::histogram::{FloatHistogram, HistogramBucket};

/// Which side of the bound is kept.
#[derive(Clone, Copy)]
struct Cut {
    bound: f64,
    keeps_below: bool,
    is_custom: bool,
}

impl FloatHistogram {
    /// Keeps the observations below `bound` (`keeps_below`) or above it. In the bucket that the bound lies in, observations
    /// are taken to be spread evenly; count and sum are estimated from what is left.
    pub fn trim(&mut self, bound: f64, keeps_below: bool) {
        let cut = Cut { bound, keeps_below, is_custom: self.uses_custom_buckets() };
        let (mut count, mut sum) = (0.0, 0.0);
        let mut changed = false;
        let mut seen = [false, false];
        for (side, is_positive) in [(0, true), (1, false)] {
            let buckets: Vec<HistogramBucket> =
                if is_positive { self.positive().collect() } else { self.negative().collect() };
            let counts = if is_positive { &mut self.positive_buckets } else { &mut self.negative_buckets };
            for (bucket, slot) in buckets.iter().zip(counts) {
                if bucket.count == 0.0 {
                    continue;
                }
                seen[side] = true;
                let (kept, middle) = cut.bucket(bucket, is_positive);
                count += kept;
                sum += if kept == 0.0 { 0.0 } else { middle * kept };
                if *slot != kept {
                    *slot = kept;
                    changed = true;
                }
            }
        }
        if self.zero_count > 0.0 {
            let (kept, middle) = cut.zero_bucket(&self.zero_bucket(), seen[0], seen[1]);
            changed |= self.zero_count != kept;
            self.zero_count = kept;
            sum += middle * kept;
            count += kept;
        }
        if changed {
            (self.count, self.sum) = (count, sum);
            self.compact();
        }
    }
}

impl Cut {
    /// How many observations of a bucket are kept, and the middle of where they lie.
    fn bucket(self, bucket: &HistogramBucket, is_positive: bool) -> (f64, f64) {
        let (lower, upper, bound) = (bucket.lower, bucket.upper, self.bound);
        let (all, some) =
            if self.keeps_below { (upper <= bound, lower < bound) } else { (lower >= bound, upper > bound) };
        if all {
            return (bucket.count, middle(lower, upper, is_positive, self.is_custom));
        }
        if !some {
            return (0.0, 0.0);
        }
        if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
            return self.endless_bucket(bucket);
        }
        let below = bucket.count * bucket.fraction_below(bound, self.is_custom);
        if self.keeps_below {
            (below, middle(lower, bound, is_positive, self.is_custom))
        } else {
            (bucket.count - below, middle(bound, upper, is_positive, self.is_custom))
        }
    }

    /// A bucket without end that the bound lies in: how its observations are spread is not known.
    fn endless_bucket(self, bucket: &HistogramBucket) -> (f64, f64) {
        let (count, lower, upper, bound) = (bucket.count, bucket.lower, bucket.upper, self.bound);
        let has_end = upper.is_finite();
        if lower == f64::NEG_INFINITY {
            // A first bucket that ends above 0 is taken to start at 0.
            return match self.keeps_below {
                true if bound > 0.0 && upper > 0.0 && has_end => (count * bound / upper, bound / 2.0),
                true if upper <= 0.0 => (count, bound),
                false if bound >= 0.0 && has_end => (count * (1.0 - bound / upper), (bound + upper) / 2.0),
                true | false => (0.0, 0.0),
            };
        }
        if self.keeps_below { (0.0, 0.0) } else { (count, bound) }
    }

    /// The zero bucket; one side of it is taken to be empty where there are buckets on the other side only.
    fn zero_bucket(self, bucket: &HistogramBucket, has_positive: bool, has_negative: bool) -> (f64, f64) {
        let bound = self.bound;
        let upper = if has_negative && !has_positive { 0.0 } else { bucket.upper };
        let lower = if has_positive && !has_negative { 0.0 } else { bucket.lower };
        let whole = (bucket.count, (lower + upper) / 2.0);
        match (bound <= lower, bound >= upper) {
            (true, _) => {
                if self.keeps_below {
                    (0.0, 0.0)
                } else {
                    whole
                }
            }
            (_, true) => {
                if self.keeps_below {
                    whole
                } else {
                    (0.0, 0.0)
                }
            }
            _ if self.keeps_below => {
                (bucket.count * ((bound - lower) / (upper - lower)), (lower + bound) / 2.0)
            }
            _ => (bucket.count * ((upper - bound) / (upper - lower)), (bound + upper) / 2.0),
        }
    }
}

/// The middle of an interval: arithmetic where observations are spread evenly, else geometric.
fn middle(lower: f64, upper: f64, is_positive: bool, is_linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) => {
            if upper > 0.0 {
                upper / 2.0
            } else {
                upper
            }
        }
        (false, true) => lower,
        _ if is_linear => (lower + upper) / 2.0,
        _ => {
            let mean = (lower * upper).abs().sqrt();
            if is_positive { mean } else { -mean }
        }
    }
}
