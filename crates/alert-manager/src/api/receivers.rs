//! How receivers do, and what has not arrived.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::Api;
use crate::outbox::Lane;
use crate::times::rfc3339_ms;

/// The health of all receivers.
pub(super) async fn list(State(api): State<Api>) -> Response {
    let config = Arc::clone(api.manager.dispatcher().config());
    let used = config.used_receivers();
    let mut shown = Vec::new();
    for receiver in &config.receivers {
        let mut integrations = Vec::new();
        for integration in &receiver.integrations {
            let id = (receiver.name.clone(), integration.kind.name(), integration.idx);
            let health = api.manager.health().of(&id);
            let lane = Lane { receiver: id.0, kind: id.1.to_owned(), idx: id.2 };
            integrations.push(json!({
                "integration": id.1,
                "index": id.2,
                "sendResolved": integration.send_resolved,
                "state": health.state(),
                "lastAttempt": health.last_attempt.map(rfc3339_ms),
                "lastSuccess": health.last_success.map(rfc3339_ms),
                "failingSince": health.failing_since.map(rfc3339_ms),
                "failures": health.failures,
                "lastError": health.last_error,
                "waiting": api.manager.outbox().waiting(&lane),
            }));
        }
        let fallback = receiver.fallback.as_ref().map(
            |fallback| json!({ "receiver": fallback.receiver, "afterSeconds": fallback.after.as_secs() }),
        );
        shown.push(json!({
            "name": receiver.name,
            "labels": receiver.labels,
            "used": used.contains(receiver.name.as_str()),
            "fallback": fallback,
            "integrations": integrations,
        }));
    }
    super::json(StatusCode::OK, &shown)
}

/// What has not arrived yet.
pub(super) async fn outbox(State(api): State<Api>) -> Response {
    let outbox = api.manager.outbox();
    let shown: Vec<Value> = outbox
        .iter()
        .map(|parcel| {
            let (firing, resolved) = parcel.letter.counts();
            json!({
                "receiver": parcel.lane.receiver,
                "integration": parcel.lane.kind,
                "index": parcel.lane.idx,
                "groupKey": parcel.letter.group_key,
                "groupLabels": parcel.letter.group_labels,
                "reason": parcel.letter.reason.as_str(),
                "firing": firing,
                "resolved": resolved,
                "since": rfc3339_ms(parcel.since),
                "attempts": parcel.attempts,
                "lastError": parcel.last_error,
                "fallbackTold": parcel.fallback_told,
            })
        })
        .collect();
    drop(outbox);
    super::json(StatusCode::OK, &shown)
}
