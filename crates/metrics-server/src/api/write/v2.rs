//! Remote write 2.0: what is good in a request is stored, what is not is told, and headers say how much was written.

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};
use metric_storage_api::{AppendRejection, Appender, MetricStore, SeriesRef};
use model::{ByteSize, FloatHistogram, LabelsBuilder, TimestampMs};
use remote_write::{DecodeError, REQUEST_BYTES_MAX, SeriesFieldV2, SeriesV2, WriteRequestV2};
use resources::RequestContext;
use service::{Encoding, RequestScope};

use super::{Refusal, not_stored, refused};
use crate::api::work;
use crate::state::State;

const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];
/// How many reasons an answer spells out.
const REASONS_MAX: usize = 10;
/// The finest schema that is stored.
const SCHEMA_MAX: i32 = 8;

/// What became of a request.
#[derive(Debug, Default)]
struct Outcome {
    /// Samples, histograms, exemplars.
    written: [u64; 3],
    reasons: Vec<String>,
    bad: usize,
}

impl Outcome {
    fn reject(&mut self, reason: impl std::fmt::Display) {
        self.bad += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason.to_string());
        }
    }

    /// Why the request was not good as a whole, if it was not.
    fn text(&self) -> Option<String> {
        let mut text = self.reasons.join("\n");
        if self.bad > self.reasons.len() {
            text.push_str(&format!("\nand {} more", self.bad - self.reasons.len()));
        }
        Some(text).filter(|_| self.bad > 0)
    }
}

/// What a request may do.
#[derive(Clone, Copy, Debug)]
struct Rules {
    latest: TimestampMs,
    store_exemplars: bool,
    store_starts: bool,
}

/// Stores a request of 2.0 and answers it.
pub(super) async fn write(state: &State, scope: RequestScope, body: Bytes, latest: TimestampMs) -> Response {
    let rules = Rules {
        latest,
        store_exemplars: state.flags.has_feature("exemplar-storage"),
        store_starts: state.flags.has_feature("created-timestamp-zero-ingestion"),
    };
    let stored = work::run(state, scope, None, move |ctx, db| Ok(store(ctx, db, body, rules)));
    let (mut response, written) = match stored.await {
        Ok(Ok(outcome)) => {
            let response = match outcome.text() {
                None => StatusCode::NO_CONTENT.into_response(),
                Some(text) => service::text(StatusCode::BAD_REQUEST, &text),
            };
            (response, outcome.written)
        }
        Ok(Err(refusal)) => (refused(&refusal), [0; 3]),
        Err(error) => (not_stored(&error), [0; 3]),
    };
    for (name, count) in WRITTEN.into_iter().zip(written) {
        response.headers_mut().insert(name, count.into());
    }
    response
}

fn store(ctx: &RequestContext, db: &tsdb::Db, body: Bytes, rules: Rules) -> Result<Outcome, Refusal> {
    let limit = ByteSize(REQUEST_BYTES_MAX as u64);
    let message = service::decompress(Encoding::Snappy, body, limit, "the sender's max_samples_per_send")
        .map_err(|error| Refusal::Decode(error.to_string()))?;
    let mut request = WriteRequestV2::new(&message)?;
    let mut appender = db.appender(ctx).map_err(Refusal::Storage)?;
    let mut outcome = Outcome::default();
    let (mut labels, mut key) = (LabelsBuilder::new(), Vec::new());
    while let Some(series) = request.next_series()? {
        if let Err(error) = request.labels(series, &mut labels, &mut key)? {
            outcome.reject(format_args!("{error}: {}", labels.build()));
            continue;
        }
        match appender.resolve(&key, &mut || Ok(labels.build())) {
            Ok(reference) => {
                append(&mut *appender, &request, (series, reference), rules, &labels, &mut outcome)?;
            }
            Err(rejection) => outcome.reject(format_args!("{rejection}: {}", labels.build())),
        }
    }
    appender.commit().map(|_| outcome).map_err(Refusal::Storage)
}

fn append(
    appender: &mut dyn Appender,
    request: &WriteRequestV2<'_>,
    (series, reference): (SeriesV2<'_>, SeriesRef),
    rules: Rules,
    labels: &LabelsBuilder,
    outcome: &mut Outcome,
) -> Result<(), DecodeError> {
    let mut values = 0u64;
    series.for_each_field(|field| {
        let (kind, appended) = match field {
            SeriesFieldV2::Sample { timestamp, value, start } => {
                values += 1;
                let appended = in_time(timestamp, rules).and_then(|()| {
                    append_start(appender, reference, start, rules);
                    appender.append(reference, timestamp, value)
                });
                (0, appended)
            }
            SeriesFieldV2::Histogram { timestamp, histogram, start } => {
                values += 1;
                let appended = in_time(timestamp, rules).and_then(|()| {
                    append_start(appender, reference, start, rules);
                    appender.append_histogram(reference, timestamp, &reduced(*histogram))
                });
                (1, appended)
            }
            SeriesFieldV2::Exemplar(_) if !rules.store_exemplars => return Ok(()),
            SeriesFieldV2::Exemplar(exemplar) => match request.exemplar(exemplar)? {
                Ok(exemplar) => (2, appender.append_exemplar(reference, exemplar)),
                Err(error) => {
                    outcome.reject(format_args!("exemplar: {error}: {}", labels.build()));
                    return Ok(());
                }
            },
        };
        match appended {
            Ok(()) => outcome.written[kind] += 1,
            Err(rejection) => outcome.reject(format_args!("{rejection}: {}", labels.build())),
        }
        Ok::<(), DecodeError>(())
    })?;
    if values == 0 {
        outcome.reject(format_args!("series without samples and histograms: {}", labels.build()));
        return Ok(());
    }
    match request.metadata(series) {
        // What a family is does not decide about its samples.
        Ok(Some(metadata)) => drop(appender.update_metadata(reference, &metadata)),
        Ok(None) => {}
        Err(error) => outcome.reject(format_args!("{error}: {}", labels.build())),
    }
    Ok(())
}

fn in_time(timestamp: TimestampMs, rules: Rules) -> Result<(), AppendRejection> {
    if timestamp > rules.latest { Err(AppendRejection::OutOfBounds) } else { Ok(()) }
}

/// A start that does not fit is no reason to refuse the sample.
fn append_start(appender: &mut dyn Appender, reference: SeriesRef, start: TimestampMs, rules: Rules) {
    if rules.store_starts && start != 0 {
        appender.append_start(reference, start).ok();
    }
}

/// A finer histogram than can be stored is merged into the finest that can.
fn reduced(histogram: FloatHistogram) -> FloatHistogram {
    if histogram.schema > SCHEMA_MAX { histogram.to_schema(SCHEMA_MAX) } else { histogram }
}
