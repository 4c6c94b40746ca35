//! A remote write 2.0 request: texts stand once, in a table, and series refer to them.

use model::{Exemplar, FloatHistogram, LabelsBuilder, MetricMetadata, TimestampMs};

use crate::error::DecodeError;
use crate::histogram;
use crate::request::metric_type;
use crate::wire_format::{Reader, Value, put_bytes};

/// The most texts of one request: each takes 16 bytes here, and as few as two on the wire.
const SYMBOLS_MAX: usize = 1 << 20;

/// A decompressed `io.prometheus.write.v2.Request`.
#[derive(Debug)]
pub struct WriteRequestV2<'a> {
    symbols: Vec<&'a str>,
    reader: Reader<'a>,
}

/// A series of a request; nothing of it is read yet.
#[derive(Clone, Copy, Debug)]
pub struct SeriesV2<'a>(&'a [u8]);

/// What a series holds beside its labels.
#[derive(Debug)]
pub enum SeriesFieldV2<'a> {
    /// A float sample.
    Sample {
        /// When.
        timestamp: TimestampMs,
        /// The value.
        value: f64,
        /// When counting began; 0 where that is not known.
        start: TimestampMs,
    },
    /// A native histogram.
    Histogram {
        /// When.
        timestamp: TimestampMs,
        /// The histogram.
        histogram: Box<FloatHistogram>,
        /// When counting began; 0 where that is not known.
        start: TimestampMs,
    },
    /// An exemplar, to be read where it is wanted.
    Exemplar(ExemplarV2<'a>),
}

/// An exemplar that is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarV2<'a>(&'a [u8]);

/// Why a series' labels cannot be used. The other series of the request can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A reference that the table does not have.
    #[error("label reference {0} is not in the symbol table")]
    UnknownSymbol(u64),
    /// References come in pairs.
    #[error("label references are not pairs of name and value")]
    OddReferences,
    /// A name without a character.
    #[error("empty label name")]
    EmptyName,
    /// A name that comes twice.
    #[error("label {0:?} comes twice")]
    Duplicate(String),
    /// A series needs a name.
    #[error("no metric name")]
    NoMetricName,
}

impl<'a> WriteRequestV2<'a> {
    /// Reads the table of texts of a decompressed message.
    ///
    /// # Errors
    /// Where the message is not protobuf, a text is not UTF-8, or the table does not begin with the empty text.
    pub fn new(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut symbols = Vec::new();
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.field()? {
            if field == 4 {
                if symbols.len() == SYMBOLS_MAX {
                    return Err(DecodeError { offset: reader.position(), reason: "too many symbols" });
                }
                symbols.push(value.text()?);
            }
        }
        if symbols.first().is_some_and(|first| !first.is_empty()) {
            return Err(DecodeError { offset: 0, reason: "the first symbol must be empty" });
        }
        Ok(Self { symbols, reader: Reader::new(message) })
    }

    /// The next series; `None` at the end.
    ///
    /// # Errors
    /// Where the message is not a write request; nothing more is to be read then.
    pub fn next_series(&mut self) -> Result<Option<SeriesV2<'a>>, DecodeError> {
        while let Some((field, value)) = self.reader.field()? {
            if let (5, Value::Bytes(message)) = (field, value) {
                return Ok(Some(SeriesV2(message)));
            }
        }
        Ok(None)
    }

    /// Puts a series' labels into `labels` and into `key`, both emptied first. The key is what a 1.0 request would have as
    /// [`crate::Series::label_bytes`], so that both find the same series.
    ///
    /// # Errors
    /// The outer one where the message is not a series, the inner one where its labels are of no use.
    pub fn labels(
        &self,
        series: SeriesV2<'a>,
        labels: &mut LabelsBuilder,
        key: &mut Vec<u8>,
    ) -> Result<Result<(), LabelError>, DecodeError> {
        labels.retain(|_, _| false);
        key.clear();
        let references = numbers(series.0, 1)?;
        if references.len() % 2 == 1 {
            return Ok(Err(LabelError::OddReferences));
        }
        let mut has_name = false;
        for pair in references.chunks_exact(2) {
            let (name, value) = match (self.symbol(pair[0]), self.symbol(pair[1])) {
                (Ok(name), Ok(value)) => (name, value),
                (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
            };
            if name.is_empty() {
                return Ok(Err(LabelError::EmptyName));
            }
            if labels.get(name).is_some() {
                return Ok(Err(LabelError::Duplicate(name.to_owned())));
            }
            has_name |= name == model::METRIC_NAME_LABEL && !value.is_empty();
            labels.set(name, value);
            let mut text = Vec::with_capacity(name.len() + value.len() + 8);
            put_bytes(&mut text, 1, name.as_bytes());
            put_bytes(&mut text, 2, value.as_bytes());
            put_bytes(key, 1, &text);
        }
        Ok(if has_name { Ok(()) } else { Err(LabelError::NoMetricName) })
    }

    /// What the series' family is; `None` where the request does not say.
    ///
    /// # Errors
    /// Where the message is not a series, or refers to a text that the table does not have.
    pub fn metadata(&self, series: SeriesV2<'a>) -> Result<Option<MetricMetadata>, DecodeError> {
        let unknown = |_| DecodeError { offset: 0, reason: "metadata refers to an unknown symbol" };
        let mut reader = Reader::new(series.0);
        while let Some((field, value)) = reader.field()? {
            let (5, Value::Bytes(message)) = (field, value) else { continue };
            let mut metadata = MetricMetadata::default();
            let mut fields = Reader::new(message);
            while let Some((field, value)) = fields.field()? {
                match field {
                    1 => metadata.kind = metric_type(value.varint()),
                    3 => self.symbol(value.varint()).map_err(unknown)?.clone_into(&mut metadata.help),
                    4 => self.symbol(value.varint()).map_err(unknown)?.clone_into(&mut metadata.unit),
                    _ => {}
                }
            }
            return Ok(Some(metadata).filter(|metadata| *metadata != MetricMetadata::default()));
        }
        Ok(None)
    }

    /// Reads an exemplar.
    ///
    /// # Errors
    /// As for [`Self::labels`].
    pub fn exemplar(&self, exemplar: ExemplarV2<'a>) -> Result<Result<Exemplar, LabelError>, DecodeError> {
        let (mut value, mut timestamp) = (0.0, 0);
        let mut reader = Reader::new(exemplar.0);
        while let Some((field, found)) = reader.field()? {
            match field {
                2 => value = found.double(),
                3 => timestamp = found.varint() as i64,
                _ => {}
            }
        }
        let mut labels = LabelsBuilder::new();
        for pair in numbers(exemplar.0, 1)?.chunks(2) {
            let [name, text] = *pair else { return Ok(Err(LabelError::OddReferences)) };
            match (self.symbol(name), self.symbol(text)) {
                (Ok(name), Ok(text)) => labels.set(name, text),
                (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
            };
        }
        Ok(Ok(Exemplar { labels: labels.build(), value, timestamp }))
    }

    fn symbol(&self, reference: u64) -> Result<&'a str, LabelError> {
        let idx = usize::try_from(reference).ok();
        let found = idx.and_then(|idx| self.symbols.get(idx)).copied();
        found.ok_or(LabelError::UnknownSymbol(reference))
    }
}

impl<'a> SeriesV2<'a> {
    /// Calls `handle` with every sample, histogram and exemplar, in the order in which they were sent.
    ///
    /// # Errors
    /// Where the message is not a series, or what `handle` returns.
    pub fn for_each_field<E: From<DecodeError>>(
        &self,
        mut handle: impl FnMut(SeriesFieldV2<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Senders of the drafts put the start beside the samples.
        let draft_start = number(self.0, 6)? as i64;
        let mut reader = Reader::new(self.0);
        while let Some((field, value)) = reader.field()? {
            match (field, value) {
                (2, Value::Bytes(sample)) => {
                    let (timestamp, value, start) = read_sample(sample)?;
                    let start = if start == 0 { draft_start } else { start };
                    handle(SeriesFieldV2::Sample { timestamp, value, start })?;
                }
                (3, Value::Bytes(bytes)) => {
                    let (timestamp, histogram) = histogram::read(bytes)?;
                    let start = number(bytes, 17)? as i64;
                    let start = if start == 0 { draft_start } else { start };
                    handle(SeriesFieldV2::Histogram { timestamp, histogram: Box::new(histogram), start })?;
                }
                (4, Value::Bytes(exemplar)) => handle(SeriesFieldV2::Exemplar(ExemplarV2(exemplar)))?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_sample(bytes: &[u8]) -> Result<(TimestampMs, f64, TimestampMs), DecodeError> {
    let (mut timestamp, mut sample, mut start) = (0, 0.0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => sample = value.double(),
            2 => timestamp = value.varint() as i64,
            3 => start = value.varint() as i64,
            _ => {}
        }
    }
    Ok((timestamp, sample, start))
}

/// All numbers of a repeated field, packed or not.
fn numbers(message: &[u8], wanted: u64) -> Result<Vec<u64>, DecodeError> {
    let mut found = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.field()? {
        match value {
            Value::Varint(number) if field == wanted => found.push(number),
            Value::Bytes(bytes) if field == wanted => {
                let mut packed = Reader::new(bytes);
                while let Some(number) = packed.packed_varint()? {
                    found.push(number);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A number's last value; 0 where it was not sent.
fn number(message: &[u8], wanted: u64) -> Result<u64, DecodeError> {
    let mut found = 0;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.field()? {
        if field == wanted {
            found = value.varint();
        }
    }
    Ok(found)
}
