//! `/api/v1/status/*` and `/version`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use model::{ByteSize, format_duration_ms};
use serde_json::{Map, Value, json};

use super::answer;
use super::error::ApiError;
use super::params::Params;
use super::targets::rfc3339;
use super::work;
use crate::host::hostname;
use crate::metrics::PROMETHEUS_VERSION;
use crate::state::State;

pub(crate) async fn config(AxumState(state): AxumState<Arc<State>>) -> Response {
    let yaml = state.config.read().yaml.clone();
    answer::success(&json!({ "yaml": yaml }))
}

pub(crate) async fn flags(AxumState(state): AxumState<Arc<State>>) -> Response {
    answer::success(&flag_map(&state))
}

/// All flags as text.
fn flag_map(state: &State) -> Map<String, Value> {
    let flags = &*state.flags;
    let duration = format_duration_ms;
    let pairs: Vec<(&str, String)> = vec![
        ("config.file", flags.config_file.display().to_string()),
        ("web.listen-address", flags.listen_address.join(",")),
        ("web.config.file", flags.web_config_file.clone()),
        ("web.read-timeout", duration(flags.read_timeout_ms)),
        ("web.max-connections", flags.max_connections.to_string()),
        ("web.external-url", flags.external_url.clone()),
        ("web.route-prefix", flags.effective_route_prefix()),
        ("web.enable-lifecycle", flags.enable_lifecycle.to_string()),
        ("web.enable-admin-api", flags.enable_admin_api.to_string()),
        ("web.enable-remote-write-receiver", flags.enable_remote_write_receiver.to_string()),
        ("web.enable-otlp-receiver", flags.enable_otlp_receiver.to_string()),
        ("web.page-title", flags.page_title.clone()),
        ("web.search.max-limit", flags.search_max_limit.to_string()),
        ("web.max-notifications-subscribers", flags.max_notifications_subscribers.to_string()),
        ("web.cors.origin", flags.cors_origin.clone()),
        ("storage.tsdb.path", flags.tsdb_path.display().to_string()),
        ("storage.tsdb.retention.time", flags.retention_time_ms.map_or_else(|| "0s".to_owned(), duration)),
        ("storage.tsdb.retention.size", format!("{}B", flags.retention_size.0)),
        ("storage.tsdb.no-lockfile", flags.no_lockfile.to_string()),
        ("storage.tsdb.min-block-duration", duration(flags.min_block_duration_ms)),
        ("storage.tsdb.max-block-duration", duration(flags.max_block_duration_ms)),
        ("storage.tsdb.wal-segment-size", format!("{}B", flags.wal_segment_size.0)),
        ("storage.tsdb.wal-compression", flags.wal_compression.to_string()),
        ("storage.remote.flush-deadline", duration(flags.remote_flush_deadline_ms)),
        ("storage.remote.read-sample-limit", flags.read_sample_limit.to_string()),
        ("storage.remote.read-concurrent-limit", flags.read_concurrent_limit.to_string()),
        ("storage.remote.read-max-bytes-in-frame", flags.read_frame_bytes.to_string()),
        ("storage.sync", flags.sync.clone()),
        ("rules.alert.for-outage-tolerance", duration(flags.for_outage_tolerance_ms)),
        ("rules.alert.for-grace-period", duration(flags.for_grace_period_ms)),
        ("rules.alert.resend-delay", duration(flags.resend_delay_ms)),
        ("rules.max-concurrent-evals", flags.max_concurrent_evals.to_string()),
        ("alertmanager.notification-queue-capacity", flags.notification_queue_capacity.to_string()),
        ("alertmanager.notification-batch-size", flags.notification_batch_size.to_string()),
        ("query.lookback-delta", duration(flags.lookback_delta_ms)),
        ("query.timeout", duration(flags.query_timeout_ms)),
        ("query.max-concurrency", flags.query_max_concurrency.to_string()),
        ("query.max-samples", flags.query_max_samples.to_string()),
        ("query.max-memory", format!("{}B", flags.query_max_memory.0)),
        ("enable-feature", flags.features.join(",")),
        ("agent", flags.agent.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

pub(crate) async fn runtime_info(AxumState(state): AxumState<Arc<State>>) -> Response {
    let (loaded, ok) = *state.config_loaded.read();
    let directory = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    answer::success(&json!({
        "startTime": rfc3339(state.started_ms),
        "CWD": directory,
        "hostname": hostname(),
        "serverTime": rfc3339(state.clock.now_ms()),
        "reloadConfigSuccess": ok,
        "lastConfigTime": rfc3339(loaded),
        "corruptionCount": corruptions(&state),
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": threads,
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": retention_text(&state),
    }))
}

fn corruptions(state: &State) -> u64 {
    state.db.get().map_or(0, |db| db.counters().wal_corruptions.load(Ordering::Relaxed))
}

/// "15d or 10GiB"
fn retention_text(state: &State) -> String {
    let config = state.config.read();
    let (time, bytes) = crate::app::retention(&state.flags, &config.config);
    let mut parts = Vec::new();
    if time > 0 {
        parts.push(format_duration_ms(time));
    }
    if bytes > 0 {
        parts.push(ByteSize(bytes).to_string().replace(' ', ""));
    }
    parts.join(" or ")
}

pub(crate) async fn build_info() -> Response {
    answer::success(&build_json())
}

pub(crate) async fn version() -> Json<Value> {
    Json(build_json())
}

fn build_json() -> Value {
    json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("watchbell-", env!("CARGO_PKG_VERSION")),
        "branch": "main",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

pub(crate) async fn tsdb(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let limit = match params.non_empty("limit") {
        None => 10,
        Some(_) => params.limit()?,
    };
    if !(1..=10_000).contains(&limit) {
        return Err(ApiError::invalid_parameter("limit", "limit must be a number from 1 to 10000"));
    }
    let db = work::store(&state)?;
    let stats = tokio::task::spawn_blocking(move || db.stats(limit))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let list = |items: &[tsdb::NamedCount]| -> Vec<Value> {
        items.iter().map(|item| json!({"name": item.name, "value": item.value})).collect()
    };
    let cardinality = &stats.cardinality;
    Ok(answer::success(&json!({
        "headStats": {
            "numSeries": stats.head_series,
            "numLabelPairs": stats.head_label_pairs,
            "chunkCount": stats.head_chunks,
            "minTime": stats.head_min_time,
            "maxTime": stats.head_max_time,
        },
        "seriesCountByMetricName": list(&cardinality.series_by_metric_name),
        "labelValueCountByLabelName": list(&cardinality.values_by_label_name),
        "memoryInBytesByLabelName": list(&cardinality.bytes_by_label_name),
        "seriesCountByLabelValuePair": list(&cardinality.series_by_label_pair),
    })))
}

pub(crate) async fn wal_replay(AxumState(state): AxumState<Arc<State>>) -> Response {
    let progress = &state.replay;
    answer::success(&json!({
        "min": progress.min.load(Ordering::Relaxed),
        "max": progress.max.load(Ordering::Relaxed),
        "current": progress.current.load(Ordering::Relaxed),
    }))
}

/// What Prometheus has no place for: warnings of the configuration and the error of the last reload.
/// What the gateway's Status page shows of this server (its `docs/api.md` has the shape).
pub(crate) async fn watchbell(AxumState(state): AxumState<Arc<State>>) -> Response {
    let warnings = state.config.read().warnings.clone();
    let notices: Vec<Value> =
        warnings.iter().map(|text| json!({ "severity": "warning", "text": text })).collect();
    let mut details = serde_json::Map::new();
    if let Ok(db) = work::store(&state) {
        let stats = tokio::task::spawn_blocking(move || db.stats(1)).await;
        if let Ok(stats) = stats {
            details.insert("series".to_owned(), Value::from(stats.head_series.to_string()));
        }
    }
    axum::Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "details": details,
        "notices": notices,
        "config_error": state.lifecycle.last_reload_error(),
    }))
    .into_response()
}

pub(crate) async fn blocks(AxumState(state): AxumState<Arc<State>>) -> Result<Response, ApiError> {
    let db = work::store(&state)?;
    let blocks: Vec<Value> = db.blocks().iter().map(block_json).collect();
    Ok(answer::success(&json!({ "blocks": blocks })))
}

/// A block as its `meta.json` describes it.
fn block_json(block: &tsdb::BlockInfo) -> Value {
    json!({
        "ulid": block.ulid,
        "minTime": block.min_time,
        "maxTime": block.max_time,
        "stats": {
            "numSamples": block.samples,
            "numFloatSamples": block.float_samples,
            "numHistogramSamples": block.histogram_samples,
            "numSeries": block.series,
            "numChunks": block.chunks,
            "numTombstones": block.tombstones,
        },
        "compaction": {
            "level": block.level,
            "sources": block.sources,
            "parents": block.parents.iter().map(|ulid| json!({ "ulid": ulid })).collect::<Vec<_>>(),
            "hints": block.hints,
        },
        "version": 1,
    })
}
