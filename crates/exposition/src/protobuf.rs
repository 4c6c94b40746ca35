//! The delimited protobuf format (`io.prometheus.client.MetricFamily`), read family by family without a tree.
//!
//! A metric's series are written into one reused buffer, in the text format's quoted form: so they can be looked up, and
//! spelled out where they are new, like those of the other formats.

mod histogram;
mod metric;
mod wire;

use std::borrow::Cow;

use model::{FloatHistogram, MetricType};

use crate::{
    Entry, ExemplarEntry, ExpositionError, HistogramEntry, MetadataKind, ParseOptions, SampleEntry,
    SeriesText,
};
use metric::Expansion;
use wire::{Malformed, Reader, Value};

/// A body of length-prefixed families.
#[derive(Debug)]
pub(crate) struct Families<'a> {
    body: &'a [u8],
    reader: Reader<'a>,
    options: ParseOptions,
    family: Family<'a>,
    /// What is still to be said of the family: help, type, unit.
    metadata_next: u8,
    expansion: Expansion,
    next: usize,
}

/// The head of a family; its metrics are read one at a time.
#[derive(Clone, Debug, Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: MetricType,
    fields: Reader<'a>,
}

impl<'a> Families<'a> {
    pub(crate) fn new(body: &'a [u8], options: ParseOptions) -> Self {
        Self {
            body,
            reader: Reader::new(body),
            options,
            family: Family::default(),
            metadata_next: 3,
            expansion: Expansion::default(),
            next: 0,
        }
    }

    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ExpositionError> {
        loop {
            if let Some(kind) = self.next_metadata() {
                return Ok(Some(Entry::Metadata { family: Cow::Borrowed(self.family.name), kind }));
            }
            if self.next < self.expansion.samples.len() {
                self.next += 1;
                return Ok(Some(self.entry(self.next - 1)));
            }
            let advanced = self.advance().map_err(|malformed| {
                let offset = self.body.len() - self.reader.remaining();
                ExpositionError::Protobuf { offset, reason: malformed.0 }
            })?;
            if !advanced {
                return Ok(None);
            }
        }
    }

    fn next_metadata(&mut self) -> Option<MetadataKind<'a>> {
        while self.metadata_next < 3 {
            self.metadata_next += 1;
            match self.metadata_next {
                1 if !self.family.help.is_empty() => {
                    return Some(MetadataKind::Help(Cow::Borrowed(self.family.help)));
                }
                2 => return Some(MetadataKind::Type(self.family.kind)),
                3 if !self.family.unit.is_empty() => {
                    return Some(MetadataKind::Unit(Cow::Borrowed(self.family.unit)));
                }
                _ => {}
            }
        }
        None
    }

    /// Reads the next metric, or the next family's head; `false` at the end of the body.
    fn advance(&mut self) -> Result<bool, Malformed> {
        while let Some((field, value)) = self.family.fields.field()? {
            if let (4, Value::Bytes(metric)) = (field, value) {
                self.next = 0;
                self.expansion.fill(self.family.name, self.family.kind, metric, self.options)?;
                return Ok(true);
            }
        }
        self.expansion.samples.clear();
        self.next = 0;
        let Some(family) = self.reader.delimited()? else {
            return Ok(false);
        };
        self.family = Family::read(family)?;
        self.metadata_next = 0;
        Ok(true)
    }

    fn entry(&self, idx: usize) -> Entry<'_> {
        let expansion = &self.expansion;
        let text = |range: &std::ops::Range<usize>| SeriesText {
            bytes: &expansion.text[range.clone()],
            kind: self.family.kind,
            body: &expansion.text,
            at: range.start,
        };
        let sample = &expansion.samples[idx];
        let series = text(&sample.series);
        let (timestamp, start) = (expansion.timestamp, expansion.start);
        if sample.is_histogram {
            let histogram: &FloatHistogram = &expansion.histogram;
            return Entry::Histogram(HistogramEntry { series, histogram, timestamp, start });
        }
        let exemplar = sample.exemplar.as_ref().map(|exemplar| ExemplarEntry {
            labels: text(&exemplar.labels),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
        });
        Entry::Sample(SampleEntry { series, value: sample.value, timestamp, exemplar, start })
    }
}

impl<'a> Family<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut family = Self { kind: MetricType::Counter, ..Self::default() };
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (1, Value::Bytes(name)) => family.name = wire::text(name)?,
                (2, Value::Bytes(help)) => family.help = wire::text(help)?,
                (3, Value::Varint(kind)) => {
                    family.kind = match kind {
                        0 => MetricType::Counter,
                        1 => MetricType::Gauge,
                        2 => MetricType::Summary,
                        4 => MetricType::Histogram,
                        5 => MetricType::GaugeHistogram,
                        _ => MetricType::Unknown,
                    };
                }
                (5, Value::Bytes(unit)) => family.unit = wire::text(unit)?,
                _ => {}
            }
        }
        if family.name.is_empty() {
            return Err(Malformed("metric family without a name"));
        }
        family.fields = Reader::new(bytes);
        Ok(family)
    }
}
