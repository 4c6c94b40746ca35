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

/// A part of a request, not looked into.
#[derive(Clone, Copy, Debug)]
pub enum RawPart<'a> {
    /// A series with samples.
    Series(SeriesMessage<'a>),
    /// What a metric family is.
    Metadata(MetadataMessage<'a>),
}

/// A series of a request, not looked into.
#[derive(Clone, Copy, Debug)]
pub struct SeriesMessage<'a>(&'a [u8]);

/// What a series would be if it had one float sample behind its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleGuess<'a> {
    /// All before the sample: where these bytes are known as the [`Series::label_bytes`] of a series, the guess is right, as
    /// what follows whole fields can be read in one way only. Else it says nothing.
    pub label_bytes: &'a [u8],
    /// When.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: f64,
}

/// A series of a request: where its labels end is known, nothing else is read yet.
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
        Ok(match self.next_raw_part()? {
            Some(RawPart::Series(message)) => Some(Part::Series(message.read()?)),
            Some(RawPart::Metadata(message)) => Some(Part::Metadata(message)),
            None => None,
        })
    }

    /// The next part as it is; `None` at the end. After an error nothing more is to be read.
    ///
    /// # Errors
    /// Where the message is not a write request.
    #[inline]
    pub fn next_raw_part(&mut self) -> Result<Option<RawPart<'a>>, DecodeError> {
        while let Some((field, value)) = self.0.field()? {
            match (field, value) {
                (1, Value::Bytes(message)) => return Ok(Some(RawPart::Series(SeriesMessage(message)))),
                (3, Value::Bytes(message)) => return Ok(Some(RawPart::Metadata(MetadataMessage(message)))),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl<'a> SeriesMessage<'a> {
    /// Looks for the end of the labels.
    ///
    /// # Errors
    /// Where the message is not a series.
    pub fn read(&self) -> Result<Series<'a>, DecodeError> {
        Series::new(self.0)
    }

    /// Whether the message ends as one with a single float sample does, judged by its last bytes alone.
    #[inline]
    pub fn guess(&self) -> Option<SampleGuess<'a>> {
        // Tag and length of the sample, tag and eight bytes of the value, tag and six bytes of the time.
        if let Some((label_bytes, sample)) = self.0.split_last_chunk::<18>()
            && let [0x12, 0x10, 0x09, a, b, c, d, e, f, g, h, 0x10, time @ ..] = sample
            && let Some(timestamp) = six_byte_varint(time)
        {
            let value = f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            return Some(SampleGuess { label_bytes, timestamp, value });
        }
        // A value of 0 is not sent.
        if let Some((label_bytes, sample)) = self.0.split_last_chunk::<9>()
            && let [0x12, 0x07, 0x10, time @ ..] = sample
            && let Some(timestamp) = six_byte_varint(time)
        {
            return Some(SampleGuess { label_bytes, timestamp, value: 0.0 });
        }
        None
    }
}

/// A varint that takes just these bytes: milliseconds from 1971 to 2109.
#[inline]
fn six_byte_varint(bytes: &[u8; 6]) -> Option<i64> {
    let [a, b, c, d, e, f] = *bytes;
    let word = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    if word & 0x8080_8080_8080 != 0x0080_8080_8080 {
        return None;
    }
    let part = |byte: u8, shift: u32| i64::from(byte & 0x7f) << shift;
    Some(part(a, 0) | part(b, 7) | part(c, 14) | part(d, 21) | part(e, 28) | part(f, 35))
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
