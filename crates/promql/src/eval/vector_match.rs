//! Two vectors: set operations and matching.

use std::collections::HashMap;

use model::Labels;
use promql_syntax::{Cardinality, Span};
use vector_ops::{Include, MatchPlan, Matching, result_labels};

use crate::QueryError;
use crate::eval::binary::{ElementResult, changes_meaning, element_op};
use crate::eval::{Evaluator, Frame, frame};
use crate::notes::Notes;
use crate::plan::BinaryPlan;
use crate::series::{Point, Points, Series, Steps};

fn matching_of(node: &BinaryPlan) -> Matching {
    let matching = &node.matching;
    if matching.on { Matching::on(&matching.labels) } else { Matching::ignoring(&matching.labels) }
}

fn plan_of(node: &BinaryPlan, left: &[Series], right: &[Series]) -> (Matching, MatchPlan) {
    let matching = matching_of(node);
    let plan = MatchPlan::new(&matching, left.iter().map(|s| &s.labels), right.iter().map(|s| &s.labels));
    (matching, plan)
}

/// Which keys have a sample at which step.
struct Presence {
    keys: usize,
    bits: Vec<bool>,
}

impl Presence {
    fn new(series: &[Series], keys_of: &[u32], keys: usize, steps: usize) -> Self {
        let mut bits = vec![false; keys * steps];
        for (series, key) in series.iter().zip(keys_of) {
            for idx in 0..steps {
                if series.points.has(idx) {
                    bits[idx * keys + *key as usize] = true;
                }
            }
        }
        Self { keys, bits }
    }

    fn has(&self, step: usize, key: u32) -> bool {
        self.bits[step * self.keys + key as usize]
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn set_operation(
        &'a self,
        node: &BinaryPlan,
        mut left: Frame<'a>,
        mut right: Frame<'a>,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        use promql_syntax::BinaryOp;
        let (_, plan) = plan_of(node, &left.series, &right.series);
        let keys = plan.keys.len();
        if node.op == BinaryOp::Or {
            let present = Presence::new(&left.series, &plan.left, keys, steps.count);
            keep_steps(&mut right.series, &plan.right, |step, key| !present.has(step, key));
            let mut series = std::mem::take(&mut left.series);
            series.append(&mut right.series);
            series.retain(|series| !series.points.is_empty());
            drop((left, right));
            let merged = if steps.is_range() { frame::merged(series)? } else { series };
            let result = self.frame(merged)?;
            return self.finished(result);
        }
        let present = Presence::new(&right.series, &plan.right, keys, steps.count);
        let wanted = node.op == BinaryOp::And;
        keep_steps(&mut left.series, &plan.left, |step, key| present.has(step, key) == wanted);
        self.finished(left)
    }

    /// An operator on two vectors that is no set operation.
    pub(crate) fn vector_operation(
        &'a self,
        node: &BinaryPlan,
        left: &Frame<'a>,
        right: &Frame<'a>,
        span: Span,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let (left, right) = (&left.series, &right.series);
        let (matching, plan) = plan_of(node, left, right);
        // The "many" side is where labels come from; both sides are "one" in a one-to-one match.
        let swapped = node.matching.cardinality == Cardinality::OneToMany;
        let (many, one, many_keys, one_keys) = if swapped {
            (right, left, &plan.right, &plan.left)
        } else {
            (left, right, &plan.left, &plan.right)
        };
        let mut operation = Operation {
            node,
            matching: &matching,
            keys: &plan.keys,
            swapped,
            span,
            steps,
            drops_name_now: changes_meaning(node.op)
                || (node.return_bool && !self.options.features.delayed_name_removal),
            outputs: Vec::new(),
            by_labels: HashMap::new(),
            pairs: HashMap::new(),
            notes: Notes::default(),
        };
        let filled = node.matching.fill_left.is_some() || node.matching.fill_right.is_some();
        let mut many_of = vec![Vec::new(); plan.keys.len()];
        let mut one_of = vec![Vec::new(); plan.keys.len()];
        many_keys.iter().enumerate().for_each(|(idx, key)| many_of[*key as usize].push(idx));
        one_keys.iter().enumerate().for_each(|(idx, key)| one_of[*key as usize].push(idx));
        for step in 0..steps.count {
            self.ctx.check()?;
            // Nothing matches nothing, not even a clash on one side is looked for.
            let any = |side: &[Series]| side.iter().any(|series| series.points.has(step));
            if !(filled || any(many) && any(one)) {
                continue;
            }
            for key in 0..plan.keys.len() {
                if key % 4096 == 4095 {
                    self.ctx.check()?;
                }
                operation.at_step(step, key, (many, &many_of[key]), (one, &one_of[key]))?;
            }
        }
        let Operation { mut outputs, notes, .. } = operation;
        self.note(|all| all.merge(notes));
        outputs.sort_by_key(|output| output.order);
        let series = outputs.into_iter().map(|output| output.series).collect();
        let series = if steps.is_range() { frame::merged(series)? } else { series };
        let frame = self.frame(series)?;
        self.finished(frame)
    }
}

fn keep_steps(series: &mut [Series], keys_of: &[u32], keep: impl Fn(usize, u32) -> bool) {
    for (series, key) in series.iter_mut().zip(keys_of) {
        for step in 0..series.points.values.len() {
            if !keep(step, *key) {
                series.points.set(step, Point::Absent);
            }
        }
    }
}

/// A result series in the making.
struct Output {
    series: Series,
    /// The series of the "many" side that it was made from first.
    order: usize,
    /// The last step at which a pair gave this series, and its key: twice at one step is a clash.
    last: Option<(usize, usize)>,
}

struct Operation<'a> {
    node: &'a BinaryPlan,
    matching: &'a Matching,
    keys: &'a [Labels],
    swapped: bool,
    span: Span,
    steps: Steps,
    drops_name_now: bool,
    outputs: Vec<Output>,
    by_labels: HashMap<(Labels, usize), usize>,
    /// The output of each pair of series; `None` is a filled-in side.
    pairs: HashMap<(Option<usize>, Option<usize>, usize), usize>,
    notes: Notes,
}

/// The series of a side, and those of them that have the key.
type Side<'a> = (&'a [Series], &'a [usize]);

/// A series of a side with its index.
type Member<'a> = (usize, &'a Series);

impl Operation<'_> {
    fn at_step(
        &mut self,
        step: usize,
        key: usize,
        (many, many_of): Side<'_>,
        (one, one_of): Side<'_>,
    ) -> Result<(), QueryError> {
        let mut found: Option<usize> = None;
        for idx in one_of.iter().copied().filter(|idx| one[*idx].points.has(step)) {
            if let Some(earlier) = found {
                return Err(self.duplicate(key, &one[earlier].labels, &one[idx].labels));
            }
            found = Some(idx);
        }
        let one_to_one = self.node.matching.cardinality == Cardinality::OneToOne;
        // As in the original, `fill_left` is for the "many" side of `group_right`, too.
        let (fill_many, fill_one) = (self.node.matching.fill_left, self.node.matching.fill_right);
        let mut matched = false;
        for idx in many_of.iter().copied().filter(|idx| many[*idx].points.has(step)) {
            let point = many[idx].points.get(step);
            let other = match (found, fill_one) {
                (Some(other), _) => one[other].points.get(step),
                (None, Some(fill)) => Point::Float(fill),
                (None, None) => continue,
            };
            if matched && one_to_one {
                let message = "multiple matches for labels: many-to-one matching must be explicit \
                               (group_left/group_right)";
                return Err(QueryError::execution(message));
            }
            let pair = (Some((idx, &many[idx])), found.map(|other| (other, &one[other])));
            matched |= self.combine(step, key, pair, (point, other))?;
        }
        if let (Some(other), false, Some(fill)) = (found, matched, fill_many) {
            let points = (Point::Float(fill), one[other].points.get(step));
            self.combine(step, key, (None, Some((other, &one[other]))), points)?;
        }
        Ok(())
    }

    /// Applies the operator to a pair; a side that is `None` is filled in. Whether the two could be combined.
    fn combine(
        &mut self,
        step: usize,
        key: usize,
        (many, one): (Option<Member<'_>>, Option<Member<'_>>),
        (many_point, one_point): (Point<'_>, Point<'_>),
    ) -> Result<bool, QueryError> {
        let op = self.node.op;
        let (left, right) = if self.swapped { (one_point, many_point) } else { (many_point, one_point) };
        let element = element_op(op, left, right, self.span, &mut self.notes);
        let (value, keep) = match &element {
            ElementResult::Nothing => return Ok(false),
            ElementResult::Float { value, keep } => (Point::Float(*value), *keep),
            ElementResult::Histogram { value, keep } => (Point::Histogram(value), *keep),
        };
        let at = self.output(key, many, one);
        let output = &mut self.outputs[at];
        if output.last == Some((step, key)) {
            return Err(QueryError::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            ));
        }
        output.last = Some((step, key));
        if self.node.return_bool {
            output.series.points.values[step] = f64::from(u8::from(keep));
        } else if keep {
            output.series.points.set(step, value);
        }
        Ok(true)
    }

    fn output(&mut self, key: usize, many: Option<(usize, &Series)>, one: Option<(usize, &Series)>) -> usize {
        let pair = (many.map(|(idx, _)| idx), one.map(|(idx, _)| idx), key);
        if let Some(at) = self.pairs.get(&pair) {
            return *at;
        }
        let empty = &self.keys[key];
        let many_labels = many.map_or(empty, |(_, series)| &series.labels);
        let one_labels = one.map_or(empty, |(_, series)| &series.labels);
        let stripped =
            if self.drops_name_now { frame::without_metadata(many_labels) } else { many_labels.clone() };
        let include = (self.node.matching.cardinality != Cardinality::OneToOne)
            .then_some(Include { names: &self.node.matching.include, one: one_labels });
        let labels = result_labels(self.matching, &stripped, include, self.drops_name_now);
        let next = self.outputs.len();
        // Within a key equal labels are one series, across keys they are merged (and checked) at the end.
        let at = *self.by_labels.entry((labels.clone(), key)).or_insert(next);
        if at == next {
            let points = Points::absent(self.steps.count);
            let series = Series { labels, drop_name: self.node.return_bool, points };
            let order = many.map_or(usize::MAX, |(idx, _)| idx);
            self.outputs.push(Output { series, order, last: None });
        }
        self.pairs.insert(pair, at);
        at
    }

    fn duplicate(&self, key: usize, first: &Labels, second: &Labels) -> QueryError {
        let side = if self.swapped { "left" } else { "right" };
        let (mut first, mut second) = (braced(first), braced(second));
        if first > second {
            std::mem::swap(&mut first, &mut second);
        }
        let group = braced(&self.keys[key]);
        QueryError::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}

/// Labels as Go's `labels.Labels.String` writes them: the metric name is one of the pairs.
pub(crate) fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = promql_syntax::Quoted(value);
            if model::is_legacy_label_name(name) {
                format!("{name}={value}")
            } else {
                format!("{}={value}", promql_syntax::Quoted(name))
            }
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
