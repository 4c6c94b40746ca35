//! `/api/v1/status/queries`: what runs, what was slow, and a way to end it. Watchbell's own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State as AxumState};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use model::TimestampMs;
use parking_lot::Mutex;
use resources::{CancelReason, CancelToken, RequestContext};
use serde_json::{Value, json};

use super::error::{ApiError, Kind};
use super::{admin, answer};
use crate::query_log::Origin;
use crate::state::State;

/// A query that takes this long is remembered.
const SLOW: Duration = Duration::from_secs(1);
/// How many are.
const SLOW_MAX: usize = 100;
/// As much of a query's text is kept.
const TEXT_BYTES_MAX: usize = 4096;

/// Queries that run, and the slow ones of late.
#[derive(Debug, Default)]
pub(crate) struct Queries(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    running: BTreeMap<u64, Running>,
    slow: VecDeque<Value>,
}

/// What a query asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) query: String,
    pub(crate) start: TimestampMs,
    pub(crate) end: TimestampMs,
    /// In ms; 0 for an instant query.
    pub(crate) step: i64,
    /// Where it came from.
    pub(crate) origin: Origin,
}

#[derive(Debug)]
struct Running {
    id: Arc<str>,
    principal: String,
    asked: Asked,
    since_ms: TimestampMs,
    since: Instant,
    cancel: CancelToken,
}

/// Takes a query off the list when it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    queries: Arc<Queries>,
    number: u64,
}

impl Queries {
    /// Puts a query on the list for as long as what is returned lives.
    pub(crate) fn list(self: &Arc<Self>, ctx: &RequestContext, mut asked: Asked, now: TimestampMs) -> Listed {
        let end =
            (0..=TEXT_BYTES_MAX.min(asked.query.len())).rev().find(|at| asked.query.is_char_boundary(*at));
        asked.query.truncate(end.unwrap_or(0));
        let running = Running {
            id: Arc::clone(&ctx.query_id.0),
            principal: ctx.principal.to_string(),
            asked,
            since_ms: now,
            since: Instant::now(),
            cancel: ctx.cancel.clone(),
        };
        let mut inner = self.0.lock();
        inner.next += 1;
        let number = inner.next;
        inner.running.insert(number, running);
        Listed { queries: Arc::clone(self), number }
    }

    /// Ends all running queries with this id; whether there was one.
    fn cancel(&self, id: &str) -> bool {
        let inner = self.0.lock();
        let mut found = false;
        for running in inner.running.values().filter(|running| &*running.id == id) {
            running.cancel.cancel(CancelReason::Cancelled);
            found = true;
        }
        found
    }

    fn to_json(&self) -> Value {
        let inner = self.0.lock();
        let active: Vec<Value> = inner.running.values().map(|running| running.to_json()).collect();
        let slow: Vec<&Value> = inner.slow.iter().rev().collect();
        json!({ "active": active, "slow": slow })
    }
}

impl Running {
    fn to_json(&self) -> Value {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let Asked { query, start, end, step, origin } = &self.asked;
        json!({
            "id": &*self.id,
            "principal": self.principal,
            "client": origin.client,
            "query": query,
            "start": seconds(*start),
            "end": seconds(*end),
            "step": seconds(*step),
            "since": seconds(self.since_ms),
            "seconds": self.since.elapsed().as_secs_f64(),
        })
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut inner = self.queries.0.lock();
        let Some(running) = inner.running.remove(&self.number) else { return };
        if running.since.elapsed() >= SLOW {
            if inner.slow.len() == SLOW_MAX {
                inner.slow.pop_front();
            }
            inner.slow.push_back(running.to_json());
        }
    }
}

pub(crate) async fn list(AxumState(state): AxumState<Arc<State>>) -> Response {
    answer::success(&state.queries.to_json())
}

pub(crate) async fn cancel(
    AxumState(state): AxumState<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    admin::allowed(&state)?;
    if !state.queries.cancel(&id) {
        return Err(ApiError::new(Kind::NotFound, format!("no query {id} is running")));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_listed_while_they_run_and_can_be_ended() {
        let queries = Arc::new(Queries::default());
        let ctx = RequestContext::for_tests();
        let asked = Asked {
            query: "ä".repeat(TEXT_BYTES_MAX),
            start: 1500,
            end: 3000,
            step: 0,
            origin: Origin::default(),
        };
        let listed = queries.list(&ctx, asked, 7000);
        let found = queries.to_json();
        let one = &found["active"][0];
        assert_eq!((one["start"].as_f64(), one["since"].as_f64()), (Some(1.5), Some(7.0)));
        assert_eq!(one["query"].as_str().map(str::len), Some(TEXT_BYTES_MAX));
        assert!(!queries.cancel("another") && ctx.check().is_ok());
        assert!(queries.cancel(&ctx.query_id.0) && ctx.check().is_err());
        drop(listed);
        assert_eq!(queries.to_json(), json!({"active": [], "slow": []}));
        assert!(!queries.cancel(&ctx.query_id.0));
    }
}
