//! Aggregations over series.

use std::cmp::Ordering;

use logql_syntax::{Grouping as SyntaxGrouping, MetricKind, VectorAggregation, VectorOp};
use vector_ops::{GroupPlan, Grouping};

use super::fold::{GroupFold, folds};
use super::range_aggregation::{Wanted, adds_up};
use super::{Evaluator, StepSeries, Steps, Value};
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
        if let MetricKind::RangeAggregation(range) = &aggregation.inner.kind
            && folds(aggregation.op)
        {
            let wanted = if aggregation.op == VectorOp::Sum && adds_up(range) {
                Wanted::Sum(&grouping)
            } else {
                Wanted::Folded(aggregation.op, &grouping)
            };
            let series = self.range_aggregation(range, wanted)?;
            return Ok(Value::Vector { series, ranked: false });
        }
        let mut series = match self.eval(&aggregation.inner)? {
            Value::Vector { series, .. } => series,
            // The parser refuses numbers here.
            Value::Scalar(_) => return Ok(Value::Vector { series: Vec::new(), ranked: false }),
        };
        // A fixed order makes sums the same each time and breaks ties.
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.charge_series(&series)?;
        self.ctx.check()?;
        if let Some(mut fold) = GroupFold::new(aggregation.op) {
            fold.take(&series, &grouping);
            return Ok(Value::Vector { series: fold.finish(), ranked: false });
        }
        Ok(match aggregation.op {
            VectorOp::Sort => sorted(series, false),
            VectorOp::SortDesc => sorted(series, true),
            VectorOp::Bottomk => ranked(series, &grouping, aggregation, self.steps, false),
            _ => ranked(series, &grouping, aggregation, self.steps, true),
        })
    }
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
    let first = |series: &StepSeries| series.values.get(0).unwrap_or(f64::NAN);
    series.sort_by(|a, b| compare(first(a), first(b), descending));
    Value::Vector { series, ranked: true }
}

/// The k largest or smallest of each group, at each step.
fn ranked(
    mut series: Vec<StepSeries>,
    grouping: &Grouping,
    aggregation: &VectorAggregation,
    steps: Steps,
    largest: bool,
) -> Value {
    let limit = usize::try_from(aggregation.parameter.unwrap_or(0)).unwrap_or(usize::MAX);
    let plan = GroupPlan::new(grouping, series.iter().map(|series| &series.labels));
    let mut order = Vec::new();
    for members in plan.members() {
        // What each series has at a step, steps in order: of many series most have none.
        let present = members.iter().flat_map(|member| {
            series[*member].values.iter().map(move |(step, value)| (step, *member, value))
        });
        let mut present: Vec<(usize, usize, f64)> = present.collect();
        present.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| compare(a.2, b.2, largest)));
        for of_step in present.chunk_by(|a, b| a.0 == b.0) {
            for (step, member, _) in of_step.iter().skip(limit) {
                *series[*member].values.slot(*step) = None;
            }
            if of_step[0].0 == 0 {
                order.extend(of_step.iter().take(limit).map(|(_, member, _)| *member));
            }
        }
    }
    if steps.count == 1 {
        let ordered = order.into_iter().map(|member| series[member].clone()).collect();
        return sorted(ordered, largest);
    }
    Value::Vector { series, ranked: true }
}
