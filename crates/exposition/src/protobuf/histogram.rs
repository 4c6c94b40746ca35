//! A protobuf histogram: classic buckets, a native histogram, or both.

use model::{BucketSpan, CounterResetHint, FloatHistogram};

use super::wire::{Malformed, Reader, Value, zigzag};

/// What a histogram message says beside its classic buckets, whose messages are read again where they are wanted.
#[derive(Debug, Default)]
pub(super) struct HistogramHead {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) classic_buckets: usize,
    pub(super) is_native: bool,
    pub(super) created: Option<i64>,
}

/// Buckets of a histogram are bounded, so that a few bytes of spans cannot ask for memory without end.
const BUCKETS_MAX: u64 = 1 << 16;

/// Reads a histogram; the native part into `native`.
pub(super) fn read(
    bytes: &[u8],
    is_gauge: bool,
    native: &mut FloatHistogram,
) -> Result<HistogramHead, Malformed> {
    clear(native);
    let mut head = HistogramHead::default();
    let mut reader = Reader::new(bytes);
    let (mut positive_is_float, mut negative_is_float) = (false, false);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 if head.count == 0.0 => head.count = value.varint() as f64,
            2 => head.sum = value.double(),
            3 => head.classic_buckets += 1,
            4 if value.double() > 0.0 => head.count = value.double(),
            5 => native.schema = value.zigzag() as i32,
            6 => native.zero_threshold = value.double(),
            7 if native.zero_count == 0.0 => native.zero_count = value.varint() as f64,
            8 if value.double() > 0.0 => native.zero_count = value.double(),
            9 => span(value, &mut native.negative_spans)?,
            10 => deltas(value, &mut native.negative_buckets)?,
            11 => floats(value, &mut native.negative_buckets, &mut negative_is_float)?,
            12 => span(value, &mut native.positive_spans)?,
            13 => deltas(value, &mut native.positive_buckets)?,
            14 => floats(value, &mut native.positive_buckets, &mut positive_is_float)?,
            15 => head.created = super::metric::timestamp(value)?,
            _ => {}
        }
    }
    head.is_native = !native.positive_spans.is_empty()
        || !native.negative_spans.is_empty()
        || native.zero_threshold > 0.0
        || native.zero_count > 0.0;
    if !positive_is_float {
        accumulate(&mut native.positive_buckets);
    }
    if !negative_is_float {
        accumulate(&mut native.negative_buckets);
    }
    if head.is_native {
        check(native)?;
    }
    native.count = head.count;
    native.sum = head.sum;
    native.counter_reset_hint = if is_gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
    Ok(head)
}

fn clear(native: &mut FloatHistogram) {
    native.schema = 0;
    native.zero_threshold = 0.0;
    native.zero_count = 0.0;
    native.positive_spans.clear();
    native.negative_spans.clear();
    native.positive_buckets.clear();
    native.negative_buckets.clear();
    native.custom_values.clear();
}

fn check(native: &FloatHistogram) -> Result<(), Malformed> {
    let fits = |spans: &[BucketSpan], buckets: &[f64]| {
        let length: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        length <= BUCKETS_MAX && length == buckets.len() as u64
    };
    if !fits(&native.positive_spans, &native.positive_buckets)
        || !fits(&native.negative_spans, &native.negative_buckets)
    {
        return Err(Malformed("histogram spans do not fit its buckets"));
    }
    Ok(())
}

/// An empty span without offset marks a native histogram without observations.
fn span(value: Value<'_>, spans: &mut Vec<BucketSpan>) -> Result<(), Malformed> {
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

fn deltas(value: Value<'_>, buckets: &mut Vec<f64>) -> Result<(), Malformed> {
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

fn floats(value: Value<'_>, buckets: &mut Vec<f64>, is_float: &mut bool) -> Result<(), Malformed> {
    *is_float = true;
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
