//! Metric queries: every node of the tree answers for all steps at once.

mod answer;
mod binary;
mod columns;
mod fold;
mod label_replace;
mod range_aggregation;
mod range_functions;
mod samples;
mod series_set;
mod step_values;
mod vector_aggregation;
mod windows;

use log_storage_api::LogReader;
use logql_syntax::{MetricExpr, MetricKind};
use model::{Labels, TimestampNs};
use resources::{RequestContext, Reservation};

use crate::LogqlError;
use crate::scan::QueryStats;

pub(crate) use answer::answer;
pub use answer::{MetricAnswer, Point, QuerySeries};
use range_aggregation::Wanted;
use step_values::StepValues;

/// The most steps of a query: what a server allows is less.
const STEPS_MAX: u64 = 1_000_000;

/// The times that a query is evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start: TimestampNs,
    /// In ns; > 0.
    pub(crate) step: i64,
    pub(crate) count: usize,
    /// Whether there is one time and it was asked for as such.
    pub(crate) is_instant: bool,
}

impl Steps {
    pub(crate) fn instant(time: TimestampNs) -> Self {
        Self { start: time, step: 1, count: 1, is_instant: true }
    }

    pub(crate) fn range(start: TimestampNs, end: TimestampNs, step: i64) -> Result<Self, LogqlError> {
        if step <= 0 {
            return Err(LogqlError::Invalid(
                "zero or negative query resolution step widths are not accepted, try a positive integer"
                    .to_owned(),
            ));
        }
        let points = end.abs_diff(start) / step as u64 + 1;
        if end < start {
            return Ok(Self { start, step, count: 0, is_instant: false });
        }
        if points > STEPS_MAX {
            return Err(LogqlError::TooManySteps { points, limit: STEPS_MAX });
        }
        Ok(Self { start, step, count: points as usize, is_instant: false })
    }

    /// The time of step `idx`.
    pub(crate) fn at(&self, idx: usize) -> TimestampNs {
        self.start.saturating_add(self.step.saturating_mul(idx as i64))
    }

    /// The last time; the first where there is none.
    pub(crate) fn last(&self) -> TimestampNs {
        self.at(self.count.saturating_sub(1))
    }
}

/// A series, with values at some steps.
#[derive(Clone, Debug)]
pub(crate) struct StepSeries {
    pub(crate) labels: Labels,
    pub(crate) values: StepValues,
}

/// What a node answers.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// The same number at every step.
    Scalar(f64),
    /// Series; `ranked` where their order at a single step means something.
    Vector { series: Vec<StepSeries>, ranked: bool },
}

/// Evaluates the nodes of one query.
pub(crate) struct Evaluator<'a> {
    pub(crate) ctx: &'a RequestContext,
    pub(crate) reader: &'a dyn LogReader,
    pub(crate) steps: Steps,
    pub(crate) stats: QueryStats,
    /// Memory of everything that grows with the data; given back when the query is done.
    pub(crate) memory: Reservation,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        ctx: &'a RequestContext,
        reader: &'a dyn LogReader,
        steps: Steps,
    ) -> Result<Self, LogqlError> {
        Ok(Self { ctx, reader, steps, stats: QueryStats::default(), memory: ctx.memory.reserve(0)? })
    }

    pub(crate) fn into_stats(self) -> QueryStats {
        self.stats
    }

    pub(crate) fn eval(&mut self, expr: &MetricExpr) -> Result<Value, LogqlError> {
        self.ctx.check()?;
        match &expr.kind {
            MetricKind::Literal(value) => Ok(Value::Scalar(*value)),
            MetricKind::Vector(value) => {
                let values = StepValues::filled(*value, self.steps.count);
                let series = StepSeries { labels: Labels::empty(), values };
                Ok(Value::Vector { series: vec![series], ranked: false })
            }
            MetricKind::RangeAggregation(aggregation) => {
                let series = self.range_aggregation(aggregation, Wanted::Series)?;
                Ok(Value::Vector { series, ranked: false })
            }
            MetricKind::VectorAggregation(aggregation) => self.vector_aggregation(aggregation),
            MetricKind::Binary(binary) => {
                let left = self.eval(&binary.left)?;
                let right = self.eval(&binary.right)?;
                self.charge_like(&left)?;
                binary::combine(self.ctx, binary, left, right)
            }
            MetricKind::LabelReplace(replace) => {
                let inner = self.eval(&replace.inner)?;
                label_replace::apply(replace, inner)
            }
        }
    }

    /// Takes memory for series more.
    pub(crate) fn charge_series(&mut self, series: &[StepSeries]) -> Result<(), LogqlError> {
        let bytes: usize = series.iter().map(|series| series.values.heap_bytes() + 128).sum();
        self.memory.grow(bytes as u64)?;
        Ok(())
    }

    fn charge_like(&mut self, value: &Value) -> Result<(), LogqlError> {
        match value {
            Value::Scalar(_) => Ok(()),
            Value::Vector { series, .. } => self.charge_series(series),
        }
    }
}

/// Checks the parts of a metric query that are compiled later.
pub(crate) fn check_metric(expr: &MetricExpr) -> Result<(), LogqlError> {
    match &expr.kind {
        MetricKind::Literal(_) | MetricKind::Vector(_) => Ok(()),
        MetricKind::RangeAggregation(aggregation) => range_aggregation::check(aggregation),
        MetricKind::VectorAggregation(aggregation) => check_metric(&aggregation.inner),
        MetricKind::Binary(binary) => {
            check_metric(&binary.left)?;
            check_metric(&binary.right)
        }
        MetricKind::LabelReplace(replace) => {
            label_replace::check(replace)?;
            check_metric(&replace.inner)
        }
    }
}
