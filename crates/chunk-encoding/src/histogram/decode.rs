//! Reading histogram chunks.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, is_stale_nan};

use super::layout::Layout;
use super::{CounterResetHeader, HEADER_BYTES, HistogramKind};
use crate::varbit::{get_varbit, get_varbit_unsigned};
use crate::xor::XorWindow;
use crate::{BitReader, DecodeError};

/// Appends all histograms of a chunk to the two columns, integer counts as floats. After an error they hold what came
/// before it.
pub fn decode_histograms(
    kind: HistogramKind,
    chunk: &[u8],
    timestamps: &mut Vec<i64>,
    histograms: &mut Vec<Arc<FloatHistogram>>,
) -> Result<(), DecodeError> {
    let (header, stream) = chunk.split_first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Truncated)?;
    let total = u16::from_be_bytes([header[0], header[1]]);
    if total == 0 {
        return Ok(());
    }
    let header = CounterResetHeader::from_bits(header[2]);
    let mut reader = BitReader::new(stream);
    let layout = Layout::get(&mut reader)?;
    // A bucket takes at least one bit in each sample.
    if layout.bucket_count() > reader.bits_left() {
        return Err(DecodeError::Truncated);
    }
    let field_count = 2 + layout.bucket_count();
    let mut state = match kind {
        HistogramKind::Integer => {
            State::Integer { values: vec![0; field_count], deltas: vec![0; field_count] }
        }
        HistogramKind::Float => {
            State::Float { bits: vec![0; field_count], windows: vec![XorWindow::NONE; field_count] }
        }
    };
    let (mut timestamp, mut delta) = (0i64, 0i64);
    let (mut sum, mut sum_window) = (0u64, XorWindow::NONE);
    for idx in 0..total {
        let step = get_varbit(&mut reader)?;
        if idx == 0 {
            timestamp = step;
        } else {
            delta = delta.wrapping_add(step);
            timestamp = timestamp.wrapping_add(delta);
        }
        state.get_counts(&mut reader, idx == 0)?;
        sum = if idx == 0 { reader.get(64) } else { sum_window.get(&mut reader, sum)? };
        reader.check()?;
        let histogram = if is_stale_nan(f64::from_bits(sum)) {
            FloatHistogram { sum: f64::from_bits(sum), ..FloatHistogram::default() }
        } else {
            state.get_buckets(&mut reader, idx == 0)?;
            reader.check()?;
            let mut histogram = state.histogram(&layout);
            histogram.sum = f64::from_bits(sum);
            histogram.counter_reset_hint = hint(header, idx);
            histogram
        };
        timestamps.push(timestamp);
        histograms.push(Arc::new(histogram));
    }
    Ok(())
}

fn hint(header: CounterResetHeader, idx: u16) -> CounterResetHint {
    match header {
        CounterResetHeader::Gauge => CounterResetHint::Gauge,
        _ if idx > 0 => CounterResetHint::NotCounterReset,
        CounterResetHeader::Reset => CounterResetHint::CounterReset,
        // What was before the chunk may be gone, so that "no reset" cannot be relied on.
        CounterResetHeader::NotReset | CounterResetHeader::Unknown => CounterResetHint::Unknown,
    }
}

enum State {
    Integer { values: Vec<i64>, deltas: Vec<i64> },
    Float { bits: Vec<u64>, windows: Vec<XorWindow> },
}

impl State {
    fn get_counts(&mut self, reader: &mut BitReader<'_>, first: bool) -> Result<(), DecodeError> {
        match self {
            Self::Integer { values, .. } if first => {
                for value in &mut values[..2] {
                    *value = get_varbit_unsigned(reader)? as i64;
                }
                Ok(())
            }
            Self::Integer { values, deltas } => next_integers(reader, &mut values[..2], &mut deltas[..2]),
            Self::Float { bits, windows } => next_floats(reader, &mut bits[..2], &mut windows[..2], first),
        }
    }

    fn get_buckets(&mut self, reader: &mut BitReader<'_>, first: bool) -> Result<(), DecodeError> {
        match self {
            Self::Integer { values, .. } if first => {
                for value in &mut values[2..] {
                    *value = get_varbit(reader)?;
                }
                Ok(())
            }
            Self::Integer { values, deltas } => next_integers(reader, &mut values[2..], &mut deltas[2..]),
            Self::Float { bits, windows } => next_floats(reader, &mut bits[2..], &mut windows[2..], first),
        }
    }

    fn histogram(&self, layout: &Layout) -> FloatHistogram {
        let mut histogram = FloatHistogram {
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            custom_values: layout.custom_values.clone(),
            ..FloatHistogram::default()
        };
        let split = 2 + layout.positive_count();
        match self {
            Self::Integer { values, .. } => {
                (histogram.count, histogram.zero_count) = (values[0] as u64 as f64, values[1] as u64 as f64);
                histogram.positive_buckets = accumulate(&values[2..split]);
                histogram.negative_buckets = accumulate(&values[split..]);
            }
            Self::Float { bits, .. } => {
                (histogram.count, histogram.zero_count) = (f64::from_bits(bits[0]), f64::from_bits(bits[1]));
                let floats = |bits: &[u64]| bits.iter().map(|bits| f64::from_bits(*bits)).collect();
                histogram.positive_buckets = floats(&bits[2..split]);
                histogram.negative_buckets = floats(&bits[split..]);
            }
        }
        histogram
    }
}

fn next_integers(
    reader: &mut BitReader<'_>,
    values: &mut [i64],
    deltas: &mut [i64],
) -> Result<(), DecodeError> {
    for (value, delta) in values.iter_mut().zip(deltas) {
        *delta = delta.wrapping_add(get_varbit(reader)?);
        *value = value.wrapping_add(*delta);
    }
    Ok(())
}

fn next_floats(
    reader: &mut BitReader<'_>,
    bits: &mut [u64],
    windows: &mut [XorWindow],
    first: bool,
) -> Result<(), DecodeError> {
    for (bits, window) in bits.iter_mut().zip(windows) {
        *bits = if first { reader.get(64) } else { window.get(reader, *bits)? };
        reader.check()?;
    }
    Ok(())
}

fn accumulate(differences: &[i64]) -> Vec<f64> {
    let mut total = 0i64;
    let running = |difference: &i64| {
        total = total.wrapping_add(*difference);
        total as f64
    };
    differences.iter().map(running).collect()
}
