//! The first API, under `/api/prom`: the same questions, answers in their first form.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use model::{Labels, format_rfc3339_ns};
use serde_json::{Value, json};

use super::call::Call;
use super::encode;
use super::labels::{names_of, values_of};
use super::query::{QueryKind, RangeResult, checked_range, range_request, run_range};
use crate::error::ApiError;
use crate::server::Server;

/// `query`: lines, by a selector and, where given, a regular expression.
pub(super) async fn query(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let started = server.ingester.clock.monotonic();
    let request = range_request(&call, server.now_ns())?;
    let limits = server.limits_of(&call.scope.context.tenant);
    let query = match call.params.get("regexp").filter(|regexp| !regexp.is_empty()) {
        // Quoted as LogQL quotes: JSON's escapes are among its own.
        Some(regexp) => format!("{} |~ {}", call.query()?, Value::from(regexp)),
        None => call.query()?.to_owned(),
    };
    let range = checked_range(&query, request, &limits, server.now_ns())?;
    if matches!(range.kind, QueryKind::Metric { .. }) {
        return Err(ApiError::bad_request("legacy endpoints only support streams result type"));
    }
    let (store, engine) = (Arc::clone(&server.ingester.store), server.engine(&limits));
    let work = move |ctx: &resources::RequestContext| run_range(ctx, &*store, engine, &range, false);
    let (result, stats) = server.run_query(call.scope, work).await?;
    let RangeResult::Streams(streams) = result else {
        return Err(ApiError::bad_request("legacy endpoints only support streams result type"));
    };
    let streams: Vec<Value> = streams
        .iter()
        .map(|stream| {
            let labels = Labels::from_pairs(stream.labels.iter().map(|(name, value)| (name, value)));
            let entries: Vec<Value> = stream
                .entries
                .iter()
                .map(|entry| json!({ "ts": format_rfc3339_ns(entry.timestamp), "line": entry.line }))
                .collect();
            json!({ "labels": labels.to_string(), "entries": entries })
        })
        .collect();
    let took = server.ingester.clock.monotonic().saturating_sub(started);
    let mut body = format!(r#"{{"streams":{}"#, Value::from(streams));
    encode::push_stats(&mut body, &stats, took);
    body.push('}');
    Ok(encode::json(body))
}

/// `label`: the names of labels.
pub(super) async fn names(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let names = names_of(&server, call).await?;
    Ok(encode::json(json!({ "values": names }).to_string()))
}

/// `label/{name}/values`
pub(super) async fn values(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Response, ApiError> {
    let values = values_of(&server, call, &name).await?;
    Ok(encode::json(json!({ "values": values }).to_string()))
}
