//! `/api/v1/targets`, `/api/v1/scrape_pools` and `/api/v1/alertmanagers`.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use model::{TimestampMs, format_duration_ms, format_rfc3339_ns};
use serde_json::{Value, json};

use super::answer;
use super::error::ApiError;
use super::metadata::labels_json;
use super::params::Params;
use crate::scrape::Target;
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
                let discovered = shown.dropped.iter().map(labels_json);
                dropped
                    .extend(discovered.map(|labels| json!({"discoveredLabels": labels, "scrapePool": name})));
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

pub(crate) async fn alertmanagers(AxumState(state): AxumState<Arc<State>>) -> Response {
    let urls = |urls: Vec<String>| urls.into_iter().map(|url| json!({ "url": url })).collect::<Vec<_>>();
    answer::success(&json!({
        "activeAlertmanagers": urls(state.alerts.active()),
        "droppedAlertmanagers": urls(state.alerts.dropped()),
    }))
}
