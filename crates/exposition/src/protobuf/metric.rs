//! One protobuf metric, expanded into the series that it stands for.

use std::ops::Range;

use model::{FloatHistogram, MetricType};

use crate::ParseOptions;
use crate::float::{NORMAL_NAN, format_open_metrics};

use super::histogram;
use super::wire::{Malformed, Reader, Value, text};

/// The samples of one metric; all buffers are reused for the next.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    pub(super) text: Vec<u8>,
    pub(super) samples: Vec<Sample>,
    pub(super) histogram: FloatHistogram,
    pub(super) timestamp: Option<i64>,
    pub(super) start: Option<i64>,
    /// The labels, written once per metric: `,"a"="b"`.
    labels: Vec<u8>,
    number: String,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) series: Range<usize>,
    pub(super) value: f64,
    pub(super) exemplar: Option<Exemplar>,
    pub(super) is_histogram: bool,
}

#[derive(Debug)]
pub(super) struct Exemplar {
    pub(super) labels: Range<usize>,
    pub(super) value: f64,
    pub(super) timestamp: Option<i64>,
}

impl Expansion {
    /// Replaces the content by the samples of `metric`.
    pub(super) fn fill(
        &mut self,
        family: &str,
        kind: MetricType,
        metric: &[u8],
        options: ParseOptions,
    ) -> Result<(), Malformed> {
        self.text.clear();
        self.samples.clear();
        self.labels.clear();
        (self.timestamp, self.start) = (None, None);
        let mut body = None;
        let mut reader = Reader::new(metric);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (1, Value::Bytes(pair)) => write_pair(&mut self.labels, pair, ",")?,
                (2..=5 | 7, Value::Bytes(bytes)) => body = Some((field, bytes)),
                (6, Value::Varint(ms)) if ms != 0 => self.timestamp = Some(ms as i64),
                _ => {}
            }
        }
        match body {
            Some((4, summary)) => self.summary(family, summary),
            Some((7, bytes)) => self.histogram(family, kind, bytes, options),
            Some((_, bytes)) => self.simple(family, bytes),
            None => Ok(()),
        }
    }

    /// A counter, a gauge or an untyped metric.
    fn simple(&mut self, family: &str, bytes: &[u8]) -> Result<(), Malformed> {
        let (mut value, mut exemplar) = (0.0, None);
        let mut reader = Reader::new(bytes);
        while let Some((field, found)) = reader.field()? {
            match (field, found) {
                (1, _) => value = found.double(),
                (2, Value::Bytes(bytes)) => exemplar = Some(bytes),
                (3, _) => self.start = timestamp(found)?,
                _ => {}
            }
        }
        self.push(family, "", None, value, exemplar)
    }

    fn summary(&mut self, family: &str, bytes: &[u8]) -> Result<(), Malformed> {
        let (mut count, mut sum) = (0.0, 0.0);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (1, _) => count = value.varint() as f64,
                (2, _) => sum = value.double(),
                (3, Value::Bytes(quantile)) => {
                    let (at, value) = two_doubles(quantile)?;
                    self.push(family, "", Some(("quantile", at)), value, None)?;
                }
                (4, _) => self.start = timestamp(value)?,
                _ => {}
            }
        }
        self.push(family, "_sum", None, sum, None)?;
        self.push(family, "_count", None, count, None)
    }

    fn histogram(
        &mut self,
        family: &str,
        kind: MetricType,
        bytes: &[u8],
        options: ParseOptions,
    ) -> Result<(), Malformed> {
        let is_gauge = kind == MetricType::GaugeHistogram;
        let head = histogram::read(bytes, is_gauge, &mut self.histogram)?;
        self.start = head.created;
        let native = head.is_native && options.native_histograms;
        if native {
            self.push(family, "", None, 0.0, None)?;
            if let Some(sample) = self.samples.last_mut() {
                sample.is_histogram = true;
            }
            if !options.keep_classic || head.classic_buckets == 0 {
                return Ok(());
            }
        }
        let mut has_infinite = false;
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            if let (3, Value::Bytes(bucket)) = (field, value) {
                has_infinite |= self.bucket(family, bucket)?;
            }
        }
        if !has_infinite {
            self.push(family, "_bucket", Some(("le", f64::INFINITY)), head.count, None)?;
        }
        self.push(family, "_sum", None, head.sum, None)?;
        self.push(family, "_count", None, head.count, None)
    }

    /// A classic bucket; whether it is the one without an upper bound.
    fn bucket(&mut self, family: &str, bytes: &[u8]) -> Result<bool, Malformed> {
        let (mut count, mut bound, mut exemplar) = (0.0, 0.0, None);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (1, _) if count == 0.0 => count = value.varint() as f64,
                (2, _) => bound = value.double(),
                (3, Value::Bytes(bytes)) => exemplar = Some(bytes),
                (4, _) if value.double() > 0.0 => count = value.double(),
                _ => {}
            }
        }
        self.push(family, "_bucket", Some(("le", bound)), count, exemplar)?;
        Ok(bound == f64::INFINITY)
    }

    fn push(
        &mut self,
        family: &str,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: f64,
        exemplar: Option<&[u8]>,
    ) -> Result<(), Malformed> {
        let start = self.text.len();
        self.text.extend_from_slice(b"{\"");
        escape(&mut self.text, family);
        self.text.extend_from_slice(suffix.as_bytes());
        self.text.push(b'"');
        self.text.extend_from_slice(&self.labels);
        if let Some((name, number)) = extra {
            self.number.clear();
            format_open_metrics(&mut self.number, number);
            self.text.extend_from_slice(b",\"");
            self.text.extend_from_slice(name.as_bytes());
            self.text.extend_from_slice(b"\"=\"");
            self.text.extend_from_slice(self.number.as_bytes());
            self.text.push(b'"');
        }
        self.text.push(b'}');
        let series = start..self.text.len();
        let exemplar = exemplar.map(|bytes| self.exemplar(bytes)).transpose()?;
        let value = if value.is_nan() { f64::from_bits(NORMAL_NAN) } else { value };
        self.samples.push(Sample { series, value, exemplar, is_histogram: false });
        Ok(())
    }

    fn exemplar(&mut self, bytes: &[u8]) -> Result<Exemplar, Malformed> {
        let start = self.text.len();
        self.text.push(b'{');
        let (mut value, mut at, mut separator) = (0.0, None, "");
        let mut reader = Reader::new(bytes);
        while let Some((field, found)) = reader.field()? {
            match (field, found) {
                (1, Value::Bytes(pair)) => {
                    write_pair(&mut self.text, pair, separator)?;
                    separator = ",";
                }
                (2, _) => value = found.double(),
                (3, _) => at = timestamp(found)?,
                _ => {}
            }
        }
        self.text.push(b'}');
        Ok(Exemplar { labels: start..self.text.len(), value, timestamp: at })
    }
}

/// A summary's quantile and its value.
fn two_doubles(bytes: &[u8]) -> Result<(f64, f64), Malformed> {
    let mut found = (0.0, 0.0);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => found.0 = value.double(),
            2 => found.1 = value.double(),
            _ => {}
        }
    }
    Ok(found)
}

/// A `google.protobuf.Timestamp` in ms.
pub(super) fn timestamp(value: Value<'_>) -> Result<Option<i64>, Malformed> {
    let Value::Bytes(bytes) = value else {
        return Ok(None);
    };
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => seconds = value.varint() as i64,
            2 => nanos = value.varint() as i64,
            _ => {}
        }
    }
    Ok(seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanos / 1_000_000)))
}

/// Writes a `LabelPair` as `"name"="value"` after `separator`.
fn write_pair(out: &mut Vec<u8>, bytes: &[u8], separator: &str) -> Result<(), Malformed> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some((field, found)) = reader.field()? {
        match (field, found) {
            (1, Value::Bytes(bytes)) => name = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    out.extend_from_slice(separator.as_bytes());
    out.push(b'"');
    escape(out, name);
    out.extend_from_slice(b"\"=\"");
    escape(out, value);
    out.push(b'"');
    Ok(())
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
}
