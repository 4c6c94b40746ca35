//! `/api/v2/alerts` and `/api/v2/alerts/groups`

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use model::{Labels, TimestampNs, parse_rfc3339_ns};
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Parameters;
use super::{Api, error, invalid};
use crate::alert::{Alert, Fingerprint};
use crate::data::pairs;
use crate::dispatch::AlertView;
use crate::matchers::{MatcherMode, is_classic_name};
use crate::times::{ns, rfc3339_ms};

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let filter = match Parameters::of(query.as_deref()).alert_filter(api.manager.settings().matcher_mode) {
        Ok(filter) => filter,
        Err(response) => return *response,
    };
    let now = api.manager.now();
    let views = api.manager.dispatcher().alert_views(&filter, now);
    super::json(StatusCode::OK, &views.iter().map(alert_json).collect::<Vec<Value>>())
}

pub(super) async fn groups(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let filter = match Parameters::of(query.as_deref()).alert_filter(api.manager.settings().matcher_mode) {
        Ok(filter) => filter,
        Err(response) => return *response,
    };
    let now = api.manager.now();
    let groups = api.manager.dispatcher().group_views(&filter, now);
    let shown: Vec<Value> = groups
        .iter()
        .map(|group| {
            json!({
                "labels": pairs(&group.labels),
                "routeLabels": group.route_labels,
                "receiver": { "name": group.receiver },
                "alerts": group.alerts.iter().map(alert_json).collect::<Vec<Value>>(),
            })
        })
        .collect();
    super::json(StatusCode::OK, &shown)
}

fn alert_json(view: &AlertView) -> Value {
    let alert = &view.alert;
    let inhibited_by: Vec<String> = view.inhibited_by.iter().map(ToString::to_string).collect();
    let mut shown = json!({
        "annotations": pairs(&alert.annotations),
        "endsAt": rfc3339_ms(alert.ends_at),
        "fingerprint": alert.fingerprint.to_string(),
        "receivers": view.receivers.iter().map(|name| json!({ "name": name })).collect::<Vec<Value>>(),
        "startsAt": rfc3339_ms(alert.starts_at),
        "status": {
            "inhibitedBy": inhibited_by,
            "mutedBy": view.muted_by,
            "silencedBy": view.silenced_by,
            "state": if view.is_suppressed() { "suppressed" } else { "active" },
        },
        "updatedAt": rfc3339_ms(alert.updated_at),
        "labels": pairs(&alert.labels),
    });
    if !alert.generator_url.is_empty() {
        shown["generatorURL"] = alert.generator_url.as_str().into();
    }
    shown
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

pub(super) async fn post(State(api): State<Api>, body: Bytes) -> Response {
    let posted: Vec<PostedAlert> = match serde_json::from_slice(&body) {
        Ok(posted) => posted,
        Err(error) => {
            return invalid(StatusCode::BAD_REQUEST, 400, format!("parsing alerts body failed: {error}"));
        }
    };
    let manager = &api.manager;
    let now = manager.now();
    let resolve_timeout_ns = ns(manager.dispatcher().config().global.resolve_timeout);
    let mode = manager.settings().matcher_mode;
    let mut alerts = Vec::with_capacity(posted.len());
    let mut errors = Vec::new();
    for one in posted {
        let named = manager.metrics().names_alerts().then(|| one.labels.get("alertname").cloned());
        match into_alert(one, now, resolve_timeout_ns, mode) {
            Ok(alert) => {
                let status = if alert.is_resolved(now) { "resolved" } else { "firing" };
                manager.metrics().received(status, alert.name());
                alerts.push(alert);
            }
            Err(reason) => {
                manager.metrics().invalid(named.flatten().as_deref().unwrap_or_default());
                errors.push(reason);
            }
        }
    }
    manager.receive(alerts);
    if errors.is_empty() {
        StatusCode::OK.into_response()
    } else {
        error(StatusCode::BAD_REQUEST, errors.join("; "))
    }
}

/// The alerts of a body that are valid; none where it is not one.
pub(super) fn read_all(body: &[u8], now: TimestampNs, mode: MatcherMode) -> Option<Vec<Alert>> {
    let posted: Vec<PostedAlert> = serde_json::from_slice(body).ok()?;
    let read = |one| into_alert(one, now, crate::times::seconds(300), mode).ok();
    Some(posted.into_iter().filter_map(read).collect())
}

fn into_alert(
    posted: PostedAlert,
    now: TimestampNs,
    resolve_timeout_ns: i64,
    mode: MatcherMode,
) -> Result<Alert, String> {
    let labels = Labels::from_pairs(&posted.labels);
    let annotations = Labels::from_pairs(posted.annotations.iter().flatten());
    if labels.is_empty() {
        return Err("at least one label pair required".to_owned());
    }
    for (what, set) in [("label", &labels), ("annotation", &annotations)] {
        let bad = |name: &&str| name.is_empty() || (mode == MatcherMode::Classic && !is_classic_name(name));
        if let Some(name) = set.iter().map(|(name, _)| name).find(bad) {
            return Err(format!("invalid {what} set: invalid name {name:?}"));
        }
    }
    let starts_at = time("startsAt", posted.starts_at.as_deref())?;
    let ends_at = time("endsAt", posted.ends_at.as_deref())?;
    let starts_at = starts_at.unwrap_or_else(|| ends_at.map_or(now, |end| end.min(now)));
    let timeout = ends_at.is_none();
    let ends_at = ends_at.unwrap_or(now + resolve_timeout_ns);
    if starts_at > ends_at {
        return Err("start time must be before end time".to_owned());
    }
    let fingerprint = Fingerprint::of(&labels);
    Ok(Alert {
        labels,
        annotations,
        starts_at,
        ends_at,
        updated_at: now,
        timeout,
        generator_url: posted.generator_url.unwrap_or_default(),
        fingerprint,
    })
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
