//! What the agent answers over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use telemetry::Format;

use crate::exporter::Exporter;
use crate::host::{CollectorSelection, collector_names};
use crate::logs::LogStatus;
use crate::status::{Missing, StatusBoard};

/// Paths of cAdvisor's pages and REST API.
const NOT_BUILT: [&str; 4] = ["/api/v1.3/{*rest}", "/api/v2.1/{*rest}", "/containers/", "/docker/"];

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct ApiState {
    pub(crate) exporter: Arc<Exporter>,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) logs: Option<LogStatus>,
    pub(crate) lifecycle: service::Lifecycle,
    pub(crate) host: Arc<str>,
}

/// The routes that are the agent's own.
pub(crate) fn router(state: ApiState, metrics_path: &str) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(|| async { service::text(StatusCode::OK, "ok") }))
        .route("/api/v1/status/watchbell", get(status))
        .route("/metrics", get(metrics));
    if metrics_path != "/metrics" && metrics_path.starts_with('/') && metrics_path != "/" {
        router = router.route(metrics_path, get(metrics));
    }
    let mut router = router.with_state(state);
    for path in NOT_BUILT {
        router = router.route(path, service::not_built());
    }
    router
}

async fn metrics(
    State(state): State<ApiState>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let mut selection = CollectorSelection::default();
    for (name, value) in parameters {
        match name.as_str() {
            "collect[]" => selection.only.push(value),
            "exclude[]" => selection.except.push(value),
            _ => {}
        }
    }
    if !selection.only.is_empty() && !selection.except.is_empty() {
        let message = "collect[] and exclude[] cannot be used together";
        return service::text_error(model::ErrorCode::InvalidArgument, message);
    }
    let named = selection.only.iter().chain(&selection.except);
    if let Some(unknown) = named.clone().find(|name| !collector_names().any(|known| known == *name)) {
        let message = format!("there is no collector {unknown:?}");
        return service::text_error(model::ErrorCode::InvalidArgument, &message);
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let format = Format::from_accept(accept);
    let body = state.exporter.scrape(selection, format).await;
    ([(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], body).into_response()
}

/// The agent's part of the gateway's Status page.
#[derive(Debug, Serialize)]
struct StatusAnswer {
    version: &'static str,
    details: serde_json::Map<String, serde_json::Value>,
    notices: Vec<Notice>,
    config_error: Option<String>,
    receivers: [(); 0],
    unreadable: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Notice {
    severity: &'static str,
    text: String,
}

async fn status(State(state): State<ApiState>) -> Response {
    let mut details = serde_json::Map::new();
    details.insert("host".to_owned(), state.host.to_string().into());
    let mut notices = Vec::new();
    if let Some(logs) = &state.logs {
        for (name, value) in logs.details() {
            details.insert(name.to_owned(), value.into());
        }
        if let Some(trouble) = logs.trouble() {
            notices.push(Notice { severity: "warning", text: trouble });
        }
    }
    let answer = StatusAnswer {
        version: env!("CARGO_PKG_VERSION"),
        details,
        notices,
        config_error: state.lifecycle.last_reload_error(),
        receivers: [],
        unreadable: state.status.missing(),
    };
    axum::Json(answer).into_response()
}
