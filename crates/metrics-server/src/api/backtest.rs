//! `/api/watchbell/v1/rules/backtest`: when an alerting rule would have fired over what is stored.
//!
//! One range query over the whole time takes the place of an evaluation at each step; pending, firing and resolved follow
//! from where results are present. What the rule reads of other rules is what was recorded.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use model::{Labels, METRIC_NAME_LABEL, TimestampMs};
use promql::{MatrixSeries, Value as QueryValue};
use resources::CpuClass;
use serde_json::{Value, json};

use super::error::{ApiError, Kind};
use super::metadata::labels_json;
use super::params::Params;
use super::queries::Asked;
use super::query::origin;
use super::targets::rfc3339;
use super::{answer, work};
use crate::state::State;

/// How far back is looked where the request does not say: 30 days.
const WINDOW_MS: i64 = 30 * 86_400_000;
/// The most steps of one back-test.
const STEPS_MAX: i64 = 500_000;
/// The most episodes that are listed; all are counted.
const SHOWN_MAX: usize = 1000;

/// What is tested.
#[derive(Clone, Debug)]
struct Tested {
    alert: String,
    expr: String,
    for_ms: i64,
    keep_firing_ms: i64,
    interval_ms: Option<i64>,
}

/// A time in which an alert was active.
#[derive(Clone, Debug, PartialEq)]
struct Episode {
    labels: Labels,
    active_at: TimestampMs,
    /// `None` where it was only pending.
    fired_at: Option<TimestampMs>,
    /// `None` where it lasts.
    ended_at: Option<TimestampMs>,
}

/// From when to when, and how often.
#[derive(Clone, Copy, Debug)]
struct Steps {
    start: TimestampMs,
    end: TimestampMs,
    step: i64,
}

pub(crate) async fn backtest(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let tested = Tested::read(&state, &params)?;
    let end = params.time("end")?.unwrap_or_else(|| state.clock.now_ms());
    let start = params.time("start")?.unwrap_or(end - WINDOW_MS);
    let default_step = state.config.read().config.global.evaluation_interval.as_millis() as i64;
    let step = params.duration_ms("step")?.or(tested.interval_ms).unwrap_or(default_step);
    if step <= 0 || end < start {
        return Err(ApiError::bad_data("step must be above 0, and end not before start"));
    }
    if (end - start) / step > STEPS_MAX {
        return Err(ApiError::bad_data(format!(
            "more than {STEPS_MAX} steps: choose a longer step or a shorter time"
        )));
    }
    let steps = Steps { start, end: start + (end - start) / step * step, step };
    let (engine, expr) = (state.engine.clone(), tested.expr.clone());
    let asked = Asked { query: expr.clone(), start, end: steps.end, step, origin: origin(&parts) };
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let answered = work::query(&state, scope, params.timeout()?, asked, move |ctx, db| {
        Ok(engine.range(ctx, db, &expr, steps.start, steps.end, steps.step)?)
    });
    let (result, _) = answered.await?;
    let QueryValue::Matrix(series) = &result.value else {
        return Err(ApiError::new(Kind::Execution, "the expression yields no series"));
    };
    let mut episodes: Vec<Episode> = series.iter().flat_map(|one| episodes(one, &tested, steps)).collect();
    episodes.sort_by(|a, b| (a.active_at, &a.labels).cmp(&(b.active_at, &b.labels)));
    Ok(answer::success_with(&shown(&tested, steps, &episodes), &result.annotations))
}

impl Tested {
    /// A rule of the configuration by its name, or the expression that the request brings.
    fn read(state: &State, params: &Params) -> Result<Self, ApiError> {
        let (own, name) = (params.non_empty("expr"), params.non_empty("rule"));
        let mut tested = match (own, name) {
            (Some(expr), None) => Self {
                alert: params.get("alert").unwrap_or_default().to_owned(),
                expr: expr.to_owned(),
                for_ms: 0,
                keep_firing_ms: 0,
                interval_ms: None,
            },
            (None, Some(name)) => Self::find(state, name, params.non_empty("group"))?,
            _ => return Err(ApiError::bad_data("one of expr and rule must be given")),
        };
        // What would change if these were others.
        tested.for_ms = params.duration_ms("for")?.unwrap_or(tested.for_ms);
        tested.keep_firing_ms = params.duration_ms("keep_firing_for")?.unwrap_or(tested.keep_firing_ms);
        Ok(tested)
    }

    fn find(state: &State, name: &str, group: Option<&str>) -> Result<Self, ApiError> {
        let loaded = Arc::clone(&state.config.read());
        let groups = loaded.rule_files.iter().flat_map(|file| &file.groups);
        for found in groups.filter(|one| group.is_none_or(|wanted| one.name == wanted)) {
            if let Some(rule) = found.rules.iter().find(|rule| rule.alert.as_deref() == Some(name)) {
                return Ok(Self {
                    alert: name.to_owned(),
                    expr: rule.expr.clone(),
                    for_ms: rule.for_ms.unwrap_or(0),
                    keep_firing_ms: rule.keep_firing_for_ms.unwrap_or(0),
                    interval_ms: found.interval_ms,
                });
            }
        }
        Err(ApiError::new(Kind::NotFound, format!("no alerting rule is named {name:?}")))
    }
}

/// The episodes of one series of results.
fn episodes(series: &MatrixSeries, tested: &Tested, steps: Steps) -> Vec<Episode> {
    let mut present: Vec<TimestampMs> = series.floats.iter().map(|(at, _)| *at).collect();
    present.extend(series.histograms.iter().map(|(at, _)| *at));
    present.sort_unstable();
    let labels = series.labels.retain(|name| name != METRIC_NAME_LABEL);
    let mut found: Vec<Episode> = Vec::new();
    let mut last = None;
    for at in present {
        let is_on = match (found.last_mut(), last) {
            (Some(episode), Some(last)) => goes_on(episode, last, at, tested, steps),
            _ => false,
        };
        if !is_on {
            let labels = labels.clone();
            found.push(Episode { labels, active_at: at, fired_at: None, ended_at: None });
        }
        if let Some(episode) = found.last_mut()
            && at - episode.active_at >= tested.for_ms
        {
            episode.fired_at.get_or_insert(at);
        }
        last = Some(at);
    }
    if let (Some(episode), Some(last)) = (found.last_mut(), last) {
        goes_on(episode, last, steps.end + steps.step, tested, steps);
    }
    found
}

/// Whether an episode that was seen at `last` is still on at `at`; where it is not, its end is noted.
fn goes_on(episode: &mut Episode, last: TimestampMs, at: TimestampMs, tested: &Tested, steps: Steps) -> bool {
    let absent_from = last + steps.step;
    if at <= absent_from {
        return true;
    }
    // One that fires is kept so long after it was first missed; one that is pending is gone at once.
    let kept_ms = if episode.fired_at.is_some() { tested.keep_firing_ms } else { 0 };
    let kept_steps = (kept_ms + steps.step - 1) / steps.step;
    let ended_at = absent_from + kept_steps * steps.step;
    if at < ended_at || (kept_ms > 0 && at == ended_at) {
        return true;
    }
    episode.ended_at = Some(ended_at);
    false
}

fn shown(tested: &Tested, steps: Steps, episodes: &[Episode]) -> Value {
    let fired: Vec<&Episode> = episodes.iter().filter(|episode| episode.fired_at.is_some()).collect();
    let until = |episode: &Episode| episode.ended_at.unwrap_or(steps.end);
    let firing_ms: i64 =
        fired.iter().filter_map(|episode| Some(until(episode) - episode.fired_at?)).map(|ms| ms.max(0)).sum();
    let rows: Vec<Value> = episodes
        .iter()
        .take(SHOWN_MAX)
        .map(|episode| {
            json!({
                "labels": labels_json(&episode.labels),
                "activeAt": rfc3339(episode.active_at),
                "firedAt": episode.fired_at.map(rfc3339),
                "endedAt": episode.ended_at.map(rfc3339),
            })
        })
        .collect();
    json!({
        "alert": tested.alert,
        "expr": tested.expr,
        "for": tested.for_ms as f64 / 1000.0,
        "keepFiringFor": tested.keep_firing_ms as f64 / 1000.0,
        "start": rfc3339(steps.start),
        "end": rfc3339(steps.end),
        "step": steps.step as f64 / 1000.0,
        "fired": fired.len(),
        "onlyPending": episodes.len() - fired.len(),
        "firingSeconds": firing_ms as f64 / 1000.0,
        "episodes": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of 10 s from 0 to 200 s; what is present at which, and the episodes in seconds.
    #[test]
    fn episodes_follow_from_where_results_are() {
        let steps = Steps { start: 0, end: 200_000, step: 10_000 };
        type Expected = (i64, Option<i64>, Option<i64>);
        let cases: [(&[i64], i64, i64, &[Expected]); 7] = [
            (&[], 0, 0, &[]),
            (&[10, 20], 0, 0, &[(10, Some(10), Some(30))]),
            (&[10, 20, 30, 60], 20, 0, &[(10, Some(30), Some(40)), (60, None, Some(70))]),
            // Kept while it is away for less than 30 s, and pending ones are not.
            (&[10, 40], 0, 30, &[(10, Some(10), Some(80))]),
            (&[10, 70], 0, 30, &[(10, Some(10), Some(50)), (70, Some(70), Some(110))]),
            (&[10, 30], 20, 30, &[(10, None, Some(20)), (30, None, Some(40))]),
            // Still on at the end.
            (&[180, 190, 200], 10, 0, &[(180, Some(190), None)]),
        ];
        for (present, for_s, keep_s, expected) in cases {
            let tested = Tested {
                alert: String::new(),
                expr: String::new(),
                for_ms: for_s * 1000,
                keep_firing_ms: keep_s * 1000,
                interval_ms: None,
            };
            let floats = present.iter().map(|second| (second * 1000, 1.0)).collect();
            let series = MatrixSeries { labels: Labels::empty(), floats, histograms: Vec::new() };
            let seconds = |ms: i64| ms / 1000;
            let found: Vec<Expected> = episodes(&series, &tested, steps)
                .into_iter()
                .map(|one| (seconds(one.active_at), one.fired_at.map(seconds), one.ended_at.map(seconds)))
                .collect();
            assert_eq!(found, expected, "{present:?} for {for_s} keep {keep_s}");
        }
    }
}
