//! Aggregations over series.

use std::cmp::Ordering;

use logql_syntax::{Grouping as SyntaxGrouping, MetricKind, VectorAggregation, VectorOp};
use vector_ops::{GroupPlan, Grouping};

use super::range_aggregation::adds_up;
use super::range_functions::{mean, variance};
use super::{Evaluator, StepSeries, Value};
use crate::LogqlError;

/// The grouping as `vector-ops` knows it; none joins everything.
pub(super) fn plan(grouping: Option<&SyntaxGrouping>) -> Grouping {
    match grouping {
        None => Grouping::by(&[]),
        Some(grouping) if grouping.without => Grouping::without(&grouping.labels),
        Some(grouping) => Grouping::by(&grouping.labels),
    }
}

impl Evaluator<'_> {
    pub(super) fn vector_aggregation(
        &mut self,
        aggregation: &VectorAggregation,
    ) -> Result<Value, LogqlError> {
        let grouping = plan(aggregation.grouping.as_ref());
        if aggregation.op == VectorOp::Sum
            && let MetricKind::RangeAggregation(range) = &aggregation.inner.kind
            && adds_up(range)
        {
            let series = self.range_aggregation(range, Some(&grouping))?;
            return Ok(Value::Vector { series, ranked: false });
        }
        let mut series = match self.eval(&aggregation.inner)? {
            Value::Vector { series, .. } => series,
            // The parser refuses numbers here.
            Value::Scalar(_) => return Ok(Value::Vector { series: Vec::new(), ranked: false }),
        };
        // A fixed order makes sums the same each time and breaks ties.
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.charge_series(series.len())?;
        self.ctx.check()?;
        Ok(match aggregation.op {
            VectorOp::Sort => sorted(series, false),
            VectorOp::SortDesc => sorted(series, true),
            VectorOp::Topk | VectorOp::ApproxTopk => ranked(series, &grouping, aggregation, true),
            VectorOp::Bottomk => ranked(series, &grouping, aggregation, false),
            op => Value::Vector { series: reduced(op, &series, &grouping, self.steps.count), ranked: false },
        })
    }
}

/// One series per group.
fn reduced(op: VectorOp, series: &[StepSeries], grouping: &Grouping, steps: usize) -> Vec<StepSeries> {
    let plan = GroupPlan::new(grouping, series.iter().map(|series| &series.labels));
    let members = plan.members();
    plan.labels
        .into_iter()
        .zip(&members)
        .map(|(labels, members)| {
            let values = (0..steps)
                .map(|step| reduce(op, members.iter().filter_map(|member| series[*member].values[step])))
                .collect();
            StepSeries { labels, values }
        })
        .collect()
}

fn reduce(op: VectorOp, values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    values.clone().next()?;
    Some(match op {
        VectorOp::Avg => mean(values),
        VectorOp::Min => {
            values.fold(f64::NAN, |low, value| if value < low || low.is_nan() { value } else { low })
        }
        VectorOp::Max => {
            values.fold(f64::NAN, |high, value| if value > high || high.is_nan() { value } else { high })
        }
        VectorOp::Count => values.count() as f64,
        VectorOp::Stdvar => variance(values),
        VectorOp::Stddev => variance(values).sqrt(),
        VectorOp::Sum
        | VectorOp::Topk
        | VectorOp::Bottomk
        | VectorOp::ApproxTopk
        | VectorOp::Sort
        | VectorOp::SortDesc => values.sum(),
    })
}

/// Smaller first, NaN last whichever way.
fn compare(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (a_is_nan, b_is_nan) => a_is_nan.cmp(&b_is_nan),
    }
}

/// By value at the first step: at an instant there is no other.
fn sorted(mut series: Vec<StepSeries>, descending: bool) -> Value {
    let first = |series: &StepSeries| series.values.first().copied().flatten().unwrap_or(f64::NAN);
    series.sort_by(|a, b| compare(first(a), first(b), descending));
    Value::Vector { series, ranked: true }
}

/// The k largest or smallest of each group, at each step.
fn ranked(
    mut series: Vec<StepSeries>,
    grouping: &Grouping,
    aggregation: &VectorAggregation,
    largest: bool,
) -> Value {
    let limit = usize::try_from(aggregation.parameter.unwrap_or(0)).unwrap_or(usize::MAX);
    let plan = GroupPlan::new(grouping, series.iter().map(|series| &series.labels));
    let steps = series.first().map_or(0, |series| series.values.len());
    let mut order = Vec::new();
    for members in plan.members() {
        for step in 0..steps {
            let mut present: Vec<(usize, f64)> = members
                .iter()
                .filter_map(|member| series[*member].values[step].map(|value| (*member, value)))
                .collect();
            present.sort_by(|a, b| compare(a.1, b.1, largest));
            for (member, _) in present.iter().skip(limit) {
                series[*member].values[step] = None;
            }
            if step == 0 {
                order.extend(present.iter().take(limit).map(|(member, _)| *member));
            }
        }
    }
    if steps == 1 {
        let ordered = order.into_iter().map(|member| series[member].clone()).collect();
        return sorted(ordered, largest);
    }
    Value::Vector { series, ranked: true }
}
