//! Queries formatted, versions, configuration, services.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use super::call::Call;
use super::encode;
use crate::error::ApiError;
use crate::server::{Server, blocking};

pub(super) async fn format_query(call: Call) -> Response {
    let text = call.params.get("query").unwrap_or("");
    let parsed = logql_syntax::parse(text).map_err(ApiError::from).and_then(|expr| {
        logql::check(&expr)?;
        Ok(expr.pretty())
    });
    match parsed {
        Ok(data) => encode::json(json!({ "status": "success", "data": data }).to_string()),
        Err(error) => {
            let body = json!({ "status": "invalid-query", "error": error.message });
            let mut response = encode::json(body.to_string());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

pub(super) async fn build_info() -> Response {
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    encode::json(body.to_string())
}

/// What the gateway's Status page shows of this server.
pub(super) async fn watchbell(State(server): State<Arc<Server>>) -> Response {
    let loaded = Arc::clone(&server.loaded.read());
    let notices: Vec<_> =
        loaded.warnings.iter().map(|text| json!({ "severity": "info", "text": text })).collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "details": {},
        "notices": notices,
        "config_error": server.lifecycle.last_reload_error(),
    });
    encode::json(body.to_string())
}

pub(super) async fn drilldown_limits(State(server): State<Arc<Server>>, call: Call) -> Response {
    let limits = server.limits_of(&call.scope.context.tenant);
    let body = json!({
        "limits": {
            "discover_log_levels": limits.discovers_levels,
            "discover_service_name": limits.service_name_labels,
            "max_entries_limit_per_query": limits.entries_max,
            "max_line_size": limits.line_bytes_max.unwrap_or(0),
            "max_query_series": limits.query_series_max,
            "query_timeout": format!("{}s", limits.query_timeout.as_secs()),
            "volume_enabled": limits.volume_enabled,
            "volume_max_series": limits.volume_series_max,
            "retention_period": format!("{}s", limits.retention.map_or(0, |period| period.as_secs())),
        },
        "pattern_ingester_enabled": true,
        "version": env!("CARGO_PKG_VERSION"),
    });
    encode::json(body.to_string())
}

/// The file as it was read, with secrets masked.
pub(super) async fn config(State(server): State<Arc<Server>>) -> Response {
    let yaml = server.loaded.read().masked_yaml.clone();
    let mut response = yaml.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/yaml; charset=utf-8"));
    response
}

/// Writes what is in memory to segments.
pub(super) async fn flush(State(server): State<Arc<Server>>) -> Result<Response, ApiError> {
    blocking(move || Ok(server.store.flush()?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn services(State(server): State<Arc<Server>>) -> Response {
    let state = match server.lifecycle.readiness() {
        service::Readiness::Starting(_) => "Starting",
        service::Readiness::Ready => "Running",
        service::Readiness::Stopping => "Stopping",
    };
    let parts = ["distributor", "ingester", "querier", "ruler", "compactor", "server"];
    let text: String = parts.iter().map(|part| format!("{part} => {state}\n")).collect();
    service::text(StatusCode::OK, &text)
}
