//! `POST /loki/api/v1/push`

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use model::ByteSize;
use resources::{CpuClass, Principal};
use service::{Encoding, decompress};

use crate::error::ApiError;
use crate::ingest::{decode_json, decode_proto};
use crate::server::{Server, blocking};

/// The key that bounds bodies as sent.
const BODY_SETTING: &str = "distributor.max_recv_msg_size";
/// The key that bounds bodies expanded.
pub(super) const EXPANDED_SETTING: &str = "distributor.max_decompressed_size";

pub(super) async fn push(State(server): State<Arc<Server>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let principal = parts.extensions.get::<Principal>();
    let scope = server.contexts.from_headers(&parts.headers, principal, CpuClass::Ingest)?;
    let is_json = is_json(&parts.headers)?;
    let encoding = encoding(&parts.headers, is_json)?;
    let body = read_body(&server, body).await?;
    let expanded_max = server.loaded.read().config.push_expanded_bytes_max;
    let ctx = scope.context.clone();
    // What a client has sent is stored even if it leaves: it cannot know whether it was.
    let outcome = blocking(move || {
        let body = decompress(encoding, body, ByteSize(expanded_max), EXPANDED_SETTING)?;
        let _memory = ctx
            .memory
            .reserve(body.len() as u64)
            .map_err(|error| ApiError::new(model::ErrorCode::LimitExceeded, error.to_string()))?;
        let streams = if is_json { decode_json(&body)? } else { decode_proto(&body)? };
        let limits = server.limits_of(&ctx.tenant);
        server.ingester.push(&ctx, &limits, streams)
    })
    .await?;
    outcome.into_result()?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The body of a push, as large as pushes may be.
pub(super) async fn read_body(server: &Server, body: Body) -> Result<Bytes, ApiError> {
    let body_max = server.loaded.read().config.push_bytes_max;
    to_bytes(body, usize::try_from(body_max).unwrap_or(usize::MAX)).await.map_err(|error| {
        let text = service::error_chain(&error);
        if text.contains("length limit") {
            let message = format!(
                "request body too large: it has more than {}; send less at once or raise {BODY_SETTING}",
                ByteSize(body_max)
            );
            ApiError::bad_request(message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
        } else {
            ApiError::bad_request(format!("the body could not be read: {text}"))
        }
    })
}

fn is_json(headers: &HeaderMap) -> Result<bool, ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = value.split(';').next().unwrap_or("").trim();
    if !kind.contains('/') {
        return Err(ApiError::bad_request(format!("Content-Type {value:?} is no media type")));
    }
    Ok(kind.eq_ignore_ascii_case("application/json"))
}

fn encoding(headers: &HeaderMap, is_json: bool) -> Result<Encoding, ApiError> {
    let value = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    match Encoding::from_header(value) {
        Some(Encoding::Identity | Encoding::Snappy) if !is_json => Ok(Encoding::Snappy),
        Some(encoding @ (Encoding::Identity | Encoding::Gzip | Encoding::Deflate)) => Ok(encoding),
        Some(Encoding::Snappy) => Ok(Encoding::Snappy),
        _ => Err(ApiError::bad_request(format!("Content-Encoding {value:?} is not supported"))),
    }
}
