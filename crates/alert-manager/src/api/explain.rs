//! Why an alert is told to whom, and tests of receivers.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use model::Labels;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::time;
use super::{Api, error};
use crate::alert::Fingerprint;
use crate::data::Pairs;
use crate::explain::ExplainedRoute;
use crate::times::{rfc3339, rfc3339_ms};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    labels: Pairs,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    render: bool,
}

pub(super) async fn explain(State(api): State<Api>, body: Bytes) -> Response {
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(failed) => return error(StatusCode::BAD_REQUEST, format!("parsing the body failed: {failed}")),
    };
    let at = match time("at", asked.at.as_deref()) {
        Ok(at) => at.unwrap_or_else(|| api.manager.now()),
        Err(reason) => return error(StatusCode::BAD_REQUEST, reason),
    };
    let labels = match &asked.fingerprint {
        None => Labels::from_pairs(&asked.labels),
        Some(text) => {
            let fingerprint = u64::from_str_radix(text, 16).map(Fingerprint);
            let known = fingerprint.ok().and_then(|fingerprint| api.manager.dispatcher().alert(fingerprint));
            match known {
                Some(alert) => alert.labels.clone(),
                None => {
                    return error(StatusCode::NOT_FOUND, format!("no alert has the fingerprint {text:?}"));
                }
            }
        }
    };
    if labels.is_empty() {
        return error(StatusCode::BAD_REQUEST, "labels or fingerprint: an alert has at least one label");
    }
    let explanation = api.manager.explain(&labels, at);
    let mut routes = Vec::new();
    for route in &explanation.routes {
        let mut shown = route_json(route);
        if asked.render {
            let rendered =
                api.manager.preview(&route.letter).await.into_iter().map(|(name, outcome)| match outcome {
                    Ok(requests) => json!({ "integration": name, "requests": requests }),
                    Err(failed) => json!({ "integration": name, "error": failed.to_string() }),
                });
            shown["rendered"] = rendered.collect();
        }
        routes.push(shown);
    }
    let inhibited_by: Vec<String> = explanation.inhibited_by.iter().map(ToString::to_string).collect();
    let body = json!({
        "labels": crate::data::pairs(&labels),
        "fingerprint": Fingerprint::of(&labels).to_string(),
        "at": rfc3339(at),
        "firing": explanation.is_firing,
        "verdict": explanation.verdict(),
        "routes": routes,
        "silencedBy": explanation.silenced_by,
        "inhibitedBy": inhibited_by,
        "acknowledgedBy": explanation.acknowledged_by,
    });
    super::json(StatusCode::OK, &body)
}

fn route_json(route: &ExplainedRoute) -> Value {
    let [group_wait, group_interval, repeat_interval] = route.waits_s;
    let told: Vec<Value> = route
        .last_told
        .iter()
        .map(|(name, at)| json!({ "integration": name, "lastTold": at.map(rfc3339_ms) }))
        .collect();
    json!({
        "path": route.path,
        "receiver": route.receiver,
        "groupKey": route.group_key,
        "groupLabels": route.group_labels,
        "groupWaitSeconds": group_wait,
        "groupIntervalSeconds": group_interval,
        "repeatIntervalSeconds": repeat_interval,
        "mutedBy": route.muted_by,
        "inactive": route.inactive,
        "group": route.group.map(|(alerts, next)| json!({ "alerts": alerts, "nextFlush": rfc3339_ms(next) })),
        "integrations": told,
    })
}

pub(super) async fn test_receiver(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let Some(tested) = api.manager.test_receiver(&name).await else {
        return error(StatusCode::NOT_FOUND, format!("no receiver {name:?}"));
    };
    let shown: Vec<Value> = tested
        .iter()
        .map(|one| {
            let (ok, answer) = match &one.outcome {
                Ok(answer) => (true, answer),
                Err(reason) => (false, reason),
            };
            json!({ "integration": one.integration, "index": one.index, "ok": ok, "answer": answer })
        })
        .collect();
    super::json(StatusCode::OK, &shown)
}
