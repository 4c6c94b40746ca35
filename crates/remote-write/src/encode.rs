//! Writing requests, 1.0 and 2.0.

mod histogram;
mod symbols;

use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, MetricType, TimestampMs};

use crate::wire_format::{put_bytes, put_double, put_number, put_varint};
use symbols::Symbols;

/// A series to be sent.
#[derive(Clone, Debug, Default)]
pub struct OutgoingSeries {
    /// Its labels; the empty set where nothing was set.
    pub labels: Option<Labels>,
    /// Float samples in order of time.
    pub samples: Vec<(TimestampMs, f64)>,
    /// Histograms in order of time.
    pub histograms: Vec<(TimestampMs, Arc<FloatHistogram>)>,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// What its family is; sent in 2.0 only.
    pub metadata: Option<Arc<MetricMetadata>>,
}

/// A `prometheus.WriteRequest`.
pub fn encode_v1(series: &[OutgoingSeries]) -> Vec<u8> {
    let (mut out, mut message, mut part, mut text) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in series {
        message.clear();
        for (name, value) in one.labels.iter().flat_map(Labels::iter) {
            put_label(&mut message, &mut text, name, value);
        }
        for (timestamp, value) in &one.samples {
            part.clear();
            put_double(&mut part, 1, *value);
            put_number(&mut part, 2, *timestamp as u64);
            put_bytes(&mut message, 2, &part);
        }
        for exemplar in &one.exemplars {
            part.clear();
            for (name, value) in exemplar.labels.iter() {
                put_label(&mut part, &mut text, name, value);
            }
            put_double(&mut part, 2, exemplar.value);
            put_number(&mut part, 3, exemplar.timestamp as u64);
            put_bytes(&mut message, 3, &part);
        }
        for (timestamp, histogram) in &one.histograms {
            part.clear();
            histogram::put(&mut part, *timestamp, histogram);
            put_bytes(&mut message, 4, &part);
        }
        put_bytes(&mut out, 1, &message);
    }
    out
}

fn put_label(dst: &mut Vec<u8>, text: &mut Vec<u8>, name: &str, value: &str) {
    text.clear();
    put_bytes(text, 1, name.as_bytes());
    put_bytes(text, 2, value.as_bytes());
    put_bytes(dst, 1, text);
}

/// A `prometheus.WriteRequest` of metadata alone: family names and what they are.
pub fn encode_metadata_v1(families: &[(String, MetricMetadata)]) -> Vec<u8> {
    let (mut out, mut message) = (Vec::new(), Vec::new());
    for (family, metadata) in families {
        message.clear();
        put_number(&mut message, 1, type_number(metadata.kind));
        put_bytes(&mut message, 2, family.as_bytes());
        put_bytes(&mut message, 4, metadata.help.as_bytes());
        put_bytes(&mut message, 5, metadata.unit.as_bytes());
        put_bytes(&mut out, 3, &message);
    }
    out
}

/// An `io.prometheus.write.v2.Request`.
pub fn encode_v2(series: &[OutgoingSeries]) -> Vec<u8> {
    let mut symbols = Symbols::new();
    let (mut body, mut message, mut part) = (Vec::new(), Vec::new(), Vec::new());
    for one in series {
        message.clear();
        if let Some(labels) = &one.labels {
            put_references(&mut message, &mut symbols, labels);
        }
        for (timestamp, value) in &one.samples {
            part.clear();
            put_double(&mut part, 1, *value);
            put_number(&mut part, 2, *timestamp as u64);
            put_bytes(&mut message, 2, &part);
        }
        for (timestamp, histogram) in &one.histograms {
            part.clear();
            histogram::put(&mut part, *timestamp, histogram);
            put_bytes(&mut message, 3, &part);
        }
        for exemplar in &one.exemplars {
            part.clear();
            put_references(&mut part, &mut symbols, &exemplar.labels);
            put_double(&mut part, 2, exemplar.value);
            put_number(&mut part, 3, exemplar.timestamp as u64);
            put_bytes(&mut message, 4, &part);
        }
        if let Some(metadata) = &one.metadata {
            part.clear();
            put_number(&mut part, 1, type_number(metadata.kind));
            put_number(&mut part, 3, symbols.reference(&metadata.help));
            put_number(&mut part, 4, symbols.reference(&metadata.unit));
            put_bytes(&mut message, 5, &part);
        }
        put_bytes(&mut body, 5, &message);
    }
    let mut out = symbols.into_fields(4);
    out.extend_from_slice(&body);
    out
}

fn put_references(dst: &mut Vec<u8>, symbols: &mut Symbols, labels: &Labels) {
    let mut packed = Vec::with_capacity(labels.len() * 4);
    for (name, value) in labels.iter() {
        put_varint(&mut packed, symbols.reference(name));
        put_varint(&mut packed, symbols.reference(value));
    }
    put_bytes(dst, 1, &packed);
}

fn type_number(kind: MetricType) -> u64 {
    match kind {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

#[cfg(test)]
mod tests;
