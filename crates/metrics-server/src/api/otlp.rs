//! `/api/v1/otlp/v1/metrics`: OpenTelemetry's metrics over HTTP. A request is stored as a whole or not at all.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use metric_storage_api::{MetricStore, StorageError};
use model::{ByteSize, ErrorCode};
use prost::Message;
use remote_write::REQUEST_BYTES_MAX;
use resources::{CpuClass, RequestContext};
use service::Encoding;

use super::work;
use crate::otlp::message::ExportRequest;
use crate::otlp::{PointValue, Translated, parse_json, translate};
use crate::state::State;

const REASONS_MAX: usize = 10;

/// Why a request is refused.
enum Refusal {
    Invalid(String),
    Storage(StorageError),
}

pub(crate) async fn metrics(AxumState(state): AxumState<Arc<State>>, request: Request) -> Response {
    if !state.flags.enable_otlp_receiver {
        let hint = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver";
        return service::text(StatusCode::NOT_FOUND, hint);
    }
    let (parts, body) = request.into_parts();
    let is_json = match header(&parts.headers, CONTENT_TYPE).split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => false,
        "application/json" => true,
        other => {
            let hint = format!(
                "unsupported content type: {other:?}, supported: application/json, application/x-protobuf"
            );
            return service::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &hint);
        }
    };
    let encoding = header(&parts.headers, CONTENT_ENCODING);
    let Some(encoding) = Encoding::from_header(encoding).filter(|encoding| *encoding != Encoding::Snappy)
    else {
        let hint = format!("unsupported compression: {encoding}, supported: gzip, zstd, deflate");
        return service::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &hint);
    };
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
    let mut settings = state.config.read().config.otlp.clone();
    settings.lookback_ms = state.flags.lookback_delta_ms;
    settings.allow_delta = state.flags.has_feature("otlp-native-delta-ingestion");
    let store_exemplars = state.flags.has_feature("exemplar-storage");
    let warnings = state.metrics.otlp_warnings.clone();
    let stored = work::run(&state, scope, None, move |ctx, db| {
        let limit = ByteSize(REQUEST_BYTES_MAX as u64);
        let message = match service::decompress(encoding, body, limit, "the size of the exporter's batches") {
            Ok(message) => message,
            Err(error) => return Ok(Err(Refusal::Invalid(error.to_string()))),
        };
        let decoded = if is_json {
            parse_json(&message)
        } else {
            ExportRequest::decode(message).map_err(|error| error.to_string())
        };
        let request = match decoded {
            Ok(request) => request,
            Err(error) => return Ok(Err(Refusal::Invalid(error))),
        };
        let translated = translate(&request, &settings);
        warnings.with(&["label_name_collision"]).add(translated.collisions);
        warnings.with(&["empty_data_points"]).add(translated.empty);
        Ok(store(ctx, db, translated, store_exemplars))
    });
    match stored.await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(Refusal::Invalid(reason))) => service::text(StatusCode::BAD_REQUEST, &reason),
        Ok(Err(Refusal::Storage(error))) => failed(error.code(), &service::error_chain(&error)),
        Err(error) => failed(error.code(), error.message()),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A client keeps what it has where the answer is 503.
fn failed(code: ErrorCode, message: &str) -> Response {
    let status = match code {
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    service::text(status, message)
}

fn store(
    ctx: &RequestContext,
    db: &tsdb::Db,
    translated: Translated,
    store_exemplars: bool,
) -> Result<(), Refusal> {
    let mut reasons = translated.errors;
    let mut appender = db.appender(ctx).map_err(Refusal::Storage)?;
    for point in translated.points {
        let appended = appender.resolve(&[], &mut || Ok(point.labels.clone())).and_then(|series| {
            match &point.value {
                PointValue::Float(value) => appender.append(series, point.timestamp, *value)?,
                PointValue::Histogram(histogram) => {
                    appender.append_histogram(series, point.timestamp, histogram)?
                }
            }
            Ok(series)
        });
        match appended {
            Ok(series) => {
                // Neither decides about the samples.
                appender.update_metadata(series, &point.metadata).ok();
                for exemplar in point.exemplars.into_iter().filter(|_| store_exemplars) {
                    appender.append_exemplar(series, exemplar).ok();
                }
            }
            Err(rejection) => reasons.push(format!("{rejection}: {}", point.labels)),
        }
    }
    if !reasons.is_empty() {
        let more = reasons.len().saturating_sub(REASONS_MAX);
        reasons.truncate(REASONS_MAX);
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        // The batch goes with the appender.
        return Err(Refusal::Invalid(reasons.join("\n")));
    }
    appender.commit().map(drop).map_err(Refusal::Storage)
}
