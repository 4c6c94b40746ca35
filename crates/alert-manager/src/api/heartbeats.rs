//! Heartbeats that come in.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use model::parse_duration_ms;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, error};
use crate::heartbeats::{HEARTBEATS_MAX, Heartbeat};
use crate::times::{rfc3339_ms, seconds};

/// The longest name, and the most labels.
const NAME_BYTES_MAX: usize = 256;
const LABELS_MAX: usize = 30;
/// The shortest time after which one is missed.
const EVERY_MIN_NS: i64 = seconds(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    every: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

pub(super) async fn list(State(api): State<Api>) -> Response {
    let now = api.manager.now();
    let shown = |one: &Heartbeat| {
        json!({
            "name": one.name,
            "at": rfc3339_ms(one.at),
            "everySeconds": one.every_ns as f64 / 1e9,
            "labels": one.labels,
            "missed": one.is_missed(now),
        })
    };
    super::json(StatusCode::OK, &api.manager.heartbeats().iter().map(shown).collect::<Vec<Value>>())
}

pub(super) async fn post(State(api): State<Api>, Path(name): Path<String>, body: Bytes) -> Response {
    let bad = |reason: String| error(StatusCode::BAD_REQUEST, reason);
    if name.len() > NAME_BYTES_MAX {
        return bad(format!("a name may have {NAME_BYTES_MAX} bytes"));
    }
    let known = api.manager.heartbeats().into_iter().find(|one| one.name == name);
    let now = api.manager.now();
    let heartbeat = match (known, body.is_empty()) {
        // Once it is known, a beat needs no body.
        (Some(known), true) => Heartbeat { at: now, ..known },
        (None, true) => return bad("the first beat says {\"every\": \"5m\"}".to_owned()),
        (_, false) => {
            let posted: Posted = match serde_json::from_slice(&body) {
                Ok(posted) => posted,
                Err(failed) => return bad(format!("parsing the body failed: {failed}")),
            };
            let every_ns = match parse_duration_ms(&posted.every) {
                Ok(ms) => ms.saturating_mul(1_000_000),
                Err(failed) => return bad(format!("every: {failed}")),
            };
            if every_ns < EVERY_MIN_NS || posted.labels.len() > LABELS_MAX {
                return bad(format!("every: at least 1s; labels: at most {LABELS_MAX}"));
            }
            Heartbeat { name, at: now, every_ns, labels: posted.labels }
        }
    };
    match api.manager.beat(heartbeat).await {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => bad(format!("{HEARTBEATS_MAX} heartbeats are known, the most there can be")),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, failed),
    }
}

pub(super) async fn delete(State(api): State<Api>, Path(name): Path<String>) -> Response {
    match api.manager.forget_heartbeat(&name).await {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => error(StatusCode::NOT_FOUND, format!("no heartbeat {name:?}")),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, failed),
    }
}
