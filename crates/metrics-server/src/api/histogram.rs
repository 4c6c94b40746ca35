//! A native histogram's buckets with their bounds, as the API shows them.

use model::{BucketSpan, FloatHistogram};

const CUSTOM_SCHEMA: i32 = -53;

/// A bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// 0: (lower, upper], 1: [lower, upper), 2: (lower, upper), 3: [lower, upper].
    pub(crate) boundaries: u32,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// All buckets in order of their bounds.
pub(crate) fn buckets(histogram: &FloatHistogram) -> Vec<Bucket> {
    let mut found = Vec::new();
    for (idx, count) in indexed(&histogram.negative_spans, &histogram.negative_buckets) {
        let (lower, upper) = (-bound(histogram.schema, idx), -bound(histogram.schema, idx - 1));
        found.push(Bucket { boundaries: 1, lower, upper, count });
    }
    found.reverse();
    if histogram.zero_count != 0.0 {
        let threshold = histogram.zero_threshold;
        found.push(Bucket {
            boundaries: 3,
            lower: -threshold,
            upper: threshold,
            count: histogram.zero_count,
        });
    }
    for (idx, count) in indexed(&histogram.positive_spans, &histogram.positive_buckets) {
        found.push(if histogram.schema == CUSTOM_SCHEMA {
            let value = |idx: i32| {
                usize::try_from(idx).ok().and_then(|idx| histogram.custom_values.get(idx)).copied()
            };
            let lower = value(idx - 1).unwrap_or(f64::NEG_INFINITY);
            let upper = value(idx).unwrap_or(f64::INFINITY);
            let boundaries =
                if idx == 0 && upper > 0.0 { 0 } else { u32::from(lower == f64::NEG_INFINITY) * 3 };
            Bucket { boundaries, lower, upper, count }
        } else {
            let (lower, upper) = (bound(histogram.schema, idx - 1), bound(histogram.schema, idx));
            Bucket { boundaries: 0, lower, upper, count }
        });
    }
    found
}

/// Counts with their bucket's index.
fn indexed<'a>(spans: &'a [BucketSpan], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut idx = 0i32;
    let indexes = spans.iter().flat_map(move |span| {
        idx = idx.wrapping_add(span.offset);
        let first = idx;
        idx = idx.wrapping_add(span.length as i32);
        (0..span.length as i32).map(move |step| first.wrapping_add(step))
    });
    indexes.zip(counts.iter().copied())
}

/// The upper bound of a bucket: 2 to the power of idx times 2 to the power of -schema.
fn bound(schema: i32, idx: i32) -> f64 {
    let exponent = f64::from(idx) * (-f64::from(schema)).exp2();
    if exponent > 1023.999 { f64::MAX } else { exponent.exp2() }
}
