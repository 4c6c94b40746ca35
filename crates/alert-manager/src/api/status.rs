//! `/api/v2/status` and `/api/v2/receivers`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::Api;
use super::query::Parameters;
use crate::cluster::Cluster;
use crate::times::rfc3339_ms;

pub(super) async fn status(State(api): State<Api>) -> Response {
    let config = Arc::clone(api.manager.dispatcher().config());
    let cluster = match api.manager.cluster().map(Cluster::status) {
        None => json!({ "peers": [], "status": "disabled" }),
        Some(status) => {
            let peers: Vec<Value> = status
                .members
                .iter()
                .map(|(name, address)| json!({ "name": name, "address": address.to_string() }))
                .collect();
            let state = if status.is_settled { "ready" } else { "settling" };
            json!({ "name": status.name, "status": state, "peers": peers })
        }
    };
    let body = json!({
        "cluster": cluster,
        "config": { "original": config.masked },
        "uptime": rfc3339_ms(api.manager.started_at()),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": "",
            "version": env!("CARGO_PKG_VERSION"),
        },
    });
    super::json(StatusCode::OK, &body)
}

/// What the gateway's Status page shows of this server.
pub(super) async fn watchbell(State(api): State<Api>) -> Response {
    let config = Arc::clone(api.manager.dispatcher().config());
    let receivers: Vec<Value> = config
        .receivers
        .iter()
        .map(|receiver| {
            json!({
                "name": receiver.name,
                "integrations": receiver.integrations.len(),
                "last_error": api.manager.health().last_error(&receiver.name),
            })
        })
        .collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "details": {},
        "notices": [],
        "config_error": api.manager.config_error(),
        "receivers": receivers,
    });
    super::json(StatusCode::OK, &body)
}

pub(super) async fn receivers(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let wanted = match Parameters::of(query.as_deref()).receivers(&api) {
        Ok(wanted) => wanted,
        Err(response) => return *response,
    };
    let config = Arc::clone(api.manager.dispatcher().config());
    let shown: Vec<Value> = config
        .receivers
        .iter()
        .filter(|receiver| wanted.as_ref().is_none_or(|names| names.contains(&receiver.name)))
        .map(|receiver| json!({ "name": receiver.name, "labels": receiver.labels }))
        .collect();
    super::json(StatusCode::OK, &shown)
}
