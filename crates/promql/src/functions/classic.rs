//! Quantiles and fractions of classic histograms: cumulative counts with upper bounds.

use crate::notes::Monotonicity;

/// A cumulative bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Counts that differ by less than this share are equal but for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// The q-quantile of the observations, taken to be spread evenly within a bucket, and what had to be repaired.
/// `time` goes into the latter.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>, time: i64) -> (f64, Option<Monotonicity>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !sort_and_coalesce(buckets) {
        return (f64::NAN, None);
    }
    let repaired = make_monotonic(buckets, time);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, repaired);
    }
    let rank = q * observations;
    let at = buckets[..last].partition_point(|bucket| bucket.count < rank || rank.is_nan());
    let quantile = if at == last {
        buckets[last - 1].upper
    } else if at == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let (start, before) =
            if at == 0 { (0.0, 0.0) } else { (buckets[at - 1].upper, buckets[at - 1].count) };
        let (end, count) = (buckets[at].upper, buckets[at].count - before);
        start + (end - start) * ((rank - before) / count)
    };
    (quantile, repaired)
}

/// The share of observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !sort_and_coalesce(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let first_lower = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let rank_of = |value: f64| {
        let (mut start, mut before) = (first_lower, 0.0);
        for bucket in buckets.iter() {
            if start >= value {
                return before;
            }
            if bucket.upper > value {
                // Nothing is known of how observations are spread in a bucket without end.
                return if start == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    before + (bucket.count - before) * (value - start) / (bucket.upper - start)
                };
            }
            (start, before) = (bucket.upper, bucket.count);
        }
        count
    };
    let capped = |rank: f64| if rank > count { count } else { rank };
    (capped(rank_of(upper)) - capped(rank_of(lower))) / count
}

/// Sorts by bound and puts equal bounds together; whether there is a bucket up to +Inf.
fn sort_and_coalesce(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|left, right| left.upper.total_cmp(&right.upper));
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|later, earlier| {
        let same = later.upper == earlier.upper;
        if same {
            earlier.count += later.count;
        }
        same
    });
    true
}

/// Takes decreases out of the counts: small ones silently, they come from rounding.
fn make_monotonic(buckets: &mut [Bucket], time: i64) -> Option<Monotonicity> {
    let mut repaired: Option<Monotonicity> = None;
    let mut previous = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        if almost_equal(previous, count) {
            bucket.count = previous;
        } else if count < previous {
            bucket.count = previous;
            let found = repaired.get_or_insert(Monotonicity {
                first_ms: time,
                last_ms: time,
                bucket_min: f64::INFINITY,
                bucket_max: f64::NEG_INFINITY,
                diff_max: 0.0,
                samples: 1,
            });
            found.bucket_min = found.bucket_min.min(bucket.upper);
            found.bucket_max = found.bucket_max.max(bucket.upper);
            found.diff_max = found.diff_max.max(previous - count);
        } else {
            previous = count;
        }
    }
    repaired
}

/// Whether two numbers differ only by rounding.
fn almost_equal(left: f64, right: f64) -> bool {
    if left == right {
        return true;
    }
    let (sum, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}
