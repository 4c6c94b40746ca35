//! `/api/v2/silences` and `/api/v2/silence/{id}`

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::time;
use super::query::{Parameters, Refusal};
use super::{Api, error, invalid};
use crate::manager::ChangeError;
use crate::silences::{Silence, SilenceError, SilenceMatcher, SilenceState};
use crate::times::rfc3339_ms;

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::of(query.as_deref());
    let queries = &api.manager.metrics().silence_queries;
    let wanted: Vec<SilenceMatcher> = match parameters.filter(api.manager.settings().matcher_mode) {
        Ok(matchers) => matchers.iter().map(SilenceMatcher::of).collect(),
        Err(response) => {
            queries.refused();
            return *response;
        }
    };
    let (began, mut scanned, mut skipped) = (api.manager.monotonic(), 0, 0);
    let mut states = Vec::new();
    for (name, state) in [
        ("active", SilenceState::Active),
        ("pending", SilenceState::Pending),
        ("expired", SilenceState::Expired),
    ] {
        if parameters.switch(name) {
            states.push(state);
        }
    }
    let now = api.manager.now();
    let mut found: Vec<Silence> = api
        .manager
        .dispatcher()
        .silences
        .iter()
        .inspect(|_| scanned += 1)
        .filter(|silence| {
            let is_wanted = states.contains(&silence.state(now));
            skipped += usize::from(!is_wanted);
            is_wanted
        })
        .filter(|silence| wanted.iter().all(|matcher| silence.matchers.contains(matcher)))
        .cloned()
        .collect();
    found.sort_by_key(|silence| {
        let state = silence.state(now);
        let order = match state {
            SilenceState::Active => silence.ends_at,
            SilenceState::Pending => silence.starts_at,
            SilenceState::Expired => -silence.ends_at,
        };
        (state, order, silence.id.clone())
    });
    queries.answered(api.manager.monotonic().saturating_sub(began), scanned, skipped);
    super::json(
        StatusCode::OK,
        &found.iter().map(|silence| silence_json(silence, now)).collect::<Vec<Value>>(),
    )
}

fn silence_json(silence: &Silence, now: i64) -> Value {
    let matchers: Vec<Value> = silence
        .matchers
        .iter()
        .map(|m| json!({ "isEqual": m.is_equal, "isRegex": m.is_regex, "name": m.name, "value": m.value }))
        .collect();
    let mut shown = json!({
        "id": silence.id,
        "status": { "state": silence.state(now).as_str() },
        "updatedAt": rfc3339_ms(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339_ms(silence.ends_at),
        "matchers": matchers,
        "startsAt": rfc3339_ms(silence.starts_at),
    });
    if !silence.annotations.is_empty() {
        shown["annotations"] = json!(silence.annotations);
    }
    shown
}

pub(super) async fn get(State(api): State<Api>, Path(id): Path<String>) -> Response {
    if !is_uuid(&id) {
        return not_an_id(&id);
    }
    let now = api.manager.now();
    let found = api.manager.dispatcher().silences.get(&id).map(|silence| silence_json(silence, now));
    match found {
        Some(silence) => super::json(StatusCode::OK, &silence),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Response {
    if !is_uuid(&id) {
        return not_an_id(&id);
    }
    match api.manager.expire_silence(&id).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failed) => refused(&failed),
    }
}

fn is_uuid(id: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    id.len() == 36
        && id.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

fn not_an_id(id: &str) -> Response {
    let message = format!("silenceID in path must be of type uuid: {id:?}");
    invalid(StatusCode::UNPROCESSABLE_ENTITY, 601, message)
}

fn refused(failed: &ChangeError) -> Response {
    let status = match failed {
        ChangeError::Silence(SilenceError::NotFound(_)) => StatusCode::NOT_FOUND,
        ChangeError::Silence(_) => StatusCode::BAD_REQUEST,
        ChangeError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, failed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedSilence {
    #[serde(default)]
    id: Option<String>,
    matchers: Option<Vec<PostedMatcher>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedMatcher {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default)]
    is_equal: Option<bool>,
}

pub(super) async fn post(State(api): State<Api>, body: Bytes) -> Response {
    let posted: PostedSilence = match serde_json::from_slice(&body) {
        Ok(posted) => posted,
        Err(error) => {
            return invalid(StatusCode::BAD_REQUEST, 400, format!("parsing silence body failed: {error}"));
        }
    };
    let silence = match into_silence(posted, api.manager.now()) {
        Ok(silence) => silence,
        Err(response) => return *response,
    };
    match api.manager.set_silence(silence).await {
        Ok(id) => super::json(StatusCode::OK, &json!({ "silenceID": id })),
        Err(failed) => refused(&failed),
    }
}

/// A silence that is new and whose form is as it should be.
pub(super) fn read_one(body: &[u8], now: i64) -> Option<Silence> {
    let posted: PostedSilence = serde_json::from_slice(body).ok()?;
    into_silence(PostedSilence { id: None, ..posted }, now).ok()
}

fn into_silence(posted: PostedSilence, now: i64) -> Result<Silence, Refusal> {
    let required = |name: &str| {
        Box::new(invalid(StatusCode::UNPROCESSABLE_ENTITY, 602, format!("{name} in body is required")))
    };
    let at = |name: &str, text: Option<String>| {
        let text = text.ok_or_else(|| required(name))?;
        let time = time(name, Some(&text))
            .map_err(|error| Box::new(invalid(StatusCode::BAD_REQUEST, 400, error)))?;
        Ok::<i64, Refusal>(time.unwrap_or(0))
    };
    let matchers = posted.matchers.ok_or_else(|| required("matchers"))?;
    let silence = Silence {
        id: posted.id.unwrap_or_default(),
        matchers: matchers
            .into_iter()
            .map(|m| SilenceMatcher {
                name: m.name,
                value: m.value,
                is_regex: m.is_regex,
                is_equal: m.is_equal.unwrap_or(true),
            })
            .collect(),
        starts_at: at("startsAt", posted.starts_at)?,
        ends_at: at("endsAt", posted.ends_at)?,
        updated_at: now,
        created_by: posted.created_by.ok_or_else(|| required("createdBy"))?,
        comment: posted.comment.ok_or_else(|| required("comment"))?,
        annotations: posted.annotations.unwrap_or_default(),
    };
    if silence.starts_at >= silence.ends_at {
        return Err(Box::new(error(
            StatusCode::BAD_REQUEST,
            "failed to create silence: start time must be before end time",
        )));
    }
    if silence.ends_at < now {
        return Err(Box::new(error(
            StatusCode::BAD_REQUEST,
            "failed to create silence: end time can't be in the past",
        )));
    }
    Ok(silence)
}
