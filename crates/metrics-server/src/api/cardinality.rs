//! `/api/watchbell/v1/cardinality`: which metrics, labels and targets cost most, and which of them churn.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use promql::{QueryResult, SampleValue, Value as QueryValue};
use resources::CpuClass;
use serde_json::{Value, json};

use super::error::ApiError;
use super::metadata::labels_json;
use super::params::Params;
use super::queries::Asked;
use super::query::origin;
use super::{answer, work};
use crate::state::State;

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 1000;
/// How far back churn is counted where the request does not say.
const WINDOW_MS: i64 = 3_600_000;

pub(crate) async fn cardinality(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let limit = match params.limit()? {
        0 => LIMIT,
        limit if limit <= LIMIT_MAX => limit,
        _ => return Err(ApiError::invalid_parameter("limit", format_args!("must be from 1 to {LIMIT_MAX}"))),
    };
    let window = params.duration_ms("window")?.unwrap_or(WINDOW_MS);
    if window < 1000 {
        return Err(ApiError::invalid_parameter("window", "must be at least 1s"));
    }
    let db = work::store(&state)?;
    let (stats, created, removed) = tokio::task::spawn_blocking(move || {
        let values = db.counters().values();
        let count =
            |name: &str| values.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
        (db.stats(limit), count("series_created"), count("series_removed"))
    })
    .await
    .map_err(|error| ApiError::internal(error.to_string()))?;
    // Scrapes store themselves how many series they brought, and how many of them were new.
    let window_s = window / 1000;
    let queries = [
        format!("topk({limit}, scrape_samples_post_metric_relabeling)"),
        format!("topk({limit}, sum_over_time(scrape_series_added[{window_s}s]) > 0)"),
        format!("topk({limit}, sum by (job) (sum_over_time(scrape_series_added[{window_s}s])) > 0)"),
    ];
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let scope = work::scope(&state, &parts, CpuClass::Query)?;
        let (engine, now) = (state.engine.clone(), state.clock.now_ms());
        let asked = Asked { query: query.clone(), start: now, end: now, step: 0, origin: origin(&parts) };
        let answered =
            work::query(&state, scope, None, asked, move |ctx, db| Ok(engine.instant(ctx, db, &query, now)?));
        answers.push(rows(&answered.await?.0));
    }
    let churn_by_job = answers.pop();
    let churn_by_target = answers.pop();
    let list = |items: &[tsdb::NamedCount]| -> Vec<Value> {
        items.iter().map(|item| json!({"name": item.name, "value": item.value})).collect()
    };
    let found = &stats.cardinality;
    Ok(answer::success(&json!({
        "series": stats.head_series,
        "labelPairs": stats.head_label_pairs,
        "seriesCreated": created,
        "seriesRemoved": removed,
        "seriesByMetric": list(&found.series_by_metric_name),
        "valuesByLabel": list(&found.values_by_label_name),
        "bytesByLabel": list(&found.bytes_by_label_name),
        "seriesByPair": list(&found.series_by_label_pair),
        "samplesByTarget": answers.pop(),
        "windowSeconds": window_s,
        "newSeriesByTarget": churn_by_target,
        "newSeriesByJob": churn_by_job,
    })))
}

fn rows(result: &QueryResult) -> Vec<Value> {
    let QueryValue::Vector(samples) = &result.value else { return Vec::new() };
    let row = |sample: &promql::VectorSample| match &sample.value {
        SampleValue::Float(value) => {
            let labels = labels_json(&sample.labels.without_metric_name());
            Some(json!({ "labels": labels, "value": value }))
        }
        SampleValue::Histogram(_) => None,
    };
    samples.iter().filter_map(row).collect()
}
