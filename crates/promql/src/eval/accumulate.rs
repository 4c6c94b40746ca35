//! What an aggregation keeps of a group while series are added to it, one after the other.

use std::sync::Arc;

use model::compensated_add;
use promql_syntax::{AggregateOp, Span};

use crate::functions::{HistogramTotal, Mean, quantile};
use crate::notes::{HistogramOperation, Notes};
use crate::series::{Point, Points, SharedHistogram, is_absent};

/// One state a step.
#[derive(Debug)]
pub(crate) struct Accumulator {
    op: AggregateOp,
    /// Where the aggregated vector stands.
    span: Span,
    floats: Floats,
    /// Sums of histograms; empty until there is one.
    histograms: Vec<Total>,
    pub(crate) drop_name: bool,
    /// Whether the whole group is in it.
    pub(crate) complete: bool,
}

#[derive(Debug)]
enum Floats {
    /// Sum and what rounding lost; [`crate::series::ABSENT`] until there is one.
    Sum(Vec<(f64, f64)>),
    Mean(Vec<Mean>),
    Count(Vec<u64>),
    Best(Vec<f64>),
    /// Count, mean and sum of squared differences (Welford).
    Variance(Vec<(f64, f64, f64)>),
    All(Vec<Vec<f64>>),
}

/// The sum of the histograms at a step.
#[derive(Debug, Default)]
struct Total {
    sum: Option<HistogramTotal>,
    is_incompatible: bool,
}

impl Accumulator {
    /// An empty state. `op` is no aggregation that keeps series.
    pub(crate) fn new(op: AggregateOp, span: Span, steps: usize) -> Self {
        let floats = match op {
            AggregateOp::Sum => Floats::Sum(vec![(crate::series::ABSENT, 0.0); steps]),
            AggregateOp::Avg => Floats::Mean(vec![Mean::default(); steps]),
            AggregateOp::Count | AggregateOp::Group => Floats::Count(vec![0; steps]),
            AggregateOp::Min | AggregateOp::Max => Floats::Best(vec![crate::series::ABSENT; steps]),
            AggregateOp::Stddev | AggregateOp::Stdvar => Floats::Variance(vec![(0.0, 0.0, 0.0); steps]),
            _ => Floats::All(vec![Vec::new(); steps]),
        };
        Self { op, span, floats, histograms: Vec::new(), drop_name: false, complete: false }
    }

    /// Whether states of parts of a group may be put together with [`Self::merge`].
    pub(crate) fn can_merge(op: AggregateOp) -> bool {
        matches!(
            op,
            AggregateOp::Sum | AggregateOp::Count | AggregateOp::Group | AggregateOp::Min | AggregateOp::Max
        )
    }

    /// Whether there was a histogram: then [`Self::merge`] is not possible.
    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// Adds a series.
    pub(crate) fn add(&mut self, points: &Points, metric: &str, drop_name: bool, notes: &mut Notes) {
        self.drop_name |= drop_name;
        if let Floats::Count(counts) = &mut self.floats {
            for (idx, count) in counts.iter_mut().enumerate() {
                *count += u64::from(points.has(idx));
            }
            return;
        }
        if points.histograms.iter().any(Option::is_some) {
            self.add_histograms(&points.histograms, metric, notes);
        }
        let values = points.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        match &mut self.floats {
            Floats::Sum(sums) => {
                for ((sum, lost), value) in sums.iter_mut().zip(&points.values) {
                    if is_absent(*value) {
                        continue;
                    }
                    (*sum, *lost) =
                        if is_absent(*sum) { (*value, 0.0) } else { compensated_add(*value, *sum, *lost) };
                }
            }
            Floats::Mean(means) => values.for_each(|(idx, value)| means[idx].add(*value)),
            Floats::Best(best) => {
                let greatest = self.op == AggregateOp::Max;
                values.for_each(|(idx, value)| take_better(&mut best[idx], *value, greatest));
            }
            Floats::Variance(states) => values.for_each(|(idx, value)| welford(&mut states[idx], *value)),
            Floats::All(all) => values.for_each(|(idx, value)| all[idx].push(*value)),
            Floats::Count(_) => {}
        }
    }

    /// Adds a float at one step.
    pub(crate) fn add_float(&mut self, step: usize, value: f64) {
        match &mut self.floats {
            Floats::Sum(sums) => {
                let (sum, lost) = &mut sums[step];
                (*sum, *lost) =
                    if is_absent(*sum) { (value, 0.0) } else { compensated_add(value, *sum, *lost) };
            }
            Floats::Mean(means) => means[step].add(value),
            Floats::Count(counts) => counts[step] += 1,
            Floats::Best(best) => take_better(&mut best[step], value, self.op == AggregateOp::Max),
            Floats::Variance(states) => welford(&mut states[step], value),
            Floats::All(all) => all[step].push(value),
        }
    }

    fn add_histograms(&mut self, histograms: &[Option<SharedHistogram>], metric: &str, notes: &mut Notes) {
        if !matches!(self.op, AggregateOp::Sum | AggregateOp::Avg) {
            notes.histogram_ignored_in_aggregation(self.op.as_str(), self.span);
            return;
        }
        if self.histograms.is_empty() {
            self.histograms.resize_with(histograms.len(), Total::default);
        }
        let is_mean = self.op == AggregateOp::Avg;
        for (total, histogram) in self.histograms.iter_mut().zip(histograms) {
            let Some(histogram) = histogram else { continue };
            match &mut total.sum {
                None => total.sum = Some(HistogramTotal::new(histogram, is_mean)),
                Some(_) if total.is_incompatible => {}
                Some(sum) => {
                    if sum.add(histogram).is_err() {
                        notes.mixed_schemas(metric, self.span);
                        total.is_incompatible = true;
                    }
                }
            }
        }
    }

    /// Adds the state of a later part of the group.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.drop_name |= other.drop_name;
        match (&mut self.floats, &other.floats) {
            (Floats::Sum(sums), Floats::Sum(others)) => {
                for ((sum, lost), (other, other_lost)) in sums.iter_mut().zip(others) {
                    if is_absent(*other) {
                        continue;
                    }
                    if is_absent(*sum) {
                        (*sum, *lost) = (*other, *other_lost);
                    } else {
                        (*sum, *lost) = compensated_add(*other, *sum, *lost);
                        *lost += other_lost;
                    }
                }
            }
            (Floats::Count(counts), Floats::Count(others)) => {
                counts.iter_mut().zip(others).for_each(|(count, other)| *count += other);
            }
            (Floats::Best(best), Floats::Best(others)) => {
                let greatest = self.op == AggregateOp::Max;
                let pairs = best.iter_mut().zip(others).filter(|(_, other)| !is_absent(**other));
                pairs.for_each(|(best, other)| take_better(best, *other, greatest));
            }
            _ => debug_assert!(false, "only states that can be merged are"),
        }
    }

    /// The group's points; `params` are the aggregation's parameters at each step.
    pub(crate) fn finish(self, params: &[f64], notes: &mut Notes) -> Points {
        let op = self.op;
        let root = |value: f64| if op == AggregateOp::Stddev { value.sqrt() } else { value };
        let present = |is_present: bool, value: f64| if is_present { value } else { crate::series::ABSENT };
        let values: Vec<f64> = match self.floats {
            Floats::Sum(sums) => {
                sums.into_iter().map(|(sum, lost)| present(!is_absent(sum), sum + lost)).collect()
            }
            Floats::Mean(means) => {
                means.into_iter().map(|mean| present(!mean.is_empty(), mean.finish())).collect()
            }
            Floats::Count(counts) => counts
                .into_iter()
                .map(|count| present(count > 0, if op == AggregateOp::Group { 1.0 } else { count as f64 }))
                .collect(),
            Floats::Best(best) => best,
            Floats::Variance(states) => {
                states.into_iter().map(|(count, _, sum)| present(count > 0.0, root(sum / count))).collect()
            }
            Floats::All(mut all) => {
                let quantiles = all.iter_mut().zip(params);
                quantiles.map(|(values, q)| present(!values.is_empty(), quantile(*q, values))).collect()
            }
        };
        let mut points = Points { values, histograms: Vec::new() };
        for (idx, total) in self.histograms.into_iter().enumerate() {
            finish_histogram(total, idx, &mut points, self.span, notes);
        }
        points
    }
}

fn finish_histogram(total: Total, idx: usize, points: &mut Points, span: Span, notes: &mut Notes) {
    let Some(sum) = total.sum else { return };
    if sum.bounds_reconciled {
        notes.bounds_reconciled(HistogramOperation::Aggregation, span);
    }
    if !is_absent(points.values[idx]) {
        notes.mixed_floats_histograms_aggregation(span);
        points.set(idx, Point::Absent);
        return;
    }
    if total.is_incompatible {
        return;
    }
    if sum.resets_collide() {
        notes.reset_collision(HistogramOperation::Aggregation, span);
    }
    points.set_histogram(idx, Arc::new(sum.finish()));
}

fn take_better(best: &mut f64, value: f64, greatest: bool) {
    // An absent best is NaN, too.
    if best.is_nan() || (if greatest { *best < value } else { *best > value }) {
        *best = value;
    }
}

fn welford((count, mean, sum): &mut (f64, f64, f64), value: f64) {
    *count += 1.0;
    if *count == 1.0 {
        *mean = value;
        *sum = if value.is_finite() { 0.0 } else { f64::NAN };
        return;
    }
    let delta = value - *mean;
    *mean += delta / *count;
    *sum += delta * (value - *mean);
}
