//! `/api/v1/write`: remote write. What is of 2.0 alone lies in `v2`.

mod v2;

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use metric_storage_api::{AppendRejection, Appender, MetricStore, SeriesRef, StorageError};
use model::{ByteSize, ErrorCode, LabelsBuilder, TimestampMs};
use remote_write::{DecodeError, Part, REQUEST_BYTES_MAX, Series, SeriesField, WriteRequest};
use resources::{CpuClass, RequestContext};
use service::Encoding;

use super::error::ApiError;
use super::work;
use crate::state::State;

/// How far in the future a sample may lie.
const FUTURE_MS: i64 = 10 * 60_000;
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// Why a request is refused as a whole.
#[derive(Debug)]
enum Refusal {
    Decode(String),
    Rejected(String),
    Storage(StorageError),
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error.to_string())
    }
}

pub(crate) async fn write(AxumState(state): AxumState<Arc<State>>, request: Request) -> Response {
    if !state.flags.enable_remote_write_receiver {
        let hint = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
        return service::text(StatusCode::NOT_FOUND, hint);
    }
    let version = match check_headers(request.headers(), &state.flags.accepted_messages) {
        Ok(version) => version,
        Err(response) => return *response,
    };
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, REQUEST_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => {
            return service::text(StatusCode::BAD_REQUEST, &format!("cannot read the body: {error}"));
        }
    };
    let scope = match work::scope(&state, &parts, CpuClass::Ingest) {
        Ok(scope) => scope,
        Err(error) => return error.into_response(),
    };
    let latest = state.clock.now_ms() + FUTURE_MS;
    if version == Version::V2 {
        return v2::write(&state, scope, body, latest).await;
    }
    let (store_exemplars, counter) =
        (state.flags.has_feature("exemplar-storage"), state.metrics.write_invalid_labels.clone());
    // The deadline of queries does not count here: what was taken in is stored.
    let stored = work::run(&state, scope, None, move |ctx, db| {
        let (outcome, invalid) = store(ctx, db, body, latest, store_exemplars);
        counter.add(invalid);
        Ok(outcome)
    });
    match stored.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => not_stored(&error),
    }
}

/// Which message a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

fn check_headers(headers: &HeaderMap, accepted: &[String]) -> Result<Version, Box<Response>> {
    let unsupported = |message: String| Box::new(service::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message));
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut version = Version::V1;
    let is_accepted = |message: &str| accepted.is_empty() || accepted.iter().any(|name| name == message);
    if let Some(content_type) = text(CONTENT_TYPE) {
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let message = parts.find_map(|part| part.strip_prefix("proto=")).unwrap_or(V1).trim_matches('"');
        if !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(unsupported(format!(
                "expected application/x-protobuf as the content type, got {content_type:?}"
            )));
        }
        version = match message {
            V1 if is_accepted(V1) => Version::V1,
            V2 if is_accepted(V2) => Version::V2,
            _ => {
                return Err(unsupported(format!(
                    "{message} protobuf message is not accepted by this server"
                )));
            }
        };
    } else if !is_accepted(V1) {
        return Err(unsupported(format!("{V1} protobuf message is not accepted by this server")));
    }
    match text(CONTENT_ENCODING) {
        None => Ok(version),
        Some(encoding) if encoding.eq_ignore_ascii_case("snappy") || encoding.is_empty() => Ok(version),
        Some(encoding) => Err(unsupported(format!("{encoding} encoding is not supported, use snappy"))),
    }
}

fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Decode(reason) | Refusal::Rejected(reason) => service::text(StatusCode::BAD_REQUEST, reason),
        Refusal::Storage(error) => {
            let message = service::error_chain(error);
            match error.code() {
                // The sender keeps what it has and tries again.
                ErrorCode::Unavailable => try_again(&message),
                _ => service::text(StatusCode::INTERNAL_SERVER_ERROR, &message),
            }
        }
    }
}

fn not_stored(error: &ApiError) -> Response {
    match error.code() {
        ErrorCode::Unavailable => try_again(error.message()),
        _ => service::text(StatusCode::INTERNAL_SERVER_ERROR, error.message()),
    }
}

fn try_again(message: &str) -> Response {
    let mut response = service::text(StatusCode::SERVICE_UNAVAILABLE, message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Stores a request as a whole or not at all; beside the outcome the number of samples with invalid labels, which are left
/// out.
fn store(
    ctx: &RequestContext,
    db: &tsdb::Db,
    body: Bytes,
    latest: TimestampMs,
    store_exemplars: bool,
) -> (Result<(), Refusal>, u64) {
    let mut invalid = 0;
    let outcome = try_store(ctx, db, body, latest, store_exemplars, &mut invalid);
    (outcome, invalid)
}

fn try_store(
    ctx: &RequestContext,
    db: &tsdb::Db,
    body: Bytes,
    latest: TimestampMs,
    store_exemplars: bool,
    invalid: &mut u64,
) -> Result<(), Refusal> {
    let limit = ByteSize(REQUEST_BYTES_MAX as u64);
    let message = service::decompress(Encoding::Snappy, body, limit, "the sender's max_samples_per_send")
        .map_err(|error| Refusal::Decode(error.to_string()))?;
    let mut appender = db.appender(ctx).map_err(Refusal::Storage)?;
    let mut request = WriteRequest::new(&message);
    let mut labels = LabelsBuilder::new();
    while let Some(part) = request.next_part()? {
        // What a family is arrives apart from its series and is not kept by the store that way.
        let Part::Series(series) = part else { continue };
        let Some(reference) = resolve(&mut *appender, &series, &mut labels)? else {
            *invalid += 1;
            continue;
        };
        append(&mut *appender, &series, reference, latest, store_exemplars)?;
    }
    appender.commit().map(drop).map_err(Refusal::Storage)
}

/// Finds or creates the series; `None` where its labels are not valid.
fn resolve(
    appender: &mut dyn Appender,
    series: &Series<'_>,
    labels: &mut LabelsBuilder,
) -> Result<Option<SeriesRef>, Refusal> {
    let mut broken = None;
    let resolved = appender.resolve(series.label_bytes(), &mut || match series.labels(labels) {
        Ok(true) if labels.get(model::METRIC_NAME_LABEL).is_some() => Ok(labels.build()),
        Ok(_) => Err(AppendRejection::InvalidLabels("no name, or a name that comes twice".into())),
        Err(error) => {
            let reason = error.to_string();
            broken = Some(error);
            Err(AppendRejection::InvalidLabels(reason.into()))
        }
    });
    if let Some(error) = broken {
        return Err(error.into());
    }
    match resolved {
        Ok(reference) => Ok(Some(reference)),
        Err(AppendRejection::InvalidLabels(_)) => Ok(None),
        Err(rejection) => Err(Refusal::Rejected(rejection.to_string())),
    }
}

fn append(
    appender: &mut dyn Appender,
    series: &Series<'_>,
    reference: SeriesRef,
    latest: TimestampMs,
    store_exemplars: bool,
) -> Result<(), Refusal> {
    series.for_each_field(|field| {
        let outcome = match field {
            SeriesField::Sample { timestamp, .. } | SeriesField::Histogram { timestamp, .. }
                if timestamp > latest =>
            {
                Err(AppendRejection::OutOfBounds)
            }
            SeriesField::Sample { timestamp, value } => appender.append(reference, timestamp, value),
            SeriesField::Histogram { timestamp, histogram } => {
                appender.append_histogram(reference, timestamp, &histogram)
            }
            SeriesField::Exemplar(exemplar) => {
                if store_exemplars {
                    // An exemplar that does not fit is no reason to refuse its samples.
                    appender.append_exemplar(reference, exemplar.read()?).ok();
                }
                Ok(())
            }
        };
        outcome.map_err(|rejection| Refusal::Rejected(rejection.to_string()))
    })
}
