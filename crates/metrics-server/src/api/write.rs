//! `/api/v1/write`: remote write. What is of 2.0 alone lies in `v2`.

mod buffers;
mod store;
mod v2;

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use metric_storage_api::StorageError;
use model::ErrorCode;
use remote_write::{DecodeError, REQUEST_BYTES_MAX};
use resources::CpuClass;

use super::error::ApiError;
use super::work;
use crate::state::State;
pub(crate) use buffers::MessageBuffers;
use store::Rules;

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
    let rules = Rules { latest, store_exemplars: state.flags.has_feature("exemplar-storage") };
    let (counter, buffers) = (state.metrics.write_invalid_labels.clone(), Arc::clone(&state.write_buffers));
    // The deadline of queries does not count here: what was taken in is stored.
    let stored = work::run(&state, scope, None, move |ctx, db| {
        let mut buffer = buffers.take();
        let (outcome, invalid) = store::store(ctx, db, &body, rules, &mut buffer);
        buffers.give_back(buffer);
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
