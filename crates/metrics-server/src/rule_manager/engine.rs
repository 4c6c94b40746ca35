//! PromQL behind rules and their templates.

use std::sync::Arc;

use metric_storage_api::{MetricReader, SampleColumns, SelectHints, SelectRequest};
use model::{Labels, MatchOp, Matcher, TimeRange, TimestampMs, is_stale_nan};
use promql::{SampleValue, Value};
use resources::RequestContext;
use rules::{Engine, ForState, RuleValue};

use super::RuleEnv;

/// Answers the queries of rules.
pub(super) struct RuleEngine {
    db: Arc<tsdb::Db>,
    engine: promql::Engine,
    ctx: RequestContext,
}

impl RuleEngine {
    pub(super) fn new(env: &RuleEnv) -> Self {
        Self { db: Arc::clone(&env.db), engine: env.engine.clone(), ctx: env.ctx.clone() }
    }
}

impl Engine for RuleEngine {
    fn query(&self, expr: &str, at_ms: TimestampMs) -> Result<Vec<(Labels, RuleValue)>, String> {
        let result = self
            .engine
            .instant(&self.ctx, &*self.db, expr, at_ms)
            .map_err(|error| service::error_chain(&error))?;
        results(result.value)
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
