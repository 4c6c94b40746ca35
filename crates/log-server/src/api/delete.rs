//! Requests to delete lines.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use log_store::{DeleteRequest, DeleteSpec};
use logql::EntryQuery;
use model::{ErrorCode, TimestampNs, parse_rfc3339_ns};
use serde_json::{Value, json};

use super::call::Call;
use super::encode;
use crate::config::DeletionMode;
use crate::error::ApiError;
use crate::server::{Server, blocking};

const NS_PER_SECOND: i64 = 1_000_000_000;

/// `POST` and `PUT`: hides lines at once, and lets them be removed where the tenant's mode says so.
pub(super) async fn create(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let mode = check_enabled(&server, &call)?;
    let query = call.params.get("query").ok_or_else(|| ApiError::bad_request("query not set"))?;
    let log = logql_syntax::parse_log(query)?;
    if log.matchers.is_empty() {
        return Err(ApiError::bad_request("a selector with at least one matcher is needed"));
    }
    let now = server.now_ns();
    let compiled = EntryQuery::new(&log, now)?;
    let start = time(&call, "start")?.ok_or_else(|| ApiError::bad_request("start time not set"))?;
    let end = time(&call, "end")?.unwrap_or(now);
    if end > now {
        return Err(ApiError::bad_request("deletes in the future are not allowed"));
    }
    if start >= end {
        return Err(ApiError::bad_request("start time can't be greater than end time"));
    }
    let apply_after = match mode {
        DeletionMode::FilterAndDelete => now.saturating_add(as_ns(cancel_period(&server))),
        DeletionMode::Disabled | DeletionMode::FilterOnly => TimestampNs::MAX,
    };
    let spec = DeleteSpec {
        query: query.to_owned(),
        matchers: log.matchers,
        line_filters: compiled.line_filters().to_vec(),
        metadata_filters: Vec::new(),
        start,
        end: end.saturating_add(1),
        apply_after,
        tests_query: !compiled.is_line_filters_alone(),
    };
    let tenant = call.scope.context.tenant.clone();
    blocking(move || Ok(server.store.request_delete(&tenant, spec)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET`: the requests, those that touch a range of time where one is given.
pub(super) async fn list(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    check_enabled(&server, &call)?;
    let (start, end) = (time(&call, "start")?, time(&call, "end")?);
    let tenant = &call.scope.context.tenant;
    let touches = |request: &DeleteRequest| match (start, end) {
        (Some(start), Some(end)) => request.spec.end > start && request.spec.start <= end,
        _ => true,
    };
    let requests = server.store.delete_requests(tenant);
    let listed: Vec<Value> = requests
        .iter()
        .filter(|request| touches(request))
        .map(|request| {
            json!({
                "request_id": request_id(request.id),
                "start_time": seconds(request.spec.start),
                "end_time": seconds(request.spec.end - 1),
                "query": request.spec.query,
                "status": if request.done { "processed" } else { "received" },
                "created_at": seconds(request.created),
                "user_id": tenant.as_str(),
            })
        })
        .collect();
    Ok(encode::json(Value::from(listed).to_string()))
}

/// `DELETE`: takes a request back, so that its lines show again.
pub(super) async fn cancel(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    check_enabled(&server, &call)?;
    let given = call.params.get("request_id").ok_or_else(|| ApiError::bad_request("request_id not set"))?;
    let tenant = call.scope.context.tenant.clone();
    let requests = server.store.delete_requests(&tenant);
    let request = requests
        .into_iter()
        .find(|request| request_id(request.id) == given)
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "could not find delete request with given id"))?;
    let in_process = "deletion of request which is in process or already processed is not allowed";
    if request.done {
        return Err(ApiError::bad_request(in_process));
    }
    let period = cancel_period(&server);
    let is_over = server.now_ns() > request.created.saturating_add(as_ns(period));
    if is_over && call.params.get("force") != Some("true") {
        return Err(ApiError::bad_request(format!(
            "deletion of request past the deadline of {}s since its creation is not allowed",
            period.as_secs()
        )));
    }
    if !blocking(move || Ok(server.store.cancel_delete(&tenant, request.id)?)).await? {
        return Err(ApiError::bad_request(in_process));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The mode of the tenant's deletes, where there may be any.
fn check_enabled(server: &Server, call: &Call) -> Result<DeletionMode, ApiError> {
    if !server.loaded.read().config.retention_enabled {
        return Err(ApiError::bad_request("Retention is not enabled"));
    }
    match server.limits_of(&call.scope.context.tenant).deletion_mode {
        DeletionMode::Disabled => {
            let message = "deletion is not available for this tenant";
            Err(ApiError::new(ErrorCode::PermissionDenied, message))
        }
        mode => Ok(mode),
    }
}

fn cancel_period(server: &Server) -> Duration {
    server.loaded.read().config.delete_cancel_period
}

/// A time in seconds, with exactly ten digits, or as RFC 3339 has it.
fn time(call: &Call, name: &str) -> Result<Option<TimestampNs>, ApiError> {
    let Some(text) = call.params.get(name) else { return Ok(None) };
    let number = || (text.len() == 10).then(|| text.parse::<i64>().ok())?.map(|s| s * NS_PER_SECOND);
    let parsed = number().or_else(|| parse_rfc3339_ns(text));
    parsed.map(Some).ok_or_else(|| {
        let form = "require unix seconds or RFC3339 format";
        ApiError::bad_request(format!("invalid {name} time: {form}"))
    })
}

fn request_id(id: u64) -> String {
    format!("{id:08x}")
}

fn seconds(nanos: TimestampNs) -> i64 {
    nanos.div_euclid(NS_PER_SECOND)
}

fn as_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
