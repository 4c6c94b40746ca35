//! Aggregations that give one series per group.

use std::borrow::Cow;

use hashbrown::HashMap;
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, MatchOp, format_float};
use promql_syntax::{AggregateOp, Quoted, Span};
use vector_ops::{GroupPlan, Grouping};

use crate::QueryError;
use crate::eval::accumulate::Accumulator;
use crate::eval::leaf::Leaf;
use crate::eval::{Evaluated, Evaluator, Frame, Scratch, frame};
use crate::notes::Notes;
use crate::plan::{AggregatePlan, Plan, PlanKind, SelectorPlan};
use crate::series::{Point, Points, Series, Steps, is_absent};

/// Into about so many parts series are split, with bounds for their size.
const PARTS: usize = 16;
const PART_SERIES_MIN: usize = 16;
const PART_SERIES_MAX: usize = 256;

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
        let grouping = grouping_of(node, &node.grouping);
        match node.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                let frame = self.vector(&node.inner, steps)?;
                let plan = GroupPlan::new(&grouping, frame.series.iter().map(|series| &series.labels));
                return self.select_members(node, span, frame, &plan, &params, steps);
            }
            AggregateOp::Quantile => self.check_quantiles(node, &params),
            _ => {}
        }
        if steps.count == 0 {
            return self.frame(Vec::new());
        }
        if let Some(frame) = self.aggregate_newest(node, &params, steps)? {
            return Ok(frame);
        }
        if self.can_stream(&node.inner)
            && let Some(leaf) = self.leaf(&node.inner, steps)?
        {
            return self.aggregate_leaf(node, &leaf, &grouping, &params, steps);
        }
        let frame = self.vector(&node.inner, steps)?;
        let plan = GroupPlan::new(&grouping, frame.series.iter().map(|series| &series.labels));
        let members = plan.members();
        let groups: Vec<(&Labels, &Vec<usize>)> = plan.labels.iter().zip(&members).collect();
        let series = self.for_each(&groups, |scratch, (labels, members)| {
            let mut state = Accumulator::new(node.op, node.inner.span, steps.count);
            for at in members.iter() {
                self.ctx.check()?;
                let Series { labels, drop_name, points } = &frame.series[*at];
                state.add(points, labels.metric_name(), *drop_name, &mut scratch.notes);
            }
            let drop_name = state.drop_name;
            let points = state.finish(&params, &mut scratch.notes);
            Ok(Series { labels: (*labels).clone(), drop_name, points })
        })?;
        self.frame(series.into_iter().filter(|series| !series.points.is_empty()).collect())
    }

    /// Whether series may be aggregated as they are read. Where names are dropped right away, series that differ in nothing
    /// else have to be found: that needs all of them.
    fn can_stream(&self, inner: &Plan) -> bool {
        if self.options.features.delayed_name_removal {
            return true;
        }
        let has_name = |selector: &SelectorPlan| {
            selector
                .matchers
                .iter()
                .any(|m| m.name() == METRIC_NAME_LABEL && m.matcher().op == MatchOp::Equal)
        };
        match &inner.kind {
            PlanKind::Vector(_) => true,
            PlanKind::Call(call) => call.args.iter().all(|arg| match &arg.kind {
                PlanKind::Matrix(selector) => has_name(selector),
                PlanKind::Subquery(_) => false,
                _ => true,
            }),
            _ => false,
        }
    }

    /// Aggregates series one by one as they are read: only the groups are held. Series are worked on in parallel, in parts
    /// of a fixed size so that sums do not depend on the number of threads: neighbours share a target's timestamps.
    /// What cannot be put together of parts is worked on group by group.
    fn aggregate_leaf(
        &'a self,
        node: &AggregatePlan,
        leaf: &Leaf<'_, '_>,
        grouping: &Grouping,
        params: &[f64],
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let plan = self.groups_of(leaf, grouping)?;
        let members = plan.members();
        let all: Vec<usize> = (0..leaf.len()).collect();
        let parts: Vec<&[usize]> = if Accumulator::can_merge(node.op) {
            all.chunks((leaf.len() / PARTS).clamp(PART_SERIES_MIN, PART_SERIES_MAX)).collect()
        } else {
            members.iter().map(Vec::as_slice).collect()
        };
        let states_max: usize = parts.iter().map(|part| part.len().min(plan.labels.len())).sum();
        let held = self.budget().columns(states_max.saturating_mul(2), steps)?;
        let states = self.for_each_of(&parts, 1, |scratch, part| {
            self.aggregate_part(node, leaf, (part, &plan.group_of), steps, scratch)
        })?;
        let mut groups: Vec<Option<Accumulator>> = plan.labels.iter().map(|_| None).collect();
        for (group, state) in states.into_iter().flatten() {
            match &mut groups[group as usize] {
                slot @ None => *slot = Some(state),
                Some(known) if known.complete => {}
                Some(known) if known.has_histograms() || state.has_histograms() => {
                    // Sums of histograms cannot be put together: the group is done again as a whole.
                    let mut scratch = Scratch::default();
                    let part = (members[group as usize].as_slice(), plan.group_of.as_slice());
                    let mut again = self.aggregate_part(node, leaf, part, steps, &mut scratch)?;
                    self.note(|notes| notes.merge(scratch.notes));
                    if let Some((_, state)) = again.pop() {
                        *known = state;
                    }
                    // Later parts are in it already.
                    known.complete = true;
                }
                Some(known) => known.merge(&state),
            }
        }
        let mut notes = Notes::default();
        let series = plan.labels.iter().zip(groups).filter_map(|(labels, state)| {
            let state = state?;
            let drop_name = state.drop_name;
            let points = state.finish(params, &mut notes);
            (!points.is_empty()).then(|| Series { labels: labels.clone(), drop_name, points })
        });
        let series = series.collect();
        self.note(|all| all.merge(notes));
        drop(held);
        self.frame(series)
    }

    /// The groups of a leaf's series.
    fn groups_of(&self, leaf: &Leaf<'_, '_>, grouping: &Grouping) -> Result<GroupPlan, QueryError> {
        let all: Vec<usize> = (0..leaf.len()).collect();
        let plan = match leaf.groups() {
            Some(plan) => plan,
            None => GroupPlan::from_keys(self.for_each(&all, |_, at| Ok(leaf.group_key(*at, grouping)))?),
        };
        // Where names go at once, groups must not be made by them.
        let drops_now = !self.options.features.delayed_name_removal && leaf.len() > 0 && leaf.drops_name(0);
        let has_metadata = |labels: &Labels| labels.iter().any(|(name, _)| frame::is_metadata(name));
        if !drops_now || !plan.labels.iter().any(has_metadata) {
            return Ok(plan);
        }
        let key = |at: usize| grouping.key(&frame::without_metadata(&leaf.labels(at)));
        Ok(GroupPlan::from_keys(self.for_each(&all, |_, at| Ok(key(*at)))?))
    }

    /// The states of the groups that some series belong to, in order of first appearance. Each series' group is given.
    fn aggregate_part(
        &self,
        node: &AggregatePlan,
        leaf: &Leaf<'_, '_>,
        (part, group_of): (&[usize], &[u32]),
        steps: Steps,
        scratch: &mut Scratch,
    ) -> Result<Vec<(u32, Accumulator)>, QueryError> {
        let mut states: Vec<(u32, Accumulator)> = Vec::new();
        let mut place_of: HashMap<u32, usize> = HashMap::new();
        for at in part {
            self.ctx.check()?;
            let Some(points) = self.leaf_points(leaf, *at, steps, scratch)? else { continue };
            let group = group_of[*at];
            let place = *place_of.entry(group).or_insert_with(|| {
                states.push((group, Accumulator::new(node.op, node.inner.span, steps.count)));
                states.len() - 1
            });
            // Only remarks on histograms name the metric.
            let metric = if points.histograms.is_empty() { Cow::Borrowed("") } else { leaf.metric(*at) };
            states[place].1.add(&points, &metric, leaf.drops_name(*at), &mut scratch.notes);
            scratch.recycle(points);
        }
        Ok(states)
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
