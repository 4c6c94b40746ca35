//! Arithmetic on histograms.

use super::*;

fn exponential(schema: i32, first: i32, counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        sum: 10.0,
        positive_spans: vec![BucketSpan { offset: first, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_values: bounds.to_vec(), ..exponential(CUSTOM_BUCKETS_SCHEMA, 0, counts) }
}

#[test]
fn sums_take_the_coarser_resolution() {
    let mut fine = exponential(1, 1, &[1.0, 2.0, 3.0, 4.0]);
    let merge = fine.add(&exponential(0, 1, &[10.0, 20.0])).expect("same kind");
    assert_eq!(merge, HistogramMerge::default());
    assert_eq!(fine.to_string(), "{count:40, sum:20, (1,2]:13, (2,4]:27}");
    fine.subtract(&exponential(0, 1, &[10.0, 20.0])).expect("same kind");
    assert_eq!(fine.to_string(), "{count:10, sum:10, (1,2]:3, (2,4]:7}");
    let wide = exponential(2, -4, &[1.0; 8]).to_schema(0);
    assert_eq!(wide.to_string(), "{count:8, sum:10, (0.25,0.5]:1, (0.5,1]:4, (1,2]:3}");
}

#[test]
fn zero_buckets_are_widened_to_fit_both() {
    let mut narrow = exponential(0, 0, &[1.0, 2.0, 4.0]);
    let mut wide = exponential(0, 2, &[8.0]);
    (wide.zero_threshold, wide.zero_count) = (1.5, 16.0);
    wide.count = 24.0;
    narrow.add(&wide).expect("same kind");
    // 1.5 lies within (1,2], which has observations: the zero bucket goes up to 2.
    assert_eq!((narrow.zero_threshold, narrow.zero_count), (2.0, 19.0));
    narrow.compact();
    assert_eq!(narrow.to_string(), "{count:31, sum:20, [-2,2]:19, (2,4]:12}");
}

#[test]
fn custom_bounds_are_reduced_to_those_that_both_have() {
    let mut left = custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
    let merge = left.add(&custom(&[2.0, 3.0, 5.0], &[10.0, 20.0, 30.0, 40.0])).expect("same kind");
    assert!(merge.bounds_reconciled);
    assert_eq!(left.custom_values, [2.0, 5.0]);
    assert_eq!(left.positive_buckets, [13.0, 53.0, 44.0]);
    assert_eq!(left.add(&exponential(0, 0, &[1.0])), Err(HistogramError::IncompatibleSchemas));
}

#[test]
fn resets_are_seen_in_counts_buckets_and_layout() {
    let before = exponential(0, 1, &[1.0, 2.0]);
    for (now, reset) in [
        (exponential(0, 1, &[1.0, 2.0]), false),
        (exponential(0, 1, &[1.0, 5.0]), false),
        (exponential(0, 1, &[0.0, 5.0]), true),
        (exponential(0, 1, &[1.0, 1.0]), true),
        (exponential(0, 2, &[5.0]), true),
        (exponential(1, 1, &[5.0, 5.0, 5.0, 5.0]), true),
        (exponential(-1, 1, &[4.0]), false),
    ] {
        assert_eq!(now.detect_reset(&before), reset, "{now}");
    }
    let mut told = exponential(0, 1, &[1.0, 2.0]);
    told.counter_reset_hint = CounterResetHint::CounterReset;
    assert!(told.detect_reset(&before));
}

#[test]
fn trimming_keeps_one_side() {
    let mut below = custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 4.0]);
    below.trim(3.0, true);
    assert_eq!((below.count, below.positive_buckets.as_slice()), (5.0, &[1.0, 2.0, 2.0][..]));
    let mut above = exponential(0, 1, &[1.0, 2.0]);
    above.trim(2.0, false);
    assert_eq!(above.to_string(), format!("{{count:2, sum:{}, (2,4]:2}}", 2.0 * 8f64.sqrt()));
}

#[test]
fn compacting_leaves_no_empty_bucket() {
    let mut sparse = exponential(0, -2, &[0.0, 1.0, 0.0, 0.0, 2.0, 0.0]);
    sparse.compact();
    assert_eq!(
        sparse.positive_spans,
        [BucketSpan { offset: -1, length: 1 }, BucketSpan { offset: 2, length: 1 }]
    );
    assert_eq!(sparse.positive_buckets, [1.0, 2.0]);
    let mut summed = HistogramSum::new(&sparse);
    (0..3).for_each(|_| assert!(summed.add(&sparse).is_ok()));
    summed.divide(4.0);
    assert!(summed.finish().same_as(&sparse));
}
