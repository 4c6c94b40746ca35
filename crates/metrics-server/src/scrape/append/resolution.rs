//! Native histograms as fine as a job wants them.

use std::borrow::Cow;

use model::{CounterResetHint, FloatHistogram};

/// The coarsest exponential schema.
const SCHEMA_MIN: i32 = -4;

/// A job's bounds for native histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// The finest schema that is stored.
    pub(crate) schema_max: i32,
    /// The most buckets; 0 is no bound.
    pub(crate) buckets_max: usize,
}

/// The histogram, made coarser until it keeps the bounds; `None` where it has too many buckets all the same.
pub(super) fn fitted(histogram: &FloatHistogram, bounds: Resolution) -> Option<Cow<'_, FloatHistogram>> {
    let fits = |histogram: &FloatHistogram| {
        let buckets = if histogram.uses_custom_buckets() {
            histogram.positive_buckets.len()
        } else {
            histogram.positive_buckets.len() + histogram.negative_buckets.len()
        };
        bounds.buckets_max == 0 || buckets <= bounds.buckets_max
    };
    let mut fitted = Cow::Borrowed(histogram);
    if histogram.uses_custom_buckets() {
        return fits(histogram).then_some(fitted);
    }
    if histogram.schema > bounds.schema_max {
        fitted = Cow::Owned(coarser(histogram, bounds.schema_max));
    }
    while !fits(&fitted) {
        if fitted.schema <= SCHEMA_MIN {
            return None;
        }
        fitted = Cow::Owned(coarser(&fitted, fitted.schema - 1));
    }
    Some(fitted)
}

fn coarser(histogram: &FloatHistogram, schema: i32) -> FloatHistogram {
    let mut coarser = histogram.to_schema(schema);
    if histogram.counter_reset_hint == CounterResetHint::Gauge {
        coarser.counter_reset_hint = CounterResetHint::Gauge;
    }
    coarser
}

#[cfg(test)]
mod tests {
    use model::BucketSpan;

    use super::*;

    #[test]
    fn histograms_get_coarser_until_they_fit() {
        let histogram = FloatHistogram {
            schema: 2,
            count: 16.0,
            positive_spans: vec![BucketSpan { offset: 1, length: 16 }],
            positive_buckets: vec![1.0; 16],
            counter_reset_hint: CounterResetHint::Gauge,
            ..FloatHistogram::default()
        };
        for (schema_max, buckets_max, expected) in [
            (8, 0, (2, 16)),
            (8, 16, (2, 16)),
            (8, 15, (1, 8)),
            (8, 4, (0, 4)),
            (-1, 0, (-1, 2)),
            (-1, 1, (-2, 1)),
        ] {
            let bounds = Resolution { schema_max, buckets_max };
            let fitted = fitted(&histogram, bounds).expect("fits");
            assert_eq!((fitted.schema, fitted.positive_buckets.len()), expected, "{bounds:?}");
            assert_eq!(fitted.counter_reset_hint, CounterResetHint::Gauge);
        }
        let spread = FloatHistogram {
            schema: 0,
            positive_spans: vec![
                BucketSpan { offset: -500, length: 1 },
                BucketSpan { offset: 1000, length: 1 },
            ],
            positive_buckets: vec![1.0; 2],
            ..FloatHistogram::default()
        };
        assert!(fitted(&spread, Resolution { schema_max: 8, buckets_max: 1 }).is_none());
    }
}
