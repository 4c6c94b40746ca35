//! From an expanded request into the store, as a whole or not at all.

use metric_storage_api::{AppendRejection, Appender, KeyedSample, KeyedStop, MetricStore, SeriesRef};
use model::{ByteSize, Labels, LabelsBuilder, TimestampMs};
use remote_write::{
    DecodeError, REQUEST_BYTES_MAX, RawPart, Series, SeriesField, SeriesMessage, WriteRequest,
};
use resources::RequestContext;

use super::Refusal;

/// Series that go to the store in one call.
const BLOCK: usize = 512;
/// After so many wrong guesses a request's series are read one by one.
const WRONG_GUESSES_MAX: usize = 4;

/// What is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The latest time of a sample.
    pub(super) latest: TimestampMs,
    pub(super) store_exemplars: bool,
}

/// Stores a request as a whole or not at all; beside the outcome the number of samples with invalid labels, which are left
/// out. `buffer` takes the expanded message.
pub(super) fn store(
    ctx: &RequestContext,
    db: &tsdb::Db,
    body: &[u8],
    rules: Rules,
    buffer: &mut Vec<u8>,
) -> (Result<(), Refusal>, u64) {
    let mut invalid = 0;
    let outcome = try_store(ctx, db, body, rules, buffer, &mut invalid);
    (outcome, invalid)
}

fn try_store(
    ctx: &RequestContext,
    db: &tsdb::Db,
    body: &[u8],
    rules: Rules,
    buffer: &mut Vec<u8>,
    invalid: &mut u64,
) -> Result<(), Refusal> {
    let limit = ByteSize(REQUEST_BYTES_MAX as u64);
    let message = service::decompress_snappy(body, limit, "the sender's max_samples_per_send", buffer)
        .map_err(|error| Refusal::Decode(error.to_string()))?;
    let mut storing = Storing {
        appender: db.appender(ctx).map_err(Refusal::Storage)?,
        rules,
        labels: LabelsBuilder::new(),
        invalid: 0,
        wrong_guesses: 0,
    };
    let stored = storing.all(message);
    *invalid = storing.invalid;
    stored?;
    storing.appender.commit().map(drop).map_err(Refusal::Storage)
}

/// A request on its way into the store.
struct Storing<'db> {
    appender: Box<dyn Appender + 'db>,
    rules: Rules,
    labels: LabelsBuilder,
    /// Series with invalid labels.
    invalid: u64,
    wrong_guesses: usize,
}

/// Series that seem to have one sample each.
struct Block<'a> {
    messages: Vec<SeriesMessage<'a>>,
    samples: Vec<KeyedSample<'a>>,
}

impl Storing<'_> {
    fn all(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let mut request = WriteRequest::new(message);
        let mut block = Block { messages: Vec::with_capacity(BLOCK), samples: Vec::with_capacity(BLOCK) };
        while let Some(part) = request.next_raw_part()? {
            // What a family is arrives apart from its series and is not kept by the store that way.
            let RawPart::Series(message) = part else { continue };
            let guess = if self.wrong_guesses < WRONG_GUESSES_MAX { message.guess() } else { None };
            let Some(guess) = guess else {
                // In the order in which they came.
                self.block(&mut block)?;
                self.series(&message.read()?)?;
                continue;
            };
            let sample =
                KeyedSample { key: guess.label_bytes, timestamp: guess.timestamp, value: guess.value };
            block.messages.push(message);
            block.samples.push(sample);
            if block.samples.len() == BLOCK {
                self.block(&mut block)?;
            }
        }
        self.block(&mut block)
    }

    /// Hands a block to the store and empties it.
    fn block(&mut self, block: &mut Block<'_>) -> Result<(), Refusal> {
        let latest = self.rules.latest;
        let mut done = 0;
        while done < block.samples.len() {
            let (samples, messages) = (&block.samples[done..], &block.messages[done..]);
            // A guess must not refuse what is none: what seems too late is read.
            let taken = samples.iter().position(|sample| sample.timestamp > latest).unwrap_or(samples.len());
            let (labels, mut broken) = (&mut self.labels, None);
            let outcome = self.appender.append_keyed(&samples[..taken], &mut |idx| {
                spell(&messages[idx], samples[idx].key, labels, &mut broken)
            });
            if let Some(error) = broken {
                return Err(error.into());
            }
            let at = match outcome {
                Ok(()) if taken == samples.len() => break,
                Ok(()) => {
                    self.series(&messages[taken].read()?)?;
                    taken
                }
                Err((at, KeyedStop::UnknownKey)) => {
                    self.wrong_guesses += 1;
                    self.series(&messages[at].read()?)?;
                    at
                }
                Err((at, KeyedStop::Rejected(AppendRejection::InvalidLabels(_)))) => {
                    self.invalid += 1;
                    at
                }
                Err((_, KeyedStop::Rejected(rejection))) => {
                    return Err(Refusal::Rejected(rejection.to_string()));
                }
            };
            done += at + 1;
        }
        block.messages.clear();
        block.samples.clear();
        Ok(())
    }

    /// Stores a series of any shape.
    fn series(&mut self, series: &Series<'_>) -> Result<(), Refusal> {
        match self.resolve(series)? {
            Some(reference) => self.append(series, reference),
            None => {
                self.invalid += 1;
                Ok(())
            }
        }
    }

    /// Finds or creates the series; `None` where its labels are not valid.
    fn resolve(&mut self, series: &Series<'_>) -> Result<Option<SeriesRef>, Refusal> {
        let (labels, mut broken) = (&mut self.labels, None);
        let resolved =
            self.appender.resolve(series.label_bytes(), &mut || label_set(series, labels, &mut broken));
        if let Some(error) = broken {
            return Err(error.into());
        }
        match resolved {
            Ok(reference) => Ok(Some(reference)),
            Err(AppendRejection::InvalidLabels(_)) => Ok(None),
            Err(rejection) => Err(Refusal::Rejected(rejection.to_string())),
        }
    }

    fn append(&mut self, series: &Series<'_>, reference: SeriesRef) -> Result<(), Refusal> {
        let (appender, rules) = (&mut *self.appender, self.rules);
        series.for_each_field(|field| {
            let outcome = match field {
                SeriesField::Sample { timestamp, .. } | SeriesField::Histogram { timestamp, .. }
                    if timestamp > rules.latest =>
                {
                    Err(AppendRejection::OutOfBounds)
                }
                SeriesField::Sample { timestamp, value } => appender.append(reference, timestamp, value),
                SeriesField::Histogram { timestamp, histogram } => {
                    appender.append_histogram(reference, timestamp, &histogram)
                }
                SeriesField::Exemplar(exemplar) => {
                    if rules.store_exemplars {
                        // An exemplar that does not fit is no reason to refuse its samples.
                        appender.append_exemplar(reference, exemplar.read()?).ok();
                    }
                    Ok(())
                }
            };
            outcome.map_err(|rejection| Refusal::Rejected(rejection.to_string()))
        })
    }
}

/// The labels of a series whose key was guessed; `None` where the guess was wrong.
fn spell(
    message: &SeriesMessage<'_>,
    key: &[u8],
    labels: &mut LabelsBuilder,
    broken: &mut Option<DecodeError>,
) -> Result<Option<Labels>, AppendRejection> {
    match message.read() {
        Ok(series) if series.label_bytes().len() != key.len() => Ok(None),
        Ok(series) => label_set(&series, labels, broken).map(Some),
        Err(error) => Err(undecodable(error, broken)),
    }
}

fn label_set(
    series: &Series<'_>,
    labels: &mut LabelsBuilder,
    broken: &mut Option<DecodeError>,
) -> Result<Labels, AppendRejection> {
    match series.labels(labels) {
        Ok(true) if labels.get(model::METRIC_NAME_LABEL).is_some() => Ok(labels.build()),
        Ok(_) => Err(AppendRejection::InvalidLabels("no name, or a name that comes twice".into())),
        Err(error) => Err(undecodable(error, broken)),
    }
}

/// Puts the error where the caller sees it: the request is refused as a whole.
fn undecodable(error: DecodeError, broken: &mut Option<DecodeError>) -> AppendRejection {
    let reason = error.to_string();
    *broken = Some(error);
    AppendRejection::InvalidLabels(reason.into())
}
