//! `patterns`: what lines look like, and how many there are of each kind.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use log_store::TemplateQuery;
use resources::RequestContext;
use serde_json::{Value, json};

use super::call::Call;
use super::encode;
use super::labels::selector;
use crate::error::ApiError;
use crate::patterns::patterns;
use crate::server::Server;

/// The most points of a pattern.
const POINTS_MAX: i64 = 11_000;
/// The least step, and the one where none is asked for and the range is short.
const STEP_MIN: i64 = 10_000_000_000;
/// A step is chosen so that about so many points come out.
const POINTS_CHOSEN: i64 = 250;
/// No more templates are counted apart.
const TEMPLATES_MAX: usize = 20_000;
/// The structured metadata by which patterns are told apart.
const LEVEL_NAME: &str = "detected_level";

pub(super) async fn list(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let matchers = selector(Some(call.query()?))?;
    let chosen = ((end - start) / POINTS_CHOSEN).max(STEP_MIN);
    let step = call.params.span("step")?.unwrap_or(chosen).max(STEP_MIN) / 1_000_000_000 * 1_000_000_000;
    if (end - start) / step > POINTS_MAX {
        return Err(ApiError::bad_request(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    // Buckets begin at multiples of the step, as those of metric queries do.
    let first = start.div_euclid(step) * step;
    let query = TemplateQuery {
        matchers,
        start: first,
        end,
        width: step,
        by: LEVEL_NAME.to_owned(),
        templates_max: TEMPLATES_MAX,
    };
    let store = Arc::clone(&server.store);
    let work = move |ctx: &RequestContext| Ok(patterns(store.templates(ctx, &query)?.templates));
    let found = server.run_query(call.scope, work).await?;
    let data: Vec<Value> = found
        .into_iter()
        .map(|pattern| {
            let seconds = |bucket: u32| (first + i64::from(bucket) * step) / 1_000_000_000;
            let samples: Vec<(i64, u64)> =
                pattern.counts.iter().map(|(bucket, count)| (seconds(*bucket), *count)).collect();
            let mut shown = json!({ "pattern": pattern.text, "samples": samples });
            if !pattern.level.is_empty() {
                shown["level"] = Value::from(pattern.level);
            }
            shown
        })
        .collect();
    Ok(encode::json(json!({ "status": "success", "data": data }).to_string()))
}
