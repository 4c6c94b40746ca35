//! Aggregations that keep some series of each group: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use promql_syntax::{AggregateOp, Span};
use vector_ops::GroupPlan;

use crate::QueryError;
use crate::eval::sampling::position;
use crate::eval::{Evaluator, Frame, frame};
use crate::plan::AggregatePlan;
use crate::series::{Point, Points, Series, Steps, is_absent};

impl<'a> Evaluator<'a> {
    pub(crate) fn select_members(
        &'a self,
        node: &AggregatePlan,
        span: Span,
        frame: Frame<'a>,
        plan: &GroupPlan,
        params: &[f64],
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        if !self.check_params(node, params)? {
            return self.frame(Vec::new());
        }
        let series = &frame.series;
        let members = plan.members();
        let ranks_values = matches!(node.op, AggregateOp::Topk | AggregateOp::Bottomk);
        if ranks_values && series.iter().any(|one| !one.points.histograms.is_empty()) {
            self.note(|notes| notes.histogram_ignored_in_aggregation(node.op.as_str(), span));
        }
        let mut kept: Vec<Points> = series.iter().map(|_| Points::absent(steps.count)).collect();
        // The order of an instant query's result: by group, within it by rank.
        let mut order: Vec<usize> = Vec::new();
        let positions: Vec<f64> = match node.op {
            AggregateOp::LimitRatio => series.iter().map(|one| position(&one.labels)).collect(),
            _ => Vec::new(),
        };
        for (step, param) in params.iter().enumerate().take(steps.count) {
            for members in &members {
                self.ctx.check()?;
                let chosen: Vec<usize> = match node.op {
                    AggregateOp::LimitRatio => {
                        let ratio = param.clamp(-1.0, 1.0);
                        members
                            .iter()
                            .copied()
                            .filter(|at| series[*at].points.has(step) && is_chosen(ratio, positions[*at]))
                            .collect()
                    }
                    AggregateOp::Limitk => members
                        .iter()
                        .copied()
                        .filter(|at| series[*at].points.has(step))
                        .take(as_count(*param))
                        .collect(),
                    op => best(series, members, step, as_count(*param), op == AggregateOp::Topk),
                };
                for at in &chosen {
                    kept[*at].set(step, series[*at].points.get(step));
                }
                order.extend(chosen.into_iter().filter(|_| steps.count == 1));
            }
        }
        if steps.count > 1 {
            order = (0..series.len()).collect();
        }
        let mut result = Vec::new();
        for at in order {
            let points = std::mem::take(&mut kept[at]);
            if !points.is_empty() {
                let Series { labels, drop_name, .. } = &series[at];
                result.push(Series { labels: labels.clone(), drop_name: *drop_name, points });
            }
        }
        drop(frame);
        let result = if steps.is_range() { frame::merged(result)? } else { result };
        self.frame(result)
    }

    /// Checks the parameters of all steps; whether anything can be kept at all.
    fn check_params(&self, node: &AggregatePlan, params: &[f64]) -> Result<bool, QueryError> {
        let most = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = params.iter().copied().fold(f64::INFINITY, f64::min);
        let has_nan = params.iter().any(|param| param.is_nan());
        if node.op != AggregateOp::LimitRatio {
            if most < 1.0 && most > f64::NEG_INFINITY {
                return Ok(false);
            }
            if has_nan {
                return Err(QueryError::execution("Parameter value is NaN"));
            }
            if least <= i64::MIN as f64 {
                return Err(QueryError::execution(format!(
                    "Scalar value {} underflows int64",
                    model::format_float_g(least)
                )));
            }
            if most >= i64::MAX as f64 {
                return Err(QueryError::execution(format!(
                    "Scalar value {} overflows int64",
                    model::format_float_g(most)
                )));
            }
            return Ok(true);
        }
        if most == 0.0 && least == 0.0 {
            return Ok(false);
        }
        if has_nan {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        let span = node.param.as_ref().map(|param| param.span).unwrap_or_default();
        if most > 1.0 {
            self.note(|notes| notes.invalid_ratio(most, 1.0, span));
        }
        if least < -1.0 {
            self.note(|notes| notes.invalid_ratio(least, -1.0, span));
        }
        Ok(true)
    }
}

fn as_count(param: f64) -> usize {
    if param < 1.0 { 0 } else { param as usize }
}

/// The members with the greatest (or smallest) floats, best first; NaN ranks last. Which of equal ones are kept is what the
/// original's heap keeps: the worst kept so far is replaced by what is better.
fn best(series: &[Series], members: &[usize], step: usize, count: usize, greatest: bool) -> Vec<usize> {
    let mut heap = Heap { items: Vec::new(), greatest };
    for at in members {
        let Point::Float(value) = series[*at].points.get(step) else { continue };
        if heap.items.len() < count {
            heap.push((*at, value));
        } else if let Some((_, worst)) = heap.items.first()
            && heap.is_better(value, *worst)
        {
            heap.items[0] = (*at, value);
            heap.sink(0);
        }
    }
    heap.items.sort_by(|(_, left), (_, right)| compare_values(*left, *right, greatest));
    heap.items.into_iter().map(|(at, _)| at).collect()
}

/// A binary heap with the worst item first; NaN is worst.
struct Heap {
    items: Vec<(usize, f64)>,
    greatest: bool,
}

impl Heap {
    fn is_better(&self, value: f64, worst: f64) -> bool {
        let wins = if self.greatest { worst < value } else { worst > value };
        wins || (worst.is_nan() && !value.is_nan())
    }

    fn is_worse(&self, left: usize, right: usize) -> bool {
        let (left, right) = (self.items[left].1, self.items[right].1);
        left.is_nan() || (if self.greatest { left < right } else { left > right })
    }

    fn push(&mut self, item: (usize, f64)) {
        self.items.push(item);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.is_worse(at, parent) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= self.items.len() {
                return;
            }
            let right = left + 1;
            let child = if right < self.items.len() && self.is_worse(right, left) { right } else { left };
            if !self.is_worse(child, at) {
                return;
            }
            self.items.swap(at, child);
            at = child;
        }
    }
}

/// Whether a series is among the first `ratio` of all, or (negative) among the last.
fn is_chosen(ratio: f64, position: f64) -> bool {
    if ratio >= 0.0 { position < ratio } else { position >= 1.0 + ratio }
}

/// Order of `sort` (`descending` false) and `sort_desc`: NaN is last either way.
pub(crate) fn compare_values(left: f64, right: f64, descending: bool) -> Ordering {
    debug_assert!(!is_absent(left) && !is_absent(right), "absent points are not sorted");
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if descending => right.partial_cmp(&left).unwrap_or(Ordering::Equal),
        _ => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
    }
}
