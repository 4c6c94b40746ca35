//! `/api/v1/query` and `/api/v1/query_range`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use http::request::Parts;
use model::TimestampMs;
use promql::{Annotations, ExplainNode, QueryResult, QueryStats, Value};
use resources::CpuClass;

use super::answer::{self, Row};
use super::error::ApiError;
use super::params::Params;
use super::queries::Asked;
use super::work::Timings;
use super::{json, work};
use crate::query_log::Origin;
use crate::state::State;

/// Points of a series that a range query may ask for.
const POINTS_MAX: i64 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// What a query asks for, besides its times.
struct Common {
    query: String,
    limit: usize,
    timeout: Option<Duration>,
    lookback_ms: Option<i64>,
    stats: Stats,
    explain: bool,
}

/// What `stats` asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stats {
    None,
    Given,
    /// Samples by step, too, where that feature is on.
    All,
    /// Any other value: stats, and a warning.
    Deprecated,
}

pub(crate) async fn instant(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let time = params.time("time")?.unwrap_or_else(|| state.clock.now_ms());
    let common = Common::read(&params)?;
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let engine = engine(&state, &common);
    let query = common.query.clone();
    let asked = Asked { query: query.clone(), start: time, end: time, step: 0, origin: origin(&parts) };
    let (result, timings) = work::query(&state, scope, common.timeout, asked, move |ctx, db| {
        Ok(engine.instant(ctx, db, &query, time)?)
    })
    .await?;
    Ok(respond(result, &common, timings))
}

pub(crate) async fn range(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let (start, end, step) = range_times(&params)?;
    let common = Common::read(&params)?;
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let engine = engine(&state, &common);
    let query = common.query.clone();
    let asked = Asked { query: query.clone(), start, end, step, origin: origin(&parts) };
    let (result, timings) = work::query(&state, scope, common.timeout, asked, move |ctx, db| {
        Ok(engine.range(ctx, db, &query, start, end, step)?)
    })
    .await?;
    Ok(respond(result, &common, timings))
}

/// Start, end and step of a range query, checked.
fn range_times(params: &Params) -> Result<(TimestampMs, TimestampMs, i64), ApiError> {
    let start = params.required_time("start")?;
    let end = params.required_time("end")?;
    if end < start {
        return Err(ApiError::invalid_parameter("end", "end timestamp must not be before start time"));
    }
    let no_step = || ApiError::invalid_parameter("step", "cannot parse \"\" to a valid duration");
    let step = params.duration_ms("step")?.ok_or_else(no_step)?;
    check_points(start, end, step)?;
    Ok((start, end, step))
}

/// Refuses a step that is not positive and more points than allowed.
pub(crate) fn check_points(start: TimestampMs, end: TimestampMs, step: i64) -> Result<(), ApiError> {
    if step <= 0 {
        return Err(ApiError::invalid_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(())
}

impl Common {
    fn read(params: &Params) -> Result<Self, ApiError> {
        let lookback_ms = params.duration_ms("lookback_delta")?;
        if lookback_ms.is_some_and(|lookback| lookback <= 0) {
            return Err(ApiError::invalid_parameter("lookback_delta", "must be positive"));
        }
        let stats = match params.get("stats").unwrap_or_default() {
            "" => Stats::None,
            "true" => Stats::Given,
            "all" => Stats::All,
            _ => Stats::Deprecated,
        };
        let query = params.get("query").unwrap_or_default().to_owned();
        let explain = match params.get("explain").unwrap_or_default() {
            "" | "false" => false,
            "true" => true,
            _ => return Err(ApiError::invalid_parameter("explain", "must be true or false")),
        };
        Ok(Self { query, limit: params.limit()?, timeout: params.timeout()?, lookback_ms, stats, explain })
    }
}

fn engine(state: &State, common: &Common) -> promql::Engine {
    let mut features = state.engine.options().features;
    features.per_step_stats &= common.stats == Stats::All;
    let mut engine = state.engine.with_features(features);
    if common.explain {
        engine = engine.explaining();
    }
    match common.lookback_ms {
        Some(lookback) => engine.with_lookback(lookback),
        None => engine,
    }
}

fn respond(result: QueryResult, common: &Common, timings: Timings) -> Response {
    let QueryResult { value, mut annotations, stats, explain } = result;
    let mut after = Vec::new();
    if common.stats != Stats::None {
        after = format!(",\"stats\":{}", stats_json(&stats, timings)).into_bytes();
    }
    if let Some(explain) = &explain {
        after.extend_from_slice(format!(",\"explain\":{}", explain_json(explain)).as_bytes());
    }
    if common.stats == Stats::Deprecated {
        annotations
            .warnings
            .push("stats should be \"true\" or \"all\"; other values are deprecated".to_owned());
    }
    match value {
        Value::Vector(mut samples) => {
            truncate(&mut samples, common.limit, &mut annotations);
            answer::stream("vector", samples.into_iter().map(Row::Sample), &after, &annotations)
        }
        Value::Matrix(mut series) => {
            truncate(&mut series, common.limit, &mut annotations);
            answer::stream("matrix", series.into_iter().map(Row::Series), &after, &annotations)
        }
        Value::Scalar { timestamp, value } => {
            let mut data = b"{\"resultType\":\"scalar\",\"result\":".to_vec();
            json::point(&mut data, timestamp, value);
            data.extend_from_slice(&after);
            data.push(b'}');
            answer::success_raw(&data, &annotations)
        }
        Value::String { timestamp, value } => {
            let mut data = b"{\"resultType\":\"string\",\"result\":[".to_vec();
            json::timestamp(&mut data, timestamp);
            data.push(b',');
            json::string(&mut data, &value);
            data.push(b']');
            data.extend_from_slice(&after);
            data.push(b'}');
            answer::success_raw(&data, &annotations)
        }
    }
}

fn truncate<T>(items: &mut Vec<T>, limit: usize, annotations: &mut Annotations) {
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        annotations.warnings.push(TRUNCATED.to_owned());
    }
}

/// What each part of a query took: Watchbell's own.
fn explain_json(node: &ExplainNode) -> serde_json::Value {
    let mut shown = serde_json::json!({
        "kind": node.kind,
        "name": node.name,
        "text": node.text,
        "constant": node.is_constant,
        "children": node.children.iter().map(explain_json).collect::<Vec<_>>(),
    });
    if let Some(cost) = &node.cost {
        shown["cost"] = serde_json::json!({
            "evaluations": cost.evaluations,
            "seconds": cost.time.as_secs_f64(),
            "ownSeconds": node.own_time.as_secs_f64(),
            "series": cost.series,
            "samples": cost.samples,
            "samplesRead": cost.samples_read,
            "ownSamplesRead": node.own_samples_read,
        });
    }
    shown
}

/// What a query cost, as Prometheus shows it.
pub(crate) fn stats_json(stats: &QueryStats, timings: Timings) -> serde_json::Value {
    let (queued, evaluated) = (timings.queued.as_secs_f64(), timings.evaluated.as_secs_f64());
    let mut samples = serde_json::json!({
        "totalQueryableSamples": stats.samples_total,
        "peakSamples": stats.samples_peak,
        "samplesRead": stats.samples_read,
    });
    if !stats.samples_per_step.is_empty() {
        let steps: Vec<_> =
            stats.samples_per_step.iter().map(|(at, count)| (*at as f64 / 1000.0, count)).collect();
        samples["totalQueryableSamplesPerStep"] = serde_json::json!(steps);
    }
    serde_json::json!({
        "timings": {
            "evalTotalTime": evaluated,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": evaluated,
            "execQueueTime": queued,
            "execTotalTime": queued + evaluated,
        },
        "samples": samples,
    })
}

/// Where a request came from: the address that a proxy in front of us names goes before that of the proxy.
pub(super) fn origin(parts: &Parts) -> Origin {
    let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let forwarded =
        forwarded.and_then(|list| list.split(',').next()).map(|address| address.trim().to_owned());
    let peer = || parts.extensions.get::<SocketAddr>().map(|peer| peer.ip().to_string());
    Origin {
        client: forwarded.or_else(peer).unwrap_or_default(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
    }
}
