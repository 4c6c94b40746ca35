//! Native histogram chunks: integer (encoding 2) and float (encoding 3).
//!
//! Bytes 0 and 1 hold the number of samples, byte 2 what is known of counter resets, then a bit stream: the bucket layout
//! once, and a sample's fields as delta of delta (integers) or XOR with the predecessor (floats).

mod decode;
mod layout;

use model::{CounterResetHint, FloatHistogram, is_stale_nan};

use crate::varbit::{put_varbit, put_varbit_unsigned};
use crate::xor::XorWindow;
use crate::{BitWriter, DecodeError};
pub use decode::decode_histograms;
use layout::Layout;

/// Counts up to here are exact as floats, so an integer chunk can hold them without loss.
const EXACT_COUNT_MAX: f64 = 9_007_199_254_740_992.0;
const HEADER_BYTES: usize = 3;
const RESET_MASK: u8 = 0b1100_0000;

/// Which of the two encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramKind {
    /// Encoding 2: all counts are integers.
    Integer,
    /// Encoding 3.
    Float,
}

impl HistogramKind {
    /// The denser encoding that holds `histogram` without loss.
    pub fn of(histogram: &FloatHistogram) -> Self {
        let exact = |count: &f64| (0.0..=EXACT_COUNT_MAX).contains(count) && count.fract() == 0.0;
        let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
        match buckets.chain([&histogram.count, &histogram.zero_count]).all(exact) {
            true => Self::Integer,
            false => Self::Float,
        }
    }

    /// The encoding byte in chunk files.
    pub fn encoding(self) -> u8 {
        match self {
            Self::Integer => crate::ENCODING_HISTOGRAM,
            Self::Float => crate::ENCODING_FLOAT_HISTOGRAM,
        }
    }
}

/// What is known of counter resets between a chunk's first histogram and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterResetHeader {
    /// Nothing.
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// A gauge histogram.
    Gauge,
}

impl CounterResetHeader {
    fn bits(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::NotReset => 0b0100_0000,
            Self::Reset => 0b1000_0000,
            Self::Gauge => 0b1100_0000,
        }
    }

    fn from_bits(byte: u8) -> Self {
        match byte & RESET_MASK {
            0b0100_0000 => Self::NotReset,
            0b1000_0000 => Self::Reset,
            0b1100_0000 => Self::Gauge,
            _ => Self::Unknown,
        }
    }
}

/// The histogram does not fit into the chunk: start a new one with this header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutReason(pub CounterResetHeader);

/// An open histogram chunk.
#[derive(Clone, Debug)]
pub struct HistogramAppender {
    kind: HistogramKind,
    header: CounterResetHeader,
    layout: Layout,
    /// Count, zero count, then positive and negative buckets; integer buckets as differences to their left neighbour.
    fields: Fields,
    sum_bits: u64,
    sum_window: XorWindow,
    timestamp: i64,
    delta: i64,
    count: u16,
    writer: BitWriter,
    chunk: Vec<u8>,
    last: FloatHistogram,
}

#[derive(Clone, Debug)]
enum Fields {
    Integer { values: Vec<i64>, deltas: Vec<i64> },
    Float { bits: Vec<u64>, windows: Vec<XorWindow> },
}

impl HistogramAppender {
    /// Starts a chunk with its first histogram. The histogram's spans have to fit its buckets.
    pub fn start(
        header: CounterResetHeader,
        timestamp: i64,
        histogram: &FloatHistogram,
    ) -> Result<Self, DecodeError> {
        let header = match histogram.counter_reset_hint {
            CounterResetHint::Gauge => CounterResetHeader::Gauge,
            CounterResetHint::CounterReset => CounterResetHeader::Reset,
            _ if header == CounterResetHeader::Gauge => CounterResetHeader::Unknown,
            _ => header,
        };
        Self::start_as(HistogramKind::of(histogram), header, timestamp, histogram)
    }

    fn start_as(
        kind: HistogramKind,
        header: CounterResetHeader,
        timestamp: i64,
        histogram: &FloatHistogram,
    ) -> Result<Self, DecodeError> {
        let stale = is_stale_nan(histogram.sum);
        let layout = if stale { Layout::default() } else { Layout::of(histogram)? };
        let field_count = 2 + layout.bucket_count();
        let mut appender = Self {
            kind,
            header,
            fields: match kind {
                HistogramKind::Integer => {
                    Fields::Integer { values: vec![0; field_count], deltas: vec![0; field_count] }
                }
                HistogramKind::Float => {
                    Fields::Float { bits: vec![0; field_count], windows: vec![XorWindow::NONE; field_count] }
                }
            },
            layout,
            sum_bits: histogram.sum.to_bits(),
            sum_window: XorWindow::NONE,
            timestamp,
            delta: 0,
            count: 0,
            writer: BitWriter::default(),
            chunk: vec![0, 0, header.bits()],
            last: histogram.clone(),
        };
        appender.write_first(timestamp, histogram, stale);
        Ok(appender)
    }

    /// Takes up an open chunk where it stands.
    pub fn resume(kind: HistogramKind, chunk: &[u8]) -> Result<Option<Self>, DecodeError> {
        let (mut timestamps, mut histograms) = (Vec::new(), Vec::new());
        decode_histograms(kind, chunk, &mut timestamps, &mut histograms)?;
        let mut samples = timestamps.into_iter().zip(histograms);
        let Some((timestamp, first)) = samples.next() else { return Ok(None) };
        let header = CounterResetHeader::from_bits(chunk[2]);
        let mut appender = Self::start_as(kind, header, timestamp, &first)?;
        for (timestamp, histogram) in samples {
            appender.append(timestamp, &histogram).map_err(|_| DecodeError::Invalid("histogram chunk"))?;
        }
        Ok(Some(appender))
    }

    /// Appends a histogram, or says with which header a new chunk has to be started. The caller sees to the order of time
    /// and to spans that fit the buckets.
    pub fn append(&mut self, timestamp: i64, histogram: &FloatHistogram) -> Result<(), CutReason> {
        let stale = is_stale_nan(histogram.sum);
        if stale {
            self.write_next(timestamp, histogram, &[], stale);
            return Ok(());
        }
        if is_stale_nan(self.last.sum) || self.count == u16::MAX {
            return Err(CutReason(CounterResetHeader::Unknown));
        }
        let gauge = histogram.counter_reset_hint == CounterResetHint::Gauge;
        if gauge != (self.header == CounterResetHeader::Gauge) {
            let header = if gauge { CounterResetHeader::Gauge } else { CounterResetHeader::Unknown };
            return Err(CutReason(header));
        }
        if self.kind == HistogramKind::Integer && HistogramKind::of(histogram) == HistogramKind::Float {
            return Err(CutReason(if gauge { self.header } else { CounterResetHeader::Unknown }));
        }
        if !gauge && histogram.counter_reset_hint == CounterResetHint::CounterReset {
            return Err(CutReason(CounterResetHeader::Reset));
        }
        self.append_comparable(timestamp, histogram, gauge)
    }

    fn append_comparable(
        &mut self,
        timestamp: i64,
        histogram: &FloatHistogram,
        gauge: bool,
    ) -> Result<(), CutReason> {
        let changed = CutReason(if gauge { CounterResetHeader::Gauge } else { CounterResetHeader::Unknown });
        let reset = CutReason(CounterResetHeader::Reset);
        if !gauge && histogram.count < self.last.count {
            return Err(reset);
        }
        if !self.layout.same_bounds(histogram) {
            return Err(changed);
        }
        if !gauge && histogram.zero_count < self.last.zero_count {
            return Err(reset);
        }
        let theirs = Layout::of(histogram).map_err(|_| changed)?;
        let merged = self.layout.merge(&theirs).map_err(|_| changed)?;
        let buckets = merged.expand(&theirs, histogram);
        if !gauge {
            let before = merged.expand(&self.layout, &self.last);
            if before.iter().zip(&buckets).any(|(old, new)| new < old) {
                return Err(reset);
            }
        }
        if merged != self.layout {
            self.change_layout(&merged).map_err(|_| changed)?;
        }
        self.write_next(timestamp, histogram, &buckets, false);
        Ok(())
    }

    /// The chunk's bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.chunk
    }

    /// Which encoding the chunk has.
    pub fn kind(&self) -> HistogramKind {
        self.kind
    }

    /// The number of histograms.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The newest histogram's time.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The newest histogram.
    pub fn last(&self) -> &FloatHistogram {
        &self.last
    }

    /// The heap bytes that the appender holds.
    pub fn heap_bytes(&self) -> usize {
        self.chunk.capacity() + self.layout.bucket_count() * 48
    }

    /// Writes the chunk anew with more buckets.
    fn change_layout(&mut self, merged: &Layout) -> Result<(), DecodeError> {
        let (mut timestamps, mut histograms) = (Vec::new(), Vec::new());
        decode_histograms(self.kind, &self.chunk, &mut timestamps, &mut histograms)?;
        let mut rewritten: Option<Self> = None;
        for (timestamp, histogram) in timestamps.into_iter().zip(histograms) {
            let mut histogram = FloatHistogram::clone(&histogram);
            let buckets = merged.expand(&self.layout, &histogram);
            merged.apply(&buckets, &mut histogram);
            match &mut rewritten {
                None => rewritten = Some(Self::start_as(self.kind, self.header, timestamp, &histogram)?),
                Some(appender) => appender.write_next(timestamp, &histogram, &buckets, false),
            }
        }
        if let Some(appender) = rewritten {
            *self = appender;
        }
        Ok(())
    }

    fn write_first(&mut self, timestamp: i64, histogram: &FloatHistogram, stale: bool) {
        let (writer, chunk) = (&mut self.writer, &mut self.chunk);
        self.layout.put(writer, chunk);
        put_varbit(writer, chunk, timestamp);
        let buckets = if stale { Vec::new() } else { self.layout.expand(&self.layout, histogram) };
        let (count, zero_count) = if stale { (0.0, 0.0) } else { (histogram.count, histogram.zero_count) };
        let sum = histogram.sum.to_bits();
        match &mut self.fields {
            Fields::Integer { values, .. } => {
                let neighbours = self.layout.differences(&buckets);
                (values[0], values[1]) = (count as i64, zero_count as i64);
                put_varbit_unsigned(writer, chunk, count as u64);
                put_varbit_unsigned(writer, chunk, zero_count as u64);
                writer.put(chunk, sum, 64);
                for (value, difference) in values[2..].iter_mut().zip(neighbours) {
                    *value = difference;
                    put_varbit(writer, chunk, difference);
                }
            }
            Fields::Float { bits, .. } => {
                (bits[0], bits[1]) = (count.to_bits(), zero_count.to_bits());
                writer.put(chunk, bits[0], 64);
                writer.put(chunk, bits[1], 64);
                writer.put(chunk, sum, 64);
                for (field, bucket) in bits[2..].iter_mut().zip(buckets) {
                    *field = bucket.to_bits();
                    writer.put(chunk, *field, 64);
                }
            }
        }
        self.finish_sample(timestamp, 0, histogram);
    }

    /// `buckets` are in the chunk's layout; none for a staleness marker.
    fn write_next(&mut self, timestamp: i64, histogram: &FloatHistogram, buckets: &[f64], stale: bool) {
        let delta = timestamp.wrapping_sub(self.timestamp);
        let (writer, chunk) = (&mut self.writer, &mut self.chunk);
        put_varbit(writer, chunk, delta.wrapping_sub(self.delta));
        let sum = histogram.sum.to_bits();
        match &mut self.fields {
            Fields::Integer { values, deltas } => {
                let new = [histogram.count as i64, histogram.zero_count as i64];
                for (idx, new) in new.into_iter().enumerate() {
                    if stale {
                        put_varbit(writer, chunk, 0);
                    } else {
                        put_integer(writer, chunk, &mut values[idx], &mut deltas[idx], new);
                    }
                }
                self.sum_window.put(writer, chunk, sum, self.sum_bits);
                let neighbours = self.layout.differences(buckets);
                for ((value, old_delta), new) in values[2..].iter_mut().zip(&mut deltas[2..]).zip(neighbours)
                {
                    put_integer(writer, chunk, value, old_delta, new);
                }
            }
            Fields::Float { bits, windows } => {
                let new = if stale { [0.0; 2] } else { [histogram.count, histogram.zero_count] };
                for (idx, new) in new.into_iter().enumerate() {
                    windows[idx].put(writer, chunk, new.to_bits(), bits[idx]);
                    bits[idx] = new.to_bits();
                }
                self.sum_window.put(writer, chunk, sum, self.sum_bits);
                for ((field, window), new) in bits[2..].iter_mut().zip(&mut windows[2..]).zip(buckets) {
                    window.put(writer, chunk, new.to_bits(), *field);
                    *field = new.to_bits();
                }
            }
        }
        self.finish_sample(timestamp, delta, histogram);
    }

    fn finish_sample(&mut self, timestamp: i64, delta: i64, histogram: &FloatHistogram) {
        self.count += 1;
        self.chunk[..2].copy_from_slice(&self.count.to_be_bytes());
        (self.timestamp, self.delta, self.sum_bits) = (timestamp, delta, histogram.sum.to_bits());
        self.last.clone_from(histogram);
    }
}

fn put_integer(writer: &mut BitWriter, chunk: &mut Vec<u8>, value: &mut i64, delta: &mut i64, new: i64) {
    let new_delta = new.wrapping_sub(*value);
    put_varbit(writer, chunk, new_delta.wrapping_sub(*delta));
    (*value, *delta) = (new, new_delta);
}

#[cfg(test)]
mod tests;
