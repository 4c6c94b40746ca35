//! A native histogram of remote write.

use model::{BucketSpan, CounterResetHint, FloatHistogram, TimestampMs};

use crate::error::DecodeError;
use crate::wire_format::{Reader, Value, zigzag};

/// Reads a histogram and its time. Integer counts become floats; whether its parts fit is checked here.
pub(crate) fn read(bytes: &[u8]) -> Result<(TimestampMs, FloatHistogram), DecodeError> {
    let mut histogram = FloatHistogram::default();
    let mut timestamp = 0;
    let (mut negative_is_float, mut positive_is_float) = (false, false);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => histogram.count = value.varint() as f64,
            2 => histogram.count = value.double(),
            3 => histogram.sum = value.double(),
            4 => histogram.schema = value.zigzag() as i32,
            5 => histogram.zero_threshold = value.double(),
            6 => histogram.zero_count = value.varint() as f64,
            7 => histogram.zero_count = value.double(),
            8 => span(value, &mut histogram.negative_spans)?,
            9 => deltas(value, &mut histogram.negative_buckets)?,
            10 => {
                negative_is_float = true;
                floats(value, &mut histogram.negative_buckets)?;
            }
            11 => span(value, &mut histogram.positive_spans)?,
            12 => deltas(value, &mut histogram.positive_buckets)?,
            13 => {
                positive_is_float = true;
                floats(value, &mut histogram.positive_buckets)?;
            }
            14 => {
                histogram.counter_reset_hint = match value.varint() {
                    1 => CounterResetHint::CounterReset,
                    2 => CounterResetHint::NotCounterReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => timestamp = value.varint() as i64,
            16 => floats(value, &mut histogram.custom_values)?,
            _ => {}
        }
    }
    if !negative_is_float {
        accumulate(&mut histogram.negative_buckets);
    }
    if !positive_is_float {
        accumulate(&mut histogram.positive_buckets);
    }
    let fits = |spans: &[BucketSpan], buckets: &[f64]| {
        spans.iter().map(|span| u64::from(span.length)).sum::<u64>() == buckets.len() as u64
    };
    if !fits(&histogram.positive_spans, &histogram.positive_buckets)
        || !fits(&histogram.negative_spans, &histogram.negative_buckets)
    {
        return Err(DecodeError { offset: 0, reason: "histogram spans do not fit its buckets" });
    }
    Ok((timestamp, histogram))
}

fn span(value: Value<'_>, spans: &mut Vec<BucketSpan>) -> Result<(), DecodeError> {
    let Value::Bytes(bytes) = value else {
        return Ok(());
    };
    let mut span = BucketSpan::default();
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => span.offset = value.zigzag() as i32,
            2 => span.length = value.varint() as u32,
            _ => {}
        }
    }
    spans.push(span);
    Ok(())
}

fn deltas(value: Value<'_>, buckets: &mut Vec<f64>) -> Result<(), DecodeError> {
    match value {
        Value::Varint(number) => buckets.push(zigzag(number) as f64),
        Value::Bytes(bytes) => {
            let mut reader = Reader::new(bytes);
            while let Some(number) = reader.packed_varint()? {
                buckets.push(zigzag(number) as f64);
            }
        }
        _ => {}
    }
    Ok(())
}

fn floats(value: Value<'_>, buckets: &mut Vec<f64>) -> Result<(), DecodeError> {
    match value {
        Value::Fixed64(bits) => buckets.push(f64::from_bits(bits)),
        Value::Bytes(bytes) => {
            let mut reader = Reader::new(bytes);
            while let Some(number) = reader.packed_double()? {
                buckets.push(number);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Integer buckets are sent as differences to the bucket before.
fn accumulate(buckets: &mut [f64]) {
    let mut count = 0.0;
    for bucket in buckets {
        count += *bucket;
        *bucket = count;
    }
}
