//! `/api/v1/query_exemplars`.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use go_regex::CompiledMatcher;
use http::StatusCode;
use metric_storage_api::{ExemplarSeries, MetricReader};
use model::{TimeRange, format_float};
use resources::CpuClass;

use super::error::ApiError;
use super::params::Params;
use super::{answer, json, work};
use crate::state::State;

pub(crate) async fn exemplars(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let (start, end) = (params.required_time("start")?, params.required_time("end")?);
    if end < start {
        return Err(ApiError::invalid_parameter("end", "end timestamp must not be before start timestamp"));
    }
    let expr = state.engine.parse(params.get("query").unwrap_or_default())?;
    let selectors: Result<Vec<Vec<CompiledMatcher>>, _> = promql_syntax::selectors(&expr)
        .into_iter()
        .map(|found| found.selector.matchers.iter().cloned().map(CompiledMatcher::new).collect())
        .collect();
    let selectors = selectors.map_err(|error| ApiError::invalid_parameter("query", error))?;
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let found = work::run(&state, scope, None, move |ctx, db| {
        Ok(db.exemplars(ctx, &selectors, TimeRange::new(start, end))?)
    })
    .await?;
    let mut data = Vec::new();
    answer::list(&mut data, &found, write_series);
    Ok(answer::success_raw(&data, &promql::Annotations::default()))
}

fn write_series(out: &mut Vec<u8>, series: &ExemplarSeries) {
    out.extend_from_slice(b"{\"seriesLabels\":");
    json::labels(out, &series.labels);
    out.extend_from_slice(b",\"exemplars\":");
    answer::list(out, &series.exemplars, |out, exemplar| {
        out.extend_from_slice(b"{\"labels\":");
        json::labels(out, &exemplar.labels);
        out.extend_from_slice(
            format!(",\"value\":\"{}\",\"timestamp\":", format_float(exemplar.value)).as_bytes(),
        );
        json::timestamp(out, exemplar.timestamp);
        out.push(b'}');
    });
    out.push(b'}');
}
