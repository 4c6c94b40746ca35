//! A native histogram; 1.0 and 2.0 write it alike.

use model::{BucketSpan, CounterResetHint, FloatHistogram, TimestampMs};

use crate::wire_format::{put_bytes, put_double, put_number, put_varint, put_zigzag, to_zigzag};

/// The largest count that a float holds exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends a histogram: with integer counts where all of them are whole, which takes less and is how most began.
pub(super) fn put(dst: &mut Vec<u8>, timestamp: TimestampMs, histogram: &FloatHistogram) {
    let is_whole = |count: &f64| *count >= 0.0 && *count <= EXACT_MAX && count.fract() == 0.0;
    let buckets = || histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
    // A count's field tells the two kinds apart, so it is sent even where it is 0.
    if is_whole(&histogram.count) && is_whole(&histogram.zero_count) && buckets().all(is_whole) {
        put_varint(dst, 1 << 3);
        put_varint(dst, histogram.count as u64);
        put_common(dst, histogram);
        put_varint(dst, 6 << 3);
        put_varint(dst, histogram.zero_count as u64);
        put_spans(dst, 8, &histogram.negative_spans);
        put_differences(dst, 9, &histogram.negative_buckets);
        put_spans(dst, 11, &histogram.positive_spans);
        put_differences(dst, 12, &histogram.positive_buckets);
    } else {
        put_float(dst, 2, histogram.count);
        put_common(dst, histogram);
        put_float(dst, 7, histogram.zero_count);
        put_spans(dst, 8, &histogram.negative_spans);
        put_floats(dst, 10, &histogram.negative_buckets);
        put_spans(dst, 11, &histogram.positive_spans);
        put_floats(dst, 13, &histogram.positive_buckets);
    }
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    put_number(dst, 14, hint);
    put_number(dst, 15, timestamp as u64);
    put_floats(dst, 16, &histogram.custom_values);
}

fn put_common(dst: &mut Vec<u8>, histogram: &FloatHistogram) {
    put_double(dst, 3, histogram.sum);
    put_zigzag(dst, 4, i64::from(histogram.schema));
    put_double(dst, 5, histogram.zero_threshold);
}

fn put_float(dst: &mut Vec<u8>, field: u64, number: f64) {
    put_varint(dst, field << 3 | 1);
    dst.extend_from_slice(&number.to_bits().to_le_bytes());
}

fn put_spans(dst: &mut Vec<u8>, field: u64, spans: &[BucketSpan]) {
    let mut message = Vec::new();
    for span in spans {
        message.clear();
        put_zigzag(&mut message, 1, i64::from(span.offset));
        put_number(&mut message, 2, u64::from(span.length));
        put_bytes(dst, field, &message);
    }
}

fn put_differences(dst: &mut Vec<u8>, field: u64, buckets: &[f64]) {
    if buckets.is_empty() {
        return;
    }
    let (mut packed, mut before) = (Vec::with_capacity(buckets.len() * 2), 0);
    for bucket in buckets {
        let count = *bucket as i64;
        put_varint(&mut packed, to_zigzag(count - before));
        before = count;
    }
    put_bytes(dst, field, &packed);
}

fn put_floats(dst: &mut Vec<u8>, field: u64, numbers: &[f64]) {
    if numbers.is_empty() {
        return;
    }
    let packed: Vec<u8> = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
    put_bytes(dst, field, &packed);
}
