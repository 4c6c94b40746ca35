//! `/api/v1/targets`, `/api/v1/scrape_pools` and `/api/v1/alertmanagers`.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use model::{Labels, TimestampMs, format_duration_ms, format_rfc3339_ns};
use relabel::Rule;
use serde_json::{Value, json};

use super::answer;
use super::error::ApiError;
use super::metadata::labels_json;
use super::params::Params;
use crate::scrape::{Target, before_relabelling};
use crate::state::State;

/// What Go shows for a time that is not set.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) async fn targets(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let wanted = params.non_empty("state").unwrap_or("any").to_ascii_lowercase();
    let (show_active, show_dropped) = (wanted != "dropped", wanted != "active");
    let pool_wanted = params.non_empty("scrapePool");
    let (mut active, mut dropped, mut counts) = (Vec::new(), Vec::new(), serde_json::Map::new());
    for (name, pool) in state.scrape.pools() {
        let shown = pool.shown.read();
        if pool_wanted.is_none_or(|wanted| wanted == name) {
            if show_active {
                active.extend(shown.active.iter().map(|target| target_json(&state, target)));
            }
            if show_dropped {
                let rules = &pool.config.relabel;
                dropped.extend(shown.dropped.iter().map(|(labels, rule)| {
                    json!({
                        "discoveredLabels": labels_json(labels),
                        "scrapePool": name,
                        "relabelIndex": rule,
                        "relabelRule": rules.get(*rule).map(rule_json),
                    })
                }));
            }
        }
        if show_dropped {
            counts.insert(name, json!(shown.dropped_count));
        }
    }
    let counts = if show_dropped { Value::Object(counts) } else { Value::Null };
    Ok(answer::success(&json!({
        "activeTargets": active,
        "droppedTargets": dropped,
        "droppedTargetCounts": counts,
    })))
}

/// What each rule of a pool makes of a set of labels, up to the one that drops it.
pub(crate) async fn relabel_steps(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let name = params
        .non_empty("scrapePool")
        .ok_or_else(|| ApiError::bad_data("no scrapePool parameter provided"))?;
    let labels: std::collections::BTreeMap<String, String> =
        serde_json::from_str(params.get("labels").unwrap_or_default())
            .map_err(|error| ApiError::invalid_parameter("labels", error))?;
    let pools = state.scrape.pools();
    let pool = pools.get(name).ok_or_else(|| {
        ApiError::new(super::error::Kind::NotFound, format!("scrape pool {name:?} not found"))
    })?;
    let mut labels = before_relabelling(&Labels::from_pairs(labels), &pool.config);
    let mut steps = Vec::new();
    for rule in &pool.config.relabel {
        let keep = rule.apply(&mut labels);
        let output = if keep { labels_json(&labels.build()) } else { json!({}) };
        steps.push(json!({ "rule": rule_json(rule), "output": output, "keep": keep }));
        if !keep {
            break;
        }
    }
    Ok(answer::success(&json!({ "steps": steps })))
}

/// A rule as it is written, without what it leaves out.
fn rule_json(rule: &Rule) -> Value {
    let spec = rule.spec();
    let keys = [
        ("source_labels", spec.source_labels.as_ref().map(|labels| json!(labels))),
        ("separator", spec.separator.as_ref().map(|text| json!(text))),
        ("regex", spec.regex.as_ref().map(|text| json!(text))),
        ("modulus", spec.modulus.map(|number| json!(number))),
        ("target_label", spec.target_label.as_ref().map(|text| json!(text))),
        ("replacement", spec.replacement.as_ref().map(|text| json!(text))),
        ("action", Some(json!(spec.action.as_deref().unwrap_or("replace").to_ascii_lowercase()))),
    ];
    Value::Object(keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn target_json(state: &State, target: &Target) -> Value {
    let status = target.status.lock().clone();
    let period = |duration: std::time::Duration| format_duration_ms(duration.as_millis() as i64);
    json!({
        "discoveredLabels": labels_json(&target.discovered),
        "labels": labels_json(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.url.as_str(),
        "globalUrl": global_url(state, target),
        "lastError": status.last_error,
        "lastScrape": status.last_scrape.map_or_else(|| NEVER.to_owned(), rfc3339),
        "lastScrapeDuration": status.last_duration.as_secs_f64(),
        "health": status.health.as_str(),
        "scrapeInterval": period(target.interval),
        "scrapeTimeout": period(target.timeout),
    })
}

/// The target's URL as seen from outside: a target on this machine has this machine's name.
fn global_url(state: &State, target: &Target) -> String {
    let mut url = target.url.clone();
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let external = url::Url::parse(&state.external_url).ok();
    if let (true, Some(host)) = (is_local, external.as_ref().and_then(url::Url::host_str)) {
        url.set_host(Some(host)).ok();
    }
    url.to_string()
}

pub(crate) fn rfc3339(timestamp: TimestampMs) -> String {
    format_rfc3339_ns(timestamp.saturating_mul(1_000_000))
}

pub(crate) async fn pools(AxumState(state): AxumState<Arc<State>>) -> Response {
    let names: Vec<String> = state.scrape.pools().into_keys().collect();
    answer::success(&json!({ "scrapePools": names }))
}

/// A job's configuration with what it inherits, secrets masked.
pub(crate) async fn pool_config(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let name = params
        .non_empty("scrapePool")
        .ok_or_else(|| ApiError::bad_data("no scrapePool parameter provided"))?;
    let pools = state.scrape.pools();
    let pool = pools.get(name).ok_or_else(|| {
        ApiError::bad_data(format!("error retrieving scrape config: scrape pool {name:?} not found"))
    })?;
    Ok(answer::success(&json!({ "yaml": pool.config.yaml })))
}

pub(crate) async fn alertmanagers(AxumState(state): AxumState<Arc<State>>) -> Response {
    let urls = |urls: Vec<String>| urls.into_iter().map(|url| json!({ "url": url })).collect::<Vec<_>>();
    answer::success(&json!({
        "activeAlertmanagers": urls(state.alerts.active()),
        "droppedAlertmanagers": urls(state.alerts.dropped()),
    }))
}
