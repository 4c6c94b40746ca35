//! `/api/v1/metadata` and `/api/v1/targets/metadata`: what targets, and senders of remote write, say of their metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use metric_storage_api::MetricReader;
use model::{Labels, MetricMetadata};
use resources::CpuClass;
use serde_json::{Value, json};

use super::answer;
use super::error::ApiError;
use super::params::{Params, selectors};
use super::work;
use crate::state::State;

pub(crate) async fn metadata(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let limit = params.limit()?;
    let per_metric = match params.non_empty("limit_per_metric") {
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| ApiError::invalid_parameter("limit_per_metric", "must be a number"))?,
        None => 0,
    };
    let wanted = params.non_empty("metric").map(str::to_owned);
    let mut found: BTreeMap<String, Vec<MetricMetadata>> = BTreeMap::new();
    let mut add = |family: &str, entry: &MetricMetadata| {
        if limit > 0 && found.len() >= limit && !found.contains_key(family) {
            return;
        }
        let entries = found.entry(family.to_owned()).or_default();
        if !entries.contains(entry) && (per_metric == 0 || entries.len() < per_metric) {
            entries.push(entry.clone());
        }
    };
    for target in state.scrape.targets() {
        let metadata = Arc::clone(&target.metadata.lock());
        for (family, entry) in metadata.iter() {
            if wanted.as_ref().is_none_or(|name| name == family) {
                add(family, entry);
            }
        }
    }
    if state.flags.enable_remote_write_receiver {
        let scope = work::scope(&state, &parts, CpuClass::Query)?;
        let stored =
            work::run(&state, scope, None, move |ctx, db| Ok(db.metadata(ctx, wanted.as_deref())?)).await?;
        for (family, entries) in &stored {
            entries.iter().for_each(|entry| add(family, entry));
        }
    }
    let data: serde_json::Map<String, Value> = found
        .into_iter()
        .map(|(family, entries)| (family, entries.iter().map(entry_json).collect()))
        .collect();
    Ok(answer::success(&data))
}

pub(crate) async fn targets_metadata(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let limit = params.limit()?;
    let matchers = match params.non_empty("match_target") {
        Some(text) => selectors(&[text])?.pop().unwrap_or_default(),
        None => Vec::new(),
    };
    let metric = params.non_empty("metric");
    let mut data = Vec::new();
    for target in state.scrape.targets() {
        if !matchers.iter().all(|matcher| matcher.matches(target.labels.value(matcher.name()))) {
            continue;
        }
        let metadata = Arc::clone(&target.metadata.lock());
        for (family, entry) in metadata.iter().filter(|(family, _)| metric.is_none_or(|name| name == *family))
        {
            if limit > 0 && data.len() >= limit {
                break;
            }
            let mut item = json!({ "target": labels_json(&target.labels) });
            if metric.is_none() {
                item["metric"] = json!(family);
            }
            item["type"] = json!(entry.kind.as_str());
            item["help"] = json!(entry.help);
            item["unit"] = json!(entry.unit);
            data.push(item);
        }
    }
    Ok(answer::success(&data))
}

fn entry_json(entry: &MetricMetadata) -> Value {
    json!({"type": entry.kind.as_str(), "help": entry.help, "unit": entry.unit})
}

/// A label set as a JSON object.
pub(crate) fn labels_json(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
}
