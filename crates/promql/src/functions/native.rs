//! Numbers from native histograms.

use model::{FloatHistogram, HistogramBucket, compensated_add};
use promql_syntax::Span;

use crate::notes::Notes;

/// The function of this name, where it takes one number from a histogram.
pub(crate) fn histogram_value(name: &str) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stdvar" => variance,
        "histogram_stddev" => |histogram| variance(histogram).sqrt(),
        _ => return None,
    })
}

/// The variance, with all observations of a bucket taken to be in its middle.
fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut sum, mut lost) = (0.0, 0.0);
    for bucket in histogram.all_buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let middle = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let middle = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        (sum, lost) = compensated_add(bucket.count * delta * delta, sum, lost);
    }
    (sum + lost) / histogram.count
}

/// The q-quantile of the observations: spread evenly within custom buckets and the zero bucket, evenly over the logarithms
/// within exponential ones.
pub(crate) fn histogram_quantile(
    q: f64,
    histogram: &FloatHistogram,
    metric: &str,
    span: Span,
    notes: &mut Notes,
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // From the end that is nearer; observations of NaN are in no bucket, so that only the lower end is certain then.
    let has_nan = histogram.sum.is_nan();
    let from_below = has_nan || q < 0.5;
    let mut buckets = histogram.all_buckets();
    if !from_below {
        buckets.reverse();
    }
    let share = if from_below { q } else { 1.0 - q };
    let rank = share * histogram.count;
    let (mut bucket, mut count, mut rest) = (EMPTY_BUCKET, 0.0, buckets.len());
    for (at, candidate) in buckets.iter().enumerate() {
        bucket = *candidate;
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            rest = at + 1;
            break;
        }
    }
    if histogram.uses_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    } else {
        let is_zero_bucket = bucket.lower < 0.0 && bucket.upper > 0.0;
        narrow_zero_bucket(histogram, &mut bucket, is_zero_bucket);
    }
    // Rounding may have added up to more than there is.
    count = if count > histogram.count { histogram.count } else { count };
    if count < rank {
        if has_nan {
            notes.quantile_of_nan(metric, span);
            return f64::NAN;
        }
        return bucket.upper;
    }
    if has_nan {
        let all = count + buckets[rest..].iter().map(|bucket| bucket.count).sum::<f64>();
        if all < histogram.count {
            notes.quantile_skewed_by_nan(metric, span);
        }
    }
    let into = if from_below { rank - (count - bucket.count) } else { count - rank };
    let fraction = into / bucket.count;
    interpolated(histogram, &bucket, fraction)
}

const EMPTY_BUCKET: HistogramBucket =
    HistogramBucket { lower: 0.0, upper: 0.0, count: 0.0, lower_inclusive: false, upper_inclusive: false };

fn interpolated(histogram: &FloatHistogram, bucket: &HistogramBucket, fraction: f64) -> f64 {
    let (lower, upper) = (bucket.lower, bucket.upper);
    if histogram.uses_custom_buckets() || (lower <= 0.0 && upper >= 0.0) {
        return lower + (upper - lower) * fraction;
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    if lower > 0.0 {
        (log_lower + (log_upper - log_lower) * fraction).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
    }
}

/// One side of the zero bucket is empty where there are buckets on the other side only.
fn narrow_zero_bucket(histogram: &FloatHistogram, bucket: &mut HistogramBucket, is_zero_bucket: bool) {
    if !is_zero_bucket {
        return;
    }
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

/// The share of observations between two values.
pub(crate) fn histogram_fraction(
    lower: f64,
    upper: f64,
    histogram: &FloatHistogram,
    metric: &str,
    span: Span,
    notes: &mut Notes,
) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let buckets = histogram.all_buckets();
    let mut count = histogram.count;
    if histogram.sum.is_nan() {
        // Observations of NaN are counted, and in no bucket.
        count = buckets.iter().map(|bucket| bucket.count).sum();
        if count < histogram.count {
            notes.fraction_without_nan(metric, span);
        }
    }
    let rank_of = |value: f64| {
        let mut before = 0.0;
        for bucket in &buckets {
            let mut bucket = *bucket;
            let is_zero_bucket = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            narrow_zero_bucket(histogram, &mut bucket, is_zero_bucket);
            if bucket.lower >= value {
                return before;
            }
            if bucket.upper > value {
                let is_linear = histogram.uses_custom_buckets() || is_zero_bucket;
                // Nothing is known of how observations are spread in a bucket without end.
                return if is_linear && bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    before + bucket.count * bucket.fraction_below(value, is_linear)
                };
            }
            before += bucket.count;
        }
        count
    };
    let capped = |rank: f64| if rank > count { count } else { rank };
    (capped(rank_of(upper)) - capped(rank_of(lower))) / histogram.count
}
