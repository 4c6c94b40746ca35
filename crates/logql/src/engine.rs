//! The engine: queries in, answers out.

use log_storage_api::LogReader;
use logql_syntax::{Expr, LogExpr, MetricExpr};
use model::TimestampNs;
use resources::RequestContext;

use crate::log_query::{EntrySink, LogQuery};
use crate::metric::{Evaluator, MetricAnswer, Steps, check_metric};
use crate::scan::{QueryStats, ScanPlan};
use crate::{LogqlError, metric};

/// What a query may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Series in the answer of a metric query (`limits_config.max_query_series`); 0 for no limit.
    pub series_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { series_max: 500 }
    }
}

/// Evaluates queries. Cheap to make.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    limits: EngineLimits,
}

impl Engine {
    /// An engine with limits.
    pub fn new(limits: EngineLimits) -> Self {
        Self { limits }
    }

    /// Gives the lines of a query to `sink`, in the query's direction.
    pub fn log_query(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        query: &LogQuery,
        sink: &mut dyn EntrySink,
    ) -> Result<QueryStats, LogqlError> {
        query.run(ctx, reader, sink)
    }

    /// Evaluates a metric query at one time.
    pub fn instant(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        expr: &MetricExpr,
        time: TimestampNs,
    ) -> Result<(MetricAnswer, QueryStats), LogqlError> {
        self.evaluate(ctx, reader, expr, Steps::instant(time))
    }

    /// Evaluates a metric query at `start` and every `step` ns after it, up to `end` (included).
    pub fn range(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        expr: &MetricExpr,
        range: (TimestampNs, TimestampNs),
        step: i64,
    ) -> Result<(MetricAnswer, QueryStats), LogqlError> {
        self.evaluate(ctx, reader, expr, Steps::range(range.0, range.1, step)?)
    }

    fn evaluate(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        expr: &MetricExpr,
        steps: Steps,
    ) -> Result<(MetricAnswer, QueryStats), LogqlError> {
        let mut evaluator = Evaluator::new(ctx, reader, steps)?;
        let value = evaluator.eval(expr)?;
        let answer = metric::answer(value, steps, self.limits.series_max)?;
        Ok((answer, evaluator.into_stats()))
    }
}

/// Checks all of a query that parsing leaves open: regular expressions, patterns, templates, selectors.
pub fn check(expr: &Expr) -> Result<(), LogqlError> {
    match expr {
        Expr::Log(log) => check_log(log),
        Expr::Metric(metric) => check_metric(metric),
    }
}

pub(crate) fn check_log(log: &LogExpr) -> Result<(), LogqlError> {
    ScanPlan::unbound(log, 0).map(drop)
}
