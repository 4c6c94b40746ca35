//! `index/stats`, `index/volume` and `index/volume_range`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use log_storage_api::StreamStats;
use logql::{MetricAnswer, Point};
use model::{ErrorCode, Labels, is_legacy_label_name};
use resources::RequestContext;

use super::call::Call;
use super::encode;
use super::labels::{selector, streams};
use crate::error::ApiError;
use crate::server::Server;

/// How many series are answered where nothing else is asked for.
const LIMIT: usize = 100;

pub(super) async fn stats(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let selector = selector(call.params.get("query"))?;
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| streams(ctx, &*store, vec![selector], start, end);
    let found = server.run_query(call.scope, work).await?;
    let sum = |count: fn(&StreamStats) -> u64| found.iter().map(count).sum::<u64>();
    let body = serde_json::json!({
        "streams": found.len(),
        "chunks": sum(|stats| stats.chunks),
        "entries": sum(|stats| stats.entries),
        "bytes": sum(|stats| stats.bytes),
    });
    Ok(encode::json(body.to_string()))
}

/// How volumes are added up.
pub(crate) struct VolumeGrouping {
    /// The labels that make a series; all of the stream where it is empty.
    labels: Vec<String>,
    /// Whether a series is a label's name instead of values.
    by_name: bool,
    limit: usize,
}

/// The label that stands for a series that is a label's name.
const NAME_LABEL: &str = "__label__";

impl VolumeGrouping {
    /// By some labels, or, where none are given, by those that the selector names.
    pub(crate) fn new(
        mut labels: Vec<String>,
        aggregate_by: &str,
        selection: &str,
        limit: usize,
    ) -> Result<Self, ApiError> {
        let by_name = match aggregate_by {
            "" | "series" => false,
            "labels" => true,
            other => {
                return Err(ApiError::bad_request(format!("invalid aggregation option '{other}'")));
            }
        };
        if let Some(bad) = labels.iter().find(|name| !is_legacy_label_name(name)) {
            return Err(ApiError::bad_request(format!("{bad:?} is no label name")));
        }
        if labels.is_empty() && !by_name {
            let named = selector(Some(selection))?;
            labels = named.iter().map(|matcher| matcher.name().to_owned()).collect();
        }
        Ok(Self { labels, by_name, limit })
    }

    fn of_call(call: &Call, volume_series_max: usize) -> Result<Self, ApiError> {
        let target = call.params.get("targetLabels").unwrap_or("");
        let labels = target.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let limit: usize = call.params.number("limit", LIMIT)?;
        Self::new(
            labels.collect(),
            call.params.get("aggregateBy").unwrap_or(""),
            call.params.get("query").unwrap_or(""),
            limit.min(volume_series_max.max(1)),
        )
    }

    /// The bytes of streams by series, the largest first.
    pub(crate) fn add_up(&self, found: &[StreamStats]) -> Vec<(Labels, u64)> {
        let mut volumes: BTreeMap<Labels, u64> = BTreeMap::new();
        for stats in found {
            for key in self.keys(&stats.stream.labels) {
                *volumes.entry(key).or_default() += stats.bytes;
            }
        }
        let mut volumes: Vec<(Labels, u64)> = volumes.into_iter().collect();
        volumes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        volumes.truncate(self.limit);
        volumes
    }

    /// The label's name that a series is, where it is one.
    pub(crate) fn label_of(series: &Labels) -> Option<&str> {
        series.get(NAME_LABEL)
    }

    /// The series that a stream's bytes count for.
    fn keys(&self, stream: &Labels) -> Vec<Labels> {
        let is_wanted = |name: &str| self.labels.is_empty() || self.labels.iter().any(|label| label == name);
        if self.by_name {
            // The name is what counts: it stands as a label of that name.
            let names = stream.iter().filter(|(name, _)| is_wanted(name));
            return names.map(|(name, _)| Labels::from_pairs([(NAME_LABEL, name)])).collect();
        }
        vec![stream.retain(is_wanted)]
    }
}

fn check_enabled(enabled: bool) -> Result<(), ApiError> {
    if enabled {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::NotFound, "volume is not enabled: set limits_config.volume_enabled"))
}

pub(super) async fn volume(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let limits = server.limits_of(&call.scope.context.tenant);
    check_enabled(limits.volume_enabled)?;
    let (start, end) = call.params.bounds(server.now_ns())?;
    let grouping = VolumeGrouping::of_call(&call, limits.volume_series_max)?;
    let selector = selector(call.params.get("query"))?;
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| streams(ctx, &*store, vec![selector], start, end);
    let found = server.run_query(call.scope, work).await?;
    let volumes = grouping.add_up(&found);
    let mut body = String::from(r#"{"status":"success","data":{"resultType":"vector","result":["#);
    for (idx, (labels, bytes)) in volumes.iter().enumerate() {
        body.push_str(if idx > 0 { r#",{"metric":"# } else { r#"{"metric":"# });
        match VolumeGrouping::label_of(labels) {
            Some(name) => encode::push_pairs(&mut body, [(name, "")].into_iter()),
            None => encode::push_pairs(&mut body, labels.iter()),
        }
        let seconds = end.div_euclid(1_000_000_000);
        body.push_str(&format!(r#","value":[{seconds},"{bytes}"]}}"#));
    }
    body.push_str("]}}");
    Ok(encode::json(body))
}

pub(super) async fn volume_range(
    State(server): State<Arc<Server>>,
    call: Call,
) -> Result<Response, ApiError> {
    let limits = server.limits_of(&call.scope.context.tenant);
    check_enabled(limits.volume_enabled)?;
    let (start, end) = call.params.bounds(server.now_ns())?;
    let grouping = VolumeGrouping::of_call(&call, limits.volume_series_max)?;
    if grouping.by_name {
        let message = "volume_range with aggregateBy=labels is not built yet";
        return Err(ApiError::new(ErrorCode::Unimplemented, message));
    }
    let step = call.params.span("step")?.unwrap_or(60_000_000_000).max(1_000_000);
    if (end - start) / step > 11_000 {
        return Err(ApiError::bad_request("more than 11,000 points: take a larger step"));
    }
    let query = call.query()?;
    let millis = step / 1_000_000;
    let text = format!("sum by ({}) (bytes_over_time({query}[{millis}ms]))", grouping.labels.join(","));
    let expr = logql_syntax::parse_metric(&text)?;
    let (store, engine) = (Arc::clone(&server.ingester.store), logql::Engine::default());
    let work = move |ctx: &RequestContext| {
        Ok(engine.range(ctx, &*store, &expr, (start, end), millis * 1_000_000)?)
    };
    let (answer, stats) = server.run_query(call.scope, work).await?;
    Ok(encode::json(encode::metric(&limited(answer, grouping.limit), &stats, std::time::Duration::ZERO)))
}

/// The series with the most bytes.
fn limited(answer: MetricAnswer, limit: usize) -> MetricAnswer {
    let MetricAnswer::Matrix(mut series) = answer else { return answer };
    let total = |points: &[Point]| points.iter().map(|point| point.value).sum::<f64>();
    series.sort_by(|a, b| total(&b.points).total_cmp(&total(&a.points)));
    series.truncate(limit);
    MetricAnswer::Matrix(series)
}
