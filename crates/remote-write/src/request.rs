//! A write request, walked part by part.

use model::{Exemplar, FloatHistogram, Labels, LabelsBuilder, MetricMetadata, MetricType, TimestampMs};

use crate::error::DecodeError;
use crate::histogram;
use crate::wire_format::{Reader, Value};

/// A decompressed `prometheus.WriteRequest`.
#[derive(Debug)]
pub struct WriteRequest<'a>(Reader<'a>);

/// A part of a request.
#[derive(Debug)]
pub enum Part<'a> {
    /// A series with samples.
    Series(Series<'a>),
    /// What a metric family is.
    Metadata(MetadataMessage<'a>),
}

/// A series of a request; nothing of it is read yet.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    message: &'a [u8],
    /// How many bytes of it are labels, in one piece at its start; 0 where they are not.
    label_len: usize,
}

/// What a series holds beside its labels.
#[derive(Debug)]
pub enum SeriesField<'a> {
    /// A float sample.
    Sample {
        /// When.
        timestamp: TimestampMs,
        /// The value.
        value: f64,
    },
    /// A native histogram.
    Histogram {
        /// When.
        timestamp: TimestampMs,
        /// The histogram.
        histogram: Box<FloatHistogram>,
    },
    /// An exemplar, to be read where it is wanted.
    Exemplar(ExemplarMessage<'a>),
}

/// An exemplar that is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarMessage<'a>(&'a [u8]);

/// Metadata that is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct MetadataMessage<'a>(&'a [u8]);

impl<'a> WriteRequest<'a> {
    /// A walk over a decompressed message.
    pub fn new(message: &'a [u8]) -> Self {
        Self(Reader::new(message))
    }

    /// The next part; `None` at the end. After an error nothing more is to be read.
    ///
    /// # Errors
    /// Where the message is not a write request.
    pub fn next_part(&mut self) -> Result<Option<Part<'a>>, DecodeError> {
        while let Some((field, value)) = self.0.field()? {
            match (field, value) {
                (1, Value::Bytes(message)) => {
                    return Series::new(message).map(|series| Some(Part::Series(series)));
                }
                (3, Value::Bytes(message)) => return Ok(Some(Part::Metadata(MetadataMessage(message)))),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl<'a> Series<'a> {
    fn new(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let (mut label_len, mut after_labels, mut scattered) = (0, false, false);
        while let Some((field, _)) = reader.field()? {
            if field == 1 {
                scattered |= after_labels;
                label_len = reader.position();
            } else {
                after_labels = true;
            }
        }
        Ok(Self { message, label_len: if scattered { 0 } else { label_len } })
    }

    /// The bytes of all labels as they were sent: the same bytes always spell the same labels. Empty where the sender did
    /// not send them in one piece; then they are no key.
    pub fn label_bytes(&self) -> &'a [u8] {
        &self.message[..self.label_len]
    }

    /// Puts the labels into `labels`, which is emptied first. `Ok(false)` where a name is empty or comes twice: such a
    /// series is skipped, and the request goes on.
    ///
    /// # Errors
    /// Where the bytes are not labels.
    pub fn labels(&self, labels: &mut LabelsBuilder) -> Result<bool, DecodeError> {
        labels.retain(|_, _| false);
        let mut reader = Reader::new(self.message);
        let mut valid = true;
        while let Some((field, value)) = reader.field()? {
            if let (1, Value::Bytes(pair)) = (field, value) {
                let (name, value) = read_pair(pair)?;
                valid &= !name.is_empty() && labels.get(name).is_none();
                labels.set(name, value);
            }
        }
        Ok(valid)
    }

    /// Calls `handle` with every sample, histogram and exemplar, in the order in which they were sent.
    ///
    /// # Errors
    /// Where the message is not a series, or what `handle` returns.
    pub fn for_each_field<E: From<DecodeError>>(
        &self,
        mut handle: impl FnMut(SeriesField<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = Reader::new(self.message);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (2, Value::Bytes(sample)) => {
                    let (timestamp, value) = read_sample(sample)?;
                    handle(SeriesField::Sample { timestamp, value })?;
                }
                (3, Value::Bytes(exemplar)) => handle(SeriesField::Exemplar(ExemplarMessage(exemplar)))?,
                (4, Value::Bytes(bytes)) => {
                    let (timestamp, histogram) = histogram::read(bytes)?;
                    handle(SeriesField::Histogram { timestamp, histogram: Box::new(histogram) })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl ExemplarMessage<'_> {
    /// Reads the exemplar.
    ///
    /// # Errors
    /// Where the bytes are not an exemplar.
    pub fn read(&self) -> Result<Exemplar, DecodeError> {
        let mut labels = LabelsBuilder::new();
        let mut exemplar = Exemplar { labels: Labels::empty(), value: 0.0, timestamp: 0 };
        let mut reader = Reader::new(self.0);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (1, Value::Bytes(pair)) => {
                    let (name, value) = read_pair(pair)?;
                    labels.set(name, value);
                }
                (2, _) => exemplar.value = value.double(),
                (3, _) => exemplar.timestamp = value.varint() as i64,
                _ => {}
            }
        }
        exemplar.labels = labels.build();
        Ok(exemplar)
    }
}

impl MetadataMessage<'_> {
    /// Reads the family's name and what it is.
    ///
    /// # Errors
    /// Where the bytes are not metadata.
    pub fn read(&self) -> Result<(String, MetricMetadata), DecodeError> {
        let mut family = String::new();
        let mut metadata = MetricMetadata::default();
        let mut reader = Reader::new(self.0);
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => metadata.kind = metric_type(value.varint()),
                2 => value.text()?.clone_into(&mut family),
                4 => value.text()?.clone_into(&mut metadata.help),
                5 => value.text()?.clone_into(&mut metadata.unit),
                _ => {}
            }
        }
        Ok((family, metadata))
    }
}

pub(crate) fn metric_type(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

fn read_pair(bytes: &[u8]) -> Result<(&str, &str), DecodeError> {
    let mut pair = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => pair.0 = value.text()?,
            2 => pair.1 = value.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

/// A field that is 0 is not sent.
fn read_sample(bytes: &[u8]) -> Result<(TimestampMs, f64), DecodeError> {
    let (mut timestamp, mut sample) = (0, 0.0);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => sample = value.double(),
            2 => timestamp = value.varint() as i64,
            _ => {}
        }
    }
    Ok((timestamp, sample))
}

#[cfg(test)]
mod tests;
