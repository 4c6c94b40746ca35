//! Which buckets a chunk's histograms have.

use model::{BucketSpan, FloatHistogram};

use crate::varbit::{get_varbit, get_varbit_unsigned, put_varbit, put_varbit_unsigned};
use crate::{BitReader, BitWriter, DecodeError};

/// More buckets than this in one histogram are taken for damage.
pub(super) const BUCKETS_MAX: usize = 1 << 16;
/// The schema of custom bucket bounds.
const CUSTOM_SCHEMA: i32 = -53;
/// Custom bounds that are multiples of 0.001 up to here are stored as integers.
const CUSTOM_BOUND_MAX: f64 = 33_554_430.0;

/// The bounds and the buckets in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<BucketSpan>,
    pub(super) negative_spans: Vec<BucketSpan>,
    pub(super) custom_values: Vec<f64>,
    positive: Vec<i64>,
    negative: Vec<i64>,
}

impl Layout {
    pub(super) fn of(histogram: &FloatHistogram) -> Result<Self, DecodeError> {
        let layout = Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: bucket_indexes(&histogram.positive_spans)?,
            negative: bucket_indexes(&histogram.negative_spans)?,
            positive_spans: histogram.positive_spans.clone(),
            negative_spans: histogram.negative_spans.clone(),
            custom_values: histogram.custom_values.clone(),
        };
        let fits = layout.positive.len() == histogram.positive_buckets.len()
            && layout.negative.len() == histogram.negative_buckets.len();
        if fits { Ok(layout) } else { Err(DecodeError::Invalid("histogram spans")) }
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    pub(super) fn positive_count(&self) -> usize {
        self.positive.len()
    }

    pub(super) fn same_bounds(&self, histogram: &FloatHistogram) -> bool {
        self.schema == histogram.schema
            && self.zero_threshold.to_bits() == histogram.zero_threshold.to_bits()
            && self.custom_values == histogram.custom_values
    }

    /// A layout with the buckets of both; `self` unchanged where it has them all.
    pub(super) fn merge(&self, other: &Self) -> Result<Self, DecodeError> {
        let positive = union(&self.positive, &other.positive);
        let negative = union(&self.negative, &other.negative);
        if positive == self.positive && negative == self.negative {
            return Ok(self.clone());
        }
        if positive.len() + negative.len() > BUCKETS_MAX {
            return Err(DecodeError::Invalid("histogram spans"));
        }
        Ok(Self {
            positive_spans: spans_of(&positive),
            negative_spans: spans_of(&negative),
            positive,
            negative,
            ..self.clone()
        })
    }

    /// The buckets of `histogram`, which has the layout `theirs`, in this layout; missing ones are 0.
    pub(super) fn expand(&self, theirs: &Self, histogram: &FloatHistogram) -> Vec<f64> {
        let mut buckets = Vec::with_capacity(self.bucket_count());
        place(&self.positive, &theirs.positive, &histogram.positive_buckets, &mut buckets);
        place(&self.negative, &theirs.negative, &histogram.negative_buckets, &mut buckets);
        buckets
    }

    /// Gives `histogram` this layout with `buckets`.
    pub(super) fn apply(&self, buckets: &[f64], histogram: &mut FloatHistogram) {
        let (positive, negative) = buckets.split_at(self.positive.len());
        histogram.positive_spans.clone_from(&self.positive_spans);
        histogram.negative_spans.clone_from(&self.negative_spans);
        histogram.positive_buckets = positive.to_vec();
        histogram.negative_buckets = negative.to_vec();
    }

    /// Integer buckets as differences to their left neighbours, each side on its own.
    pub(super) fn differences(&self, buckets: &[f64]) -> Vec<i64> {
        let mut out = Vec::with_capacity(buckets.len());
        let (positive, negative) = buckets.split_at(self.positive.len().min(buckets.len()));
        for side in [positive, negative] {
            let mut before = 0;
            for bucket in side {
                out.push(*bucket as i64 - before);
                before = *bucket as i64;
            }
        }
        out
    }

    pub(super) fn put(&self, writer: &mut BitWriter, dst: &mut Vec<u8>) {
        put_zero_threshold(writer, dst, self.zero_threshold);
        put_varbit(writer, dst, i64::from(self.schema));
        for spans in [&self.positive_spans, &self.negative_spans] {
            put_varbit_unsigned(writer, dst, spans.len() as u64);
            for span in spans {
                put_varbit_unsigned(writer, dst, u64::from(span.length));
                put_varbit(writer, dst, i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_SCHEMA {
            put_varbit_unsigned(writer, dst, self.custom_values.len() as u64);
            for bound in &self.custom_values {
                put_custom_bound(writer, dst, *bound);
            }
        }
    }

    pub(super) fn get(reader: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let zero_threshold = get_zero_threshold(reader)?;
        let schema = i32::try_from(get_varbit(reader)?).map_err(|_| DecodeError::Invalid("schema"))?;
        let positive_spans = get_spans(reader)?;
        let negative_spans = get_spans(reader)?;
        let mut custom_values = Vec::new();
        if schema == CUSTOM_SCHEMA {
            let count = get_varbit_unsigned(reader)? as usize;
            if count > reader.bits_left() {
                return Err(DecodeError::Truncated);
            }
            for _ in 0..count {
                custom_values.push(get_custom_bound(reader)?);
            }
        }
        let positive = bucket_indexes(&positive_spans)?;
        let negative = bucket_indexes(&negative_spans)?;
        Ok(Self { schema, zero_threshold, positive_spans, negative_spans, custom_values, positive, negative })
    }
}

fn bucket_indexes(spans: &[BucketSpan]) -> Result<Vec<i64>, DecodeError> {
    let total: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if total > BUCKETS_MAX as u64 {
        return Err(DecodeError::Invalid("histogram spans"));
    }
    let mut indexes = Vec::with_capacity(total as usize);
    let mut next = 0i64;
    for (at, span) in spans.iter().enumerate() {
        if at > 0 && span.offset < 0 {
            return Err(DecodeError::Invalid("histogram spans"));
        }
        next += i64::from(span.offset);
        let end = next + i64::from(span.length);
        indexes.extend(next..end);
        next = end;
    }
    Ok(indexes)
}

fn spans_of(indexes: &[i64]) -> Vec<BucketSpan> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0;
    for index in indexes {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: (index - next) as i32, length: 1 }),
        }
        next = index + 1;
    }
    spans
}

fn union(a: &[i64], b: &[i64]) -> Vec<i64> {
    let mut all: Vec<i64> = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Puts `buckets`, which lie at `from`, to their places in `to`. All of `from` must be in `to`.
fn place(to: &[i64], from: &[i64], buckets: &[f64], out: &mut Vec<f64>) {
    let mut source = from.iter().zip(buckets).peekable();
    for index in to {
        let bucket = source.next_if(|(at, _)| *at == index).map_or(0.0, |(_, bucket)| *bucket);
        out.push(bucket);
    }
}

/// The exponent of a power of two in the range that fits one byte, as IEEE 754 with a fraction of 0.5 counts it.
fn small_power(threshold: f64) -> Option<i32> {
    let bits = threshold.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let is_power = threshold > 0.0 && bits & ((1 << 52) - 1) == 0;
    (is_power && (-242..=11).contains(&exponent)).then_some(exponent)
}

fn put_zero_threshold(writer: &mut BitWriter, dst: &mut Vec<u8>, threshold: f64) {
    if threshold == 0.0 {
        writer.byte(dst, 0);
    } else if let Some(exponent) = small_power(threshold) {
        writer.byte(dst, (exponent + 243) as u8);
    } else {
        writer.byte(dst, 255);
        writer.put(dst, threshold.to_bits(), 64);
    }
}

fn get_zero_threshold(reader: &mut BitReader<'_>) -> Result<f64, DecodeError> {
    let threshold = match reader.get(8) {
        0 => 0.0,
        255 => f64::from_bits(reader.get(64)),
        byte => 2f64.powi(byte as i32 - 244),
    };
    reader.check()?;
    Ok(threshold)
}

fn put_custom_bound(writer: &mut BitWriter, dst: &mut Vec<u8>, bound: f64) {
    let thousandfold = bound * 1000.0;
    let whole = (0.0..=CUSTOM_BOUND_MAX).contains(&thousandfold) && thousandfold.round() / 1000.0 == bound;
    if whole {
        put_varbit_unsigned(writer, dst, thousandfold.round() as u64 + 1);
    } else {
        writer.bit(dst, false);
        writer.put(dst, bound.to_bits(), 64);
    }
}

fn get_custom_bound(reader: &mut BitReader<'_>) -> Result<f64, DecodeError> {
    let bound = match get_varbit_unsigned(reader)? {
        0 => f64::from_bits(reader.get(64)),
        stored => (stored - 1) as f64 / 1000.0,
    };
    reader.check()?;
    Ok(bound)
}

fn get_spans(reader: &mut BitReader<'_>) -> Result<Vec<BucketSpan>, DecodeError> {
    let count = get_varbit_unsigned(reader)? as usize;
    if count > reader.bits_left() {
        return Err(DecodeError::Truncated);
    }
    let mut spans = Vec::new();
    for _ in 0..count {
        let length = u32::try_from(get_varbit_unsigned(reader)?);
        let offset = i32::try_from(get_varbit(reader)?);
        let (Ok(length), Ok(offset)) = (length, offset) else {
            return Err(DecodeError::Invalid("histogram spans"));
        };
        spans.push(BucketSpan { offset, length });
    }
    Ok(spans)
}
