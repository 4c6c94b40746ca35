//! `/api/v2/alerts` and `/api/v2/alerts/groups`

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::{TimestampNs, parse_rfc3339_ns};

use super::posted::{PostedAlert, Read, Reading};
use super::query::Parameters;
use super::{Api, error, invalid, shown};
use crate::alert::Alert;
use crate::manager::Manager;
use crate::matchers::MatcherMode;
use crate::times::ns;

/// Bodies up to this are read at once; longer ones beside the runtime's threads.
const SMALL_BODY_BYTES: usize = 16 << 10;

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let filter = match Parameters::of(query.as_deref()).alert_filter(&api) {
        Ok(filter) => filter,
        Err(response) => return *response,
    };
    encoded(move || {
        let now = api.manager.now();
        // The lock is held for finding them, not for writing them.
        let views = api.manager.dispatcher().alert_views(&filter, now);
        shown::alerts(&views)
    })
    .await
}

pub(super) async fn groups(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let filter = match Parameters::of(query.as_deref()).alert_filter(&api) {
        Ok(filter) => filter,
        Err(response) => return *response,
    };
    encoded(move || {
        let now = api.manager.now();
        let groups = api.manager.dispatcher().group_views(&filter, now);
        shown::groups(&groups)
    })
    .await
}

/// An answer that takes some computing.
async fn encoded(encode: impl FnOnce() -> Vec<u8> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(encode).await {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, failure),
    }
}

pub(super) async fn post(State(api): State<Api>, body: Bytes) -> Response {
    if body.len() <= SMALL_BODY_BYTES {
        return receive(&api.manager, &body);
    }
    let received = tokio::task::spawn_blocking(move || receive(&api.manager, &body)).await;
    received.unwrap_or_else(|failure| error(StatusCode::INTERNAL_SERVER_ERROR, failure))
}

fn receive(manager: &Manager, body: &[u8]) -> Response {
    let posted: Vec<PostedAlert<'_>> = match serde_json::from_slice(body) {
        Ok(posted) => posted,
        Err(error) => {
            return invalid(StatusCode::BAD_REQUEST, 400, format!("parsing alerts body failed: {error}"));
        }
    };
    let now = manager.now();
    let resolve_timeout_ns = ns(manager.dispatcher().config().global.resolve_timeout);
    let reading = Reading { now, resolve_timeout_ns, mode: manager.settings().matcher_mode };
    let (mut read, mut errors): (Vec<Read<'_>>, Vec<String>) = (Vec::with_capacity(posted.len()), Vec::new());
    let metrics = manager.metrics();
    let by_name = metrics.names_alerts();
    for one in posted {
        let name = by_name.then(|| one.name().to_owned());
        match one.read(reading) {
            Ok(one) => {
                if let Some(name) = name {
                    metrics.received(one.status(), &name, 1);
                }
                read.push(one);
            }
            Err(reason) => {
                metrics.invalid(name.as_deref().unwrap_or_default());
                errors.push(reason);
            }
        }
    }
    if !by_name {
        for status in ["firing", "resolved"] {
            let count = read.iter().filter(|one| one.status() == status).count();
            metrics.received(status, "", count as u64);
        }
    }
    let known = manager.dispatcher().known(read.iter().map(|one| one.fingerprint));
    let alerts = read.into_iter().zip(&known).map(|(one, known)| one.into_alert(known.as_ref())).collect();
    drop(known);
    manager.receive(alerts);
    if errors.is_empty() {
        StatusCode::OK.into_response()
    } else {
        error(StatusCode::BAD_REQUEST, errors.join("; "))
    }
}

/// The alerts of a body that are valid; none where it is not one.
pub(super) fn read_all(body: &[u8], now: TimestampNs, mode: MatcherMode) -> Option<Vec<Alert>> {
    let posted: Vec<PostedAlert<'_>> = serde_json::from_slice(body).ok()?;
    let reading = Reading { now, resolve_timeout_ns: crate::times::seconds(300), mode };
    let read = |one: PostedAlert<'_>| Some(one.read(reading).ok()?.into_alert(None));
    Some(posted.into_iter().filter_map(read).collect())
}

/// A time; Go's zero time means that none is set.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<TimestampNs>, String> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if text.starts_with("0001-01-01T") => Ok(None),
        Some(text) => {
            parse_rfc3339_ns(text).map(Some).ok_or_else(|| format!("{name}: {text:?} is not a time"))
        }
    }
}
