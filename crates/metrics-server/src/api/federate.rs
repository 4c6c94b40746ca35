//! `/federate`: the newest samples of selected series, in the text formats.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use exposition::{Format, Writer, negotiate};
use go_regex::CompiledMatcher;
use http::header::{ACCEPT, CONTENT_TYPE};
use metric_storage_api::{MetricReader, SampleColumns, SelectHints, SelectRequest, StorageError};
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, MetricType, TimeRange, TimestampMs, is_stale_nan};
use resources::{CpuClass, RequestContext};

use super::error::ApiError;
use super::params::Params;
use super::work;
use crate::state::State;

const INSTANCE: &str = "instance";

/// A sample to be shown.
struct Newest {
    name: String,
    labels: Labels,
    at: TimestampMs,
    value: f64,
}

pub(crate) async fn federate(AxumState(state): AxumState<Arc<State>>, request: Request) -> Response {
    match answer(&state, request).await {
        Ok(response) => response,
        Err(error) => {
            state.metrics.federation_errors.inc();
            service::text(service::http_status(error.code()), error.message())
        }
    }
}

async fn answer(state: &State, request: Request) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let selectors = params.selectors()?;
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = negotiate(accept);
    let now = state.clock.now_ms();
    let range = TimeRange::new(now - state.flags.lookback_delta_ms, now);
    let external = state.config.read().config.global.external_labels.clone();
    let scope = work::scope(state, &parts, CpuClass::Query)?;
    let body = work::run(state, scope, None, move |ctx, db| {
        let mut found = newest(ctx, db, &selectors, range, &external)?;
        found.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        Ok(written(&found, format))
    })
    .await?;
    Ok(([(CONTENT_TYPE, format.content_type())], body).into_response())
}

fn newest(
    ctx: &RequestContext,
    db: &dyn MetricReader,
    selectors: &[Vec<CompiledMatcher>],
    range: TimeRange,
    external: &Labels,
) -> Result<Vec<Newest>, StorageError> {
    let mut seen = std::collections::HashSet::new();
    let (mut found, mut columns) = (Vec::new(), SampleColumns::default());
    for matchers in selectors {
        let request = SelectRequest { matchers, range, hints: SelectHints::default() };
        for series in db.select(ctx, &request)?.series {
            columns.clear();
            series.read(ctx, range, &mut columns)?;
            let (Some(at), Some(value)) = (columns.timestamps.last(), columns.values.last()) else {
                continue;
            };
            let is_histogram = columns.histograms.last().is_some_and(Option::is_some);
            let labels = series.labels();
            // Native histograms are shown in protobuf only, which is not written here.
            if is_histogram || is_stale_nan(*value) || !seen.insert(labels.clone()) {
                continue;
            }
            let name = labels.metric_name().to_owned();
            found.push(Newest { name, labels: outward(&labels, external), at: *at, value: *value });
        }
    }
    Ok(found)
}

/// External labels where the series lacks them; an empty `instance` keeps the reader from adding its own.
fn outward(labels: &Labels, external: &Labels) -> Labels {
    let mut outward = LabelsBuilder::from_labels(labels);
    for (name, value) in external.iter() {
        if outward.get(name).is_none() {
            outward.set(name, value);
        }
    }
    outward.remove(METRIC_NAME_LABEL);
    outward.build()
}

fn written(found: &[Newest], format: Format) -> String {
    let mut writer = Writer::new(format);
    let mut family = None;
    for sample in found {
        if family != Some(&sample.name) {
            writer.family(&sample.name, MetricType::Unknown, "", "");
            family = Some(&sample.name);
        }
        let mut pairs: Vec<(&str, &str)> = sample.labels.iter().collect();
        if sample.labels.get(INSTANCE).is_none() {
            pairs.push((INSTANCE, ""));
        }
        writer.sample(&sample.name, pairs, sample.value, Some(sample.at));
    }
    writer.finish()
}
