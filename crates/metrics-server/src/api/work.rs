//! Work on the store for a request: on a thread that may block, ended when the client leaves or the time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use promql::QueryResult;
use resources::{CpuClass, Principal, RequestContext};
use service::{Readiness, RequestScope};

use super::error::{ApiError, Kind};
use super::queries::Asked;
use super::query::stats_json;
use crate::query_log::{Asker, Entry};
use crate::state::State;

/// The context of a request.
pub(crate) fn scope(state: &State, parts: &Parts, class: CpuClass) -> Result<RequestScope, ApiError> {
    Ok(state.contexts.from_headers(&parts.headers, parts.extensions.get::<Principal>(), class)?)
}

/// The store, or why there is none.
pub(crate) fn store(state: &State) -> Result<Arc<tsdb::Db>, ApiError> {
    state.store().ok_or_else(|| {
        let stopping = state.lifecycle.readiness() == Readiness::Stopping;
        ApiError::new(Kind::NotReady { stopping }, "the store is not ready")
    })
}

/// Runs `work` with the store.
pub(crate) async fn run<T: Send + 'static>(
    state: &State,
    scope: RequestScope,
    timeout: Option<Duration>,
    work: impl FnOnce(&RequestContext, &tsdb::Db) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let db = store(state)?;
    let scope = scope.with_timeout(timeout);
    let context = scope.context.clone();
    let working = async move {
        match tokio::task::spawn_blocking(move || work(&context, &db)).await {
            Ok(result) => result,
            Err(error) => Err(ApiError::internal(error.to_string())),
        }
    };
    scope.run(working).await
}

/// When things were done, for the stats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    pub(crate) queued: Duration,
    pub(crate) evaluated: Duration,
}

/// Waits for a slot and evaluates.
pub(crate) async fn query(
    state: &State,
    scope: RequestScope,
    timeout: Option<Duration>,
    asked: Asked,
    evaluate: impl FnOnce(&RequestContext, &tsdb::Db) -> Result<QueryResult, ApiError> + Send + 'static,
) -> Result<(QueryResult, Timings), ApiError> {
    let _counted = state.metrics.queries.count();
    let logged = state.query_log.is_on().then(|| asked.clone());
    let _listed = state.queries.list(&scope.context, asked, state.clock.now_ms());
    let started = Instant::now();
    let most = timeout.unwrap_or(Duration::MAX).min(scope.context.timeout.unwrap_or(Duration::MAX));
    let waiting = Arc::clone(&state.query_slots).acquire_owned();
    let slot = match tokio::time::timeout(most, waiting).await {
        Ok(Ok(slot)) => slot,
        Ok(Err(_)) | Err(_) => return Err(ApiError::new(Kind::Timeout, "query timed out in query queue")),
    };
    let queued = started.elapsed();
    let result = run(state, scope, timeout, evaluate).await;
    drop(slot);
    let timings = Timings { queued, evaluated: started.elapsed().saturating_sub(queued) };
    if let Some(asked) = logged {
        log(state, asked, &result, timings).await;
    }
    state.metrics.query_duration.with(&["queue_time"]).observe_duration(timings.queued);
    state.metrics.query_duration.with(&["inner_eval"]).observe_duration(timings.evaluated);
    let result = result?;
    state.metrics.query_samples.add(result.stats.samples_total);
    Ok((result, timings))
}

/// Writes a query into the log, on a thread that may block.
async fn log(state: &State, asked: Asked, result: &Result<QueryResult, ApiError>, timings: Timings) {
    let stats = result.as_ref().map(|result| result.stats.clone()).unwrap_or_default();
    let error = result.as_ref().err().map(|error| error.message().to_owned());
    let (query_log, at) = (Arc::clone(&state.query_log), state.clock.now_ms());
    let writing = tokio::task::spawn_blocking(move || {
        let Asked { query, start, end, step, origin } = &asked;
        query_log.write(&Entry {
            at,
            query,
            start: *start,
            end: *end,
            step_ms: *step,
            stats: stats_json(&stats, timings),
            error: error.as_deref(),
            asker: Asker::Client(origin),
        })
    });
    if !matches!(writing.await, Ok(true)) {
        state.metrics.query_log_failures.inc();
    }
}
