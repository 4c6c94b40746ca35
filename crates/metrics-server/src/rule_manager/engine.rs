//! PromQL behind rules and their templates.

use std::sync::Arc;
use std::time::Duration;

use metric_storage_api::{MetricReader, SampleColumns, SelectHints, SelectRequest};
use model::{Labels, MatchOp, Matcher, TimeRange, TimestampMs, is_stale_nan};
use promql::{QueryError, QueryResult, SampleValue, Value};
use resources::RequestContext;
use rules::{Engine, ForState, RuleValue};
use sys::Clock;
use telemetry::Counter;

use super::RuleEnv;
use crate::api::stats_json;
use crate::api::work::Timings;
use crate::query_log::{Asker, Entry, QueryLog};

/// Answers the queries of rules.
pub(super) struct RuleEngine {
    db: Arc<tsdb::Db>,
    engine: promql::Engine,
    ctx: RequestContext,
    log: Log,
}

/// Where a group's queries are logged.
struct Log {
    to: Arc<QueryLog>,
    failures: Counter,
    clock: Arc<dyn Clock>,
    file: String,
    group: String,
}

impl RuleEngine {
    /// For the group of this file and name.
    pub(super) fn new(env: &RuleEnv, file: &str, group: &str) -> Self {
        let log = Log {
            to: Arc::clone(&env.query_log),
            failures: env.query_log_failures.clone(),
            clock: Arc::clone(&env.clock),
            file: file.to_owned(),
            group: group.to_owned(),
        };
        Self { db: Arc::clone(&env.db), engine: env.engine.clone(), ctx: env.ctx.clone(), log }
    }
}

impl Log {
    fn write(
        &self,
        query: &str,
        at: TimestampMs,
        outcome: &Result<QueryResult, QueryError>,
        evaluated: Duration,
    ) {
        let stats = outcome.as_ref().map(|result| result.stats.clone()).unwrap_or_default();
        let error = outcome.as_ref().err().map(|error| service::error_chain(error));
        let written = self.to.write(&Entry {
            at: self.clock.now_ms(),
            query,
            start: at,
            end: at,
            step_ms: 0,
            stats: stats_json(&stats, Timings { queued: Duration::ZERO, evaluated }),
            error: error.as_deref(),
            asker: Asker::RuleGroup { file: &self.file, name: &self.group },
        });
        if !written {
            self.failures.inc();
        }
    }
}

impl Engine for RuleEngine {
    fn query(&self, expr: &str, at_ms: TimestampMs) -> Result<Vec<(Labels, RuleValue)>, String> {
        let started = self.log.clock.monotonic();
        let outcome = self.engine.instant(&self.ctx, &*self.db, expr, at_ms);
        if self.log.to.is_on() {
            let evaluated = self.log.clock.monotonic().saturating_sub(started);
            self.log.write(expr, at_ms, &outcome, evaluated);
        }
        results(outcome.map_err(|error| service::error_chain(&error))?.value)
    }

    fn for_states(
        &self,
        alert_name: &str,
        from_ms: TimestampMs,
        to_ms: TimestampMs,
    ) -> Result<Vec<ForState>, String> {
        let text = |error: metric_storage_api::StorageError| service::error_chain(&error);
        let matchers = [("__name__", "ALERTS_FOR_STATE"), ("alertname", alert_name)]
            .map(|(name, value)| go_regex::CompiledMatcher::new(Matcher::new(name, MatchOp::Equal, value)));
        let matchers: Vec<_> =
            matchers.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let range = TimeRange::new(from_ms, to_ms);
        let request = SelectRequest { matchers: &matchers, range, hints: SelectHints::default() };
        let mut columns = SampleColumns::default();
        let mut states = Vec::new();
        for series in self.db.select(&self.ctx, &request).map_err(text)?.series {
            columns.clear();
            series.read(&self.ctx, range, &mut columns).map_err(text)?;
            let samples = columns.timestamps.iter().zip(&columns.values);
            let last = samples.rev().find(|(_, value)| !is_stale_nan(**value));
            if let Some((timestamp, value)) = last {
                states.push(ForState {
                    labels: series.labels(),
                    timestamp: *timestamp,
                    active_at_seconds: *value,
                });
            }
        }
        Ok(states)
    }
}

/// What a rule makes of a query's result.
pub(crate) fn results(value: Value) -> Result<Vec<(Labels, RuleValue)>, String> {
    match value {
        Value::Scalar { value, .. } => Ok(vec![(Labels::empty(), RuleValue::Float(value))]),
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| {
                let value = match sample.value {
                    SampleValue::Float(value) => RuleValue::Float(value),
                    SampleValue::Histogram(histogram) => RuleValue::Histogram(Box::new((*histogram).clone())),
                };
                (sample.labels, value)
            })
            .collect()),
        Value::String { .. } | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
    }
}
