//! `labels` and `label/{name}/values`

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use go_regex::CompiledMatcher;
use log_storage_api::{LogReader, StreamStats};
use model::TimestampNs;
use resources::RequestContext;

use super::call::Call;
use super::encode;
use crate::error::ApiError;
use crate::server::Server;

pub(super) async fn names(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    Ok(encode::json(list(&names_of(&server, call).await?)))
}

pub(super) async fn values(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Response, ApiError> {
    Ok(encode::json(list(&values_of(&server, call, &name).await?)))
}

/// The names of labels that a call asks for.
pub(super) async fn names_of(server: &Arc<Server>, call: Call) -> Result<BTreeSet<String>, ApiError> {
    let streams = streams_of(server, call).await?;
    let names = streams.iter().flat_map(|stats| stats.stream.labels.iter().map(|(name, _)| name.to_owned()));
    Ok(names.collect())
}

/// The values of a label that a call asks for.
pub(super) async fn values_of(
    server: &Arc<Server>,
    call: Call,
    name: &str,
) -> Result<BTreeSet<String>, ApiError> {
    let streams = streams_of(server, call).await?;
    Ok(streams.iter().filter_map(|stats| stats.stream.labels.get(name).map(str::to_owned)).collect())
}

/// The list; without `data` where it is empty, as the original has it.
fn list(items: &BTreeSet<String>) -> String {
    if items.is_empty() {
        return r#"{"status":"success"}"#.to_owned();
    }
    serde_json::json!({ "status": "success", "data": items }).to_string()
}

async fn streams_of(server: &Arc<Server>, call: Call) -> Result<Vec<StreamStats>, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let selector = selector(call.params.get("query"))?;
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| streams(ctx, &*store, vec![selector], start, end);
    server.run_query(call.scope, work).await
}

/// Streams that match any selector and what the request may see. Blocks.
pub(crate) fn streams(
    ctx: &RequestContext,
    reader: &dyn LogReader,
    mut selectors: Vec<Vec<CompiledMatcher>>,
    start: TimestampNs,
    end: TimestampNs,
) -> Result<Vec<StreamStats>, ApiError> {
    let enforced = logql::compile_matchers(&ctx.enforced_matchers)?;
    for selector in &mut selectors {
        selector.extend(enforced.iter().cloned());
    }
    Ok(reader.streams(ctx, &selectors, start, end)?)
}

/// The matchers of a selector; nothing and `{}` select all.
pub(crate) fn selector(query: Option<&str>) -> Result<Vec<CompiledMatcher>, ApiError> {
    let Some(query) = query.filter(|query| !query.trim().is_empty()) else { return Ok(Vec::new()) };
    let log = logql_syntax::parse_log(query)?;
    if !log.stages.is_empty() {
        return Err(ApiError::bad_request("only label matchers are supported here"));
    }
    Ok(logql::compile_matchers(&log.matchers)?)
}
