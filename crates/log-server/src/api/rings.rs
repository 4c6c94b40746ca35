//! Pages of the original's rings: each has one member, which is this process.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderMap;
use http::header::ACCEPT;
use model::format_rfc3339_ns;
use serde_json::json;

use super::encode;
use crate::server::Server;

/// The paths of the rings.
pub(super) const PATHS: [&str; 8] = [
    "/ring",
    "/distributor/ring",
    "/ruler/ring",
    "/compactor/ring",
    "/indexgateway/ring",
    "/scheduler/ring",
    "/pattern/ring",
    "/memberlist",
];

pub(super) async fn page(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let state = match server.lifecycle.readiness() {
        service::Readiness::Starting(_) => "JOINING",
        service::Readiness::Ready => "ACTIVE",
        service::Readiness::Stopping => "LEAVING",
    };
    let now = format_rfc3339_ns(server.now_ns());
    let wants_json = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("application/json"));
    if wants_json {
        let member =
            json!({ "id": "watchbell-logs", "state": state, "timestamp": now, "zone": "", "tokens": [] });
        return encode::json(json!({ "shards": [member], "now": now }).to_string());
    }
    Html(format!(
        "<!DOCTYPE html><html><head><title>Ring status</title></head><body><h1>Ring status</h1><p>All parts run in this \
         process.</p><table><tr><th>Instance</th><th>State</th><th>Time</th></tr>\
         <tr><td>watchbell-logs</td><td>{state}</td><td>{now}</td></tr></table></body></html>"
    ))
    .into_response()
}
