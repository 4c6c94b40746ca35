//! Aggregations that give one series per group.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, LabelsBuilder, compensated_add, format_float};
use promql_syntax::{AggregateOp, Quoted, Span};
use vector_ops::{GroupPlan, Grouping};

use crate::QueryError;
use crate::eval::{Evaluated, Evaluator, Frame};
use crate::functions::{HistogramTotal, Mean, quantile};
use crate::notes::{HistogramOperation, Notes};
use crate::plan::AggregatePlan;
use crate::series::{Point, Points, Series, Steps, is_absent};

impl<'a> Evaluator<'a> {
    pub(crate) fn aggregate(
        &'a self,
        node: &AggregatePlan,
        span: Span,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        if node.op == AggregateOp::CountValues {
            return self.count_values(node, steps);
        }
        let params = match &node.param {
            Some(param) => self.scalar(param, steps)?,
            None => Vec::new(),
        };
        let frame = self.vector(&node.inner, steps)?;
        let grouping = grouping_of(node, &node.grouping);
        let plan = GroupPlan::new(&grouping, frame.series.iter().map(|series| &series.labels));
        if steps.count == 0 {
            return self.frame(Vec::new());
        }
        match node.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                return self.select_members(node, span, frame, &plan, &params, steps);
            }
            AggregateOp::Quantile => self.check_quantiles(node, &params),
            _ => {}
        }
        let members = plan.members();
        let groups: Vec<(&Labels, &Vec<usize>)> = plan.labels.iter().zip(&members).collect();
        let series = self.for_each(&groups, |scratch, (labels, members)| {
            let members: Vec<&Series> = members.iter().map(|at| &frame.series[*at]).collect();
            let group = Group { members: &members, span: node.inner.span, steps: steps.count };
            let points = group.aggregate(node.op, &params, &mut scratch.notes);
            let drop_name = members.iter().any(|series| series.drop_name);
            Ok(Series { labels: (*labels).clone(), drop_name, points })
        })?;
        let series = series.into_iter().filter(|series| !series.points.is_empty()).collect();
        self.frame(series)
    }

    fn check_quantiles(&self, node: &AggregatePlan, params: &[f64]) {
        let span = node.param.as_ref().map(|param| param.span).unwrap_or_default();
        self.note(|notes| {
            if params.iter().any(|q| q.is_nan()) {
                notes.invalid_quantile(f64::NAN, span);
            }
            let most = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if most > 1.0 {
                notes.invalid_quantile(most, span);
            }
            let least = params.iter().copied().fold(f64::INFINITY, f64::min);
            if least < 0.0 {
                notes.invalid_quantile(least, span);
            }
        });
    }

    /// One series for each group and value.
    fn count_values(&'a self, node: &AggregatePlan, steps: Steps) -> Result<Frame<'a>, QueryError> {
        let label = match &node.param {
            Some(param) => match self.eval(param, steps)? {
                Evaluated::Text(label) => label,
                Evaluated::Scalar(_) | Evaluated::Vector(_) => String::new(),
            },
            None => String::new(),
        };
        if !is_valid_label_name(&label) {
            let shown = node.param.as_ref().and_then(|param| self.text_of(param.span));
            let shown = shown.map_or_else(|| Quoted(&label).to_string(), str::to_owned);
            return Err(QueryError::execution(format!("invalid label name {shown}")));
        }
        let mut names = node.grouping.clone();
        if !node.without {
            names.push(label.clone());
        }
        let grouping = grouping_of(node, &names);
        let frame = self.vector(&node.inner, steps)?;
        let mut counts =
            ValueCounts { label: &label, grouping, steps, found: HashMap::new(), result: Vec::new() };
        for series in &frame.series {
            self.ctx.check()?;
            counts.add(series);
        }
        self.frame(counts.result)
    }
}

/// The series of `count_values` in the making.
struct ValueCounts<'a> {
    label: &'a str,
    grouping: Grouping,
    steps: Steps,
    found: HashMap<Labels, usize>,
    result: Vec<Series>,
}

impl ValueCounts<'_> {
    fn add(&mut self, series: &Series) {
        // The result of each value of this series, so that its label set is put together once.
        let mut of_value: HashMap<String, usize> = HashMap::new();
        for idx in 0..self.steps.count {
            let text = match series.points.get(idx) {
                Point::Absent => continue,
                Point::Float(value) => plain_float(value),
                Point::Histogram(histogram) => histogram.to_string(),
            };
            let at = match of_value.get(&text) {
                Some(at) => *at,
                None => {
                    let at = self.series_of(series, &text);
                    of_value.insert(text, at);
                    at
                }
            };
            let count = &mut self.result[at].points.values[idx];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }

    fn series_of(&mut self, series: &Series, value: &str) -> usize {
        let with_value = LabelsBuilder::from_labels(&series.labels).set(self.label, value).build();
        let next = self.result.len();
        let labels = self.grouping.key(&with_value);
        let at = *self.found.entry(labels.clone()).or_insert(next);
        if at == next {
            let points = Points::absent(self.steps.count);
            self.result.push(Series { labels, drop_name: false, points });
        }
        at
    }
}

/// Whether a text may be a label's name. Bytes that are no UTF-8 have become U+FFFD when the query was parsed.
pub(crate) fn is_valid_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

fn grouping_of(node: &AggregatePlan, names: &[String]) -> Grouping {
    if node.without { Grouping::without(names) } else { Grouping::by(names) }
}

/// A float without an exponent.
fn plain_float(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { format_float(value) }
}

/// The series of one group.
struct Group<'a> {
    members: &'a [&'a Series],
    /// Where the aggregated vector stands.
    span: Span,
    steps: usize,
}

impl Group<'_> {
    fn aggregate(&self, op: AggregateOp, params: &[f64], notes: &mut Notes) -> Points {
        match op {
            AggregateOp::Sum | AggregateOp::Avg => self.total(op == AggregateOp::Avg, notes),
            AggregateOp::Count => self.count(),
            AggregateOp::Group => {
                let mut points = self.count();
                points.values.iter_mut().filter(|value| !is_absent(**value)).for_each(|value| *value = 1.0);
                points
            }
            AggregateOp::Min => self.fold("min", notes, |best, value| best > value),
            AggregateOp::Max => self.fold("max", notes, |best, value| best < value),
            AggregateOp::Stddev => {
                let mut points = self.variance("stddev", notes);
                points.values.iter_mut().filter(|v| !is_absent(**v)).for_each(|v| *v = v.sqrt());
                points
            }
            AggregateOp::Stdvar => self.variance("stdvar", notes),
            _ => self.quantile(params, notes),
        }
    }

    fn has_histograms(&self) -> bool {
        self.members.iter().any(|series| !series.points.histograms.is_empty())
    }

    /// Calls `visit` with the step and the value of each float; remarks on histograms that are left out.
    fn each_float(&self, op: &str, notes: &mut Notes, mut visit: impl FnMut(usize, f64)) {
        if self.has_histograms() {
            notes.histogram_ignored_in_aggregation(op, self.span);
        }
        for series in self.members {
            for (idx, value) in series.points.values.iter().enumerate() {
                if !is_absent(*value) {
                    visit(idx, *value);
                }
            }
        }
    }

    fn count(&self) -> Points {
        let mut counts = vec![0u64; self.steps];
        for series in self.members {
            for (idx, count) in counts.iter_mut().enumerate() {
                *count += u64::from(series.points.has(idx));
            }
        }
        let mut points = Points::absent(self.steps);
        for (slot, count) in points.values.iter_mut().zip(counts) {
            if count > 0 {
                *slot = count as f64;
            }
        }
        points
    }

    fn fold(&self, op: &str, notes: &mut Notes, replaces: impl Fn(f64, f64) -> bool) -> Points {
        let mut points = Points::absent(self.steps);
        self.each_float(op, notes, |idx, value| {
            let best = &mut points.values[idx];
            if best.is_nan() || replaces(*best, value) {
                *best = value;
            }
        });
        points
    }

    fn variance(&self, op: &str, notes: &mut Notes) -> Points {
        // Count, mean and sum of squared differences (Welford).
        let mut states = vec![(0.0f64, 0.0f64, 0.0f64); self.steps];
        self.each_float(op, notes, |idx, value| {
            let (count, mean, sum) = &mut states[idx];
            *count += 1.0;
            if *count == 1.0 {
                *mean = value;
                *sum = if value.is_finite() { 0.0 } else { f64::NAN };
                return;
            }
            let delta = value - *mean;
            *mean += delta / *count;
            *sum += delta * (value - *mean);
        });
        let mut points = Points::absent(self.steps);
        for (slot, (count, _, sum)) in points.values.iter_mut().zip(states) {
            if count > 0.0 {
                *slot = sum / count;
            }
        }
        points
    }

    fn quantile(&self, params: &[f64], notes: &mut Notes) -> Points {
        let mut values = vec![Vec::new(); self.steps];
        self.each_float("quantile", notes, |idx, value| values[idx].push(value));
        let mut points = Points::absent(self.steps);
        for (idx, values) in values.iter_mut().enumerate() {
            if !values.is_empty() {
                points.values[idx] = quantile(params[idx], values);
            }
        }
        points
    }

    /// `sum` and `avg`.
    fn total(&self, is_mean: bool, notes: &mut Notes) -> Points {
        let mut points = Points::absent(self.steps);
        if is_mean {
            let mut means = vec![Mean::default(); self.steps];
            self.add_floats(|idx, value| means[idx].add(value));
            for (slot, mean) in points.values.iter_mut().zip(means) {
                if !mean.is_empty() {
                    *slot = mean.finish();
                }
            }
        } else {
            let mut sums = vec![(0.0f64, 0.0f64, false); self.steps];
            self.add_floats(|idx, value| {
                let (sum, lost, seen) = sums[idx];
                sums[idx] = if seen {
                    let (sum, lost) = compensated_add(value, sum, lost);
                    (sum, lost, true)
                } else {
                    (value, 0.0, true)
                };
            });
            for (slot, (sum, lost, seen)) in points.values.iter_mut().zip(sums) {
                if seen {
                    *slot = sum + lost;
                }
            }
        }
        if self.has_histograms() {
            for idx in 0..self.steps {
                self.total_histogram(idx, is_mean, &mut points, notes);
            }
        }
        points
    }

    fn add_floats(&self, mut add: impl FnMut(usize, f64)) {
        for series in self.members {
            for (idx, value) in series.points.values.iter().enumerate() {
                if !is_absent(*value) {
                    add(idx, *value);
                }
            }
        }
    }

    fn total_histogram(&self, idx: usize, is_mean: bool, points: &mut Points, notes: &mut Notes) {
        let histograms = self.members.iter().filter_map(|series| {
            let histogram = series.points.histograms.get(idx)?.as_ref()?;
            Some((series.labels.metric_name(), histogram))
        });
        let mut total: Option<HistogramTotal> = None;
        let mut is_incompatible = false;
        for (metric, histogram) in histograms {
            match &mut total {
                None => total = Some(HistogramTotal::new(histogram, is_mean)),
                Some(total) => {
                    if total.add(histogram).is_err() {
                        notes.mixed_schemas(metric, self.span);
                        is_incompatible = true;
                        break;
                    }
                }
            }
        }
        let Some(total) = total else { return };
        if total.bounds_reconciled {
            notes.bounds_reconciled(HistogramOperation::Aggregation, self.span);
        }
        if !is_absent(points.values[idx]) {
            notes.mixed_floats_histograms_aggregation(self.span);
            points.set(idx, Point::Absent);
            return;
        }
        if is_incompatible {
            return;
        }
        if total.resets_collide() {
            notes.reset_collision(HistogramOperation::Aggregation, self.span);
        }
        points.set_histogram(idx, Arc::new(total.finish()));
    }
}
