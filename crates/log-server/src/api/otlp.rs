//! `POST /otlp/v1/logs`: OpenTelemetry's logs over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use model::{ByteSize, ErrorCode};
use resources::{CpuClass, Principal};
use service::{Encoding, decompress};

use super::push::{EXPANDED_SETTING, read_body};
use crate::error::ApiError;
use crate::ingest::{OtlpForm, otlp_status, otlp_streams, parse_otlp};
use crate::server::{Server, blocking};

pub(super) async fn logs(State(server): State<Arc<Server>>, request: Request) -> Response {
    match store(server, request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}

async fn store(server: Arc<Server>, request: Request) -> Result<(), ApiError> {
    let (parts, body) = request.into_parts();
    let principal = parts.extensions.get::<Principal>();
    let scope = server.contexts.from_headers(&parts.headers, principal, CpuClass::Ingest)?;
    let form = form(&parts.headers)?;
    let encoding = encoding(&parts.headers)?;
    let body = read_body(&server, body).await?;
    let expanded_max = server.loaded.read().config.push_expanded_bytes_max;
    let ctx = scope.context.clone();
    let outcome = blocking(move || {
        let refused =
            |error: resources::MemoryExceeded| ApiError::new(ErrorCode::LimitExceeded, error.to_string());
        let body = decompress(encoding, body, ByteSize(expanded_max), EXPANDED_SETTING)?;
        let mut memory = ctx.memory.reserve(body.len() as u64).map_err(refused)?;
        let limits = server.limits_of(&ctx.tenant);
        let request = parse_otlp(&body, form)?;
        let streams = otlp_streams(request, &limits.otlp, server.now_ns(), &mut memory)?;
        if streams.is_empty() {
            return Ok(None);
        }
        server.ingester.push(&ctx, &limits, streams).map(Some)
    })
    .await?;
    outcome.map_or(Ok(()), |outcome| outcome.into_result())
}

/// An error's answer: a client sends again what was answered by 503 or 429, and nothing else.
fn refused(error: &ApiError) -> Response {
    let mut response = Response::new(Body::from(otlp_status(&error.message)));
    *response.status_mut() = match error.status {
        StatusCode::INTERNAL_SERVER_ERROR => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

fn form(headers: &HeaderMap) -> Result<OtlpForm, ApiError> {
    match headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("") {
        "application/x-protobuf" => Ok(OtlpForm::Protobuf),
        "application/json" => Ok(OtlpForm::Json),
        other => Err(ApiError::bad_request(format!(
            "content type: {other} is not supported: send application/x-protobuf or application/json"
        ))),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let value = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    Encoding::from_header(value).filter(|encoding| *encoding != Encoding::Snappy).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Content-Encoding {value:?} is not supported: send gzip, zstd, deflate or none"
        ))
    })
}
