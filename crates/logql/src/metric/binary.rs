//! Operators between two operands.

use std::collections::HashMap;

use logql_syntax::{BinaryExpr, BinaryOp, Cardinality, Matching as SyntaxMatching};
use model::Labels;
use resources::RequestContext;
use vector_ops::{Include, MatchPlan, Matching, result_labels};

use super::step_values::StepValues;
use super::{StepSeries, Value};
use crate::LogqlError;

const MANY_TO_ONE: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const MANY_TO_MANY: &str = "found duplicate series on the right hand-side;\
    many-to-many matching not allowed: matching labels must be unique on one side";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// Combines two operands.
pub(super) fn combine(
    ctx: &RequestContext,
    binary: &BinaryExpr,
    left: Value,
    right: Value,
) -> Result<Value, LogqlError> {
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Ok(Value::Scalar(scalar(binary.op, left, right))),
        (Value::Vector { series, ranked }, Value::Scalar(right)) => {
            let series = with_scalar(series, |value| apply(binary, value, right, value));
            Ok(Value::Vector { series, ranked })
        }
        (Value::Scalar(left), Value::Vector { series, ranked }) => {
            let series = with_scalar(series, |value| apply(binary, left, value, value));
            Ok(Value::Vector { series, ranked })
        }
        (Value::Vector { series: left, .. }, Value::Vector { series: right, .. }) => {
            let matching = plan(binary.matching.as_ref());
            if binary.op.is_set() {
                return set_operation(binary.op, &matching, left, right);
            }
            vectors(ctx, binary, &matching, &left, &right)
        }
    }
}

fn plan(matching: Option<&SyntaxMatching>) -> Matching {
    match matching {
        None => Matching::ignoring(&[]),
        Some(matching) if matching.on => Matching::on(&matching.labels),
        Some(matching) => Matching::ignoring(&matching.labels),
    }
}

/// Two numbers; comparisons answer 0 or 1.
fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    compares(op, left, right).map_or_else(|| arithmetic(op, left, right), |holds| f64::from(u8::from(holds)))
}

fn compares(op: BinaryOp, left: f64, right: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterOrEqual => left >= right,
        BinaryOp::Less => left < right,
        BinaryOp::LessOrEqual => left <= right,
        BinaryOp::Or
        | BinaryOp::And
        | BinaryOp::Unless
        | BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::Pow => return None,
    })
}

fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        // Dividing by zero is no number here, unlike in PromQL.
        BinaryOp::Div | BinaryOp::Mod if right == 0.0 => f64::NAN,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        _ => f64::NAN,
    }
}

/// The result at one step: a comparison without `bool` keeps `kept` or nothing.
fn apply(binary: &BinaryExpr, left: f64, right: f64, kept: f64) -> Option<f64> {
    match compares(binary.op, left, right) {
        None => Some(arithmetic(binary.op, left, right)),
        Some(holds) if binary.returns_bool => Some(f64::from(u8::from(holds))),
        Some(holds) => holds.then_some(kept),
    }
}

fn with_scalar(mut series: Vec<StepSeries>, combine: impl Fn(f64) -> Option<f64>) -> Vec<StepSeries> {
    for series in &mut series {
        series.values.update(|_, value| combine(value));
    }
    series
}

/// Series by key.
fn by_key(keys: &[u32], count: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); count];
    for (series, key) in keys.iter().enumerate() {
        members[*key as usize].push(series);
    }
    members
}

fn vectors(
    ctx: &RequestContext,
    binary: &BinaryExpr,
    matching: &Matching,
    left: &[StepSeries],
    right: &[StepSeries],
) -> Result<Value, LogqlError> {
    let cardinality = binary.matching.as_ref().map_or(Cardinality::OneToOne, |matching| matching.cardinality);
    let is_swapped = cardinality == Cardinality::OneToMany;
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let plan = MatchPlan::new(matching, many.iter().map(|s| &s.labels), one.iter().map(|s| &s.labels));
    let (many_of, one_of) = (by_key(&plan.left, plan.keys.len()), by_key(&plan.right, plan.keys.len()));
    let mut result = Vec::new();
    for (many_members, one_members) in many_of.iter().zip(&one_of) {
        ctx.check()?;
        if many_members.is_empty() || one_members.is_empty() {
            continue;
        }
        let pairs = PairedKey { binary, is_swapped, many, one, many_members, one_members };
        pairs.combine(cardinality == Cardinality::OneToOne, matching, &mut result)?;
    }
    merge_equal(result, false)
}

/// The series of both sides that share a key.
struct PairedKey<'a> {
    binary: &'a BinaryExpr,
    is_swapped: bool,
    many: &'a [StepSeries],
    one: &'a [StepSeries],
    many_members: &'a [usize],
    one_members: &'a [usize],
}

impl PairedKey<'_> {
    fn combine(
        &self,
        one_to_one: bool,
        matching: &Matching,
        out: &mut Vec<StepSeries>,
    ) -> Result<(), LogqlError> {
        let steps = self.one_members.iter().map(|idx| self.one[*idx].values.end()).max().unwrap_or(0);
        let mut results: HashMap<(usize, usize), StepValues> = HashMap::new();
        for step in 0..steps {
            let mut present =
                self.one_members.iter().filter(|idx| self.one[**idx].values.get(step).is_some());
            let Some(one_idx) = present.next().copied() else { continue };
            if present.next().is_some() {
                return Err(LogqlError::Matching(MANY_TO_MANY));
            }
            let Some(one_value) = self.one[one_idx].values.get(step) else { continue };
            let mut seen = false;
            for many_idx in self.many_members {
                let Some(many_value) = self.many[*many_idx].values.get(step) else { continue };
                if one_to_one && seen {
                    return Err(LogqlError::Matching(MANY_TO_ONE));
                }
                seen = true;
                let value = if self.is_swapped {
                    apply(self.binary, one_value, many_value, one_value)
                } else {
                    apply(self.binary, many_value, one_value, many_value)
                };
                if value.is_some() {
                    *results.entry((*many_idx, one_idx)).or_default().slot(step) = value;
                }
            }
        }
        let mut results: Vec<_> = results.into_iter().collect();
        results.sort_unstable_by_key(|(pair, _)| *pair);
        for ((many_idx, one_idx), values) in results {
            let labels = self.labels(matching, one_to_one, many_idx, one_idx);
            out.push(StepSeries { labels, values });
        }
        Ok(())
    }

    fn labels(&self, matching: &Matching, one_to_one: bool, many_idx: usize, one_idx: usize) -> Labels {
        let many = &self.many[many_idx].labels;
        let names = self.binary.matching.as_ref().map_or(&[][..], |matching| &matching.include);
        let include = Include { names, one: &self.one[one_idx].labels };
        result_labels(matching, many, (!one_to_one).then_some(include), true)
    }
}

/// `and`, `or`, `unless`: by whether the other side has the key at that step.
fn set_operation(
    op: BinaryOp,
    matching: &Matching,
    mut left: Vec<StepSeries>,
    mut right: Vec<StepSeries>,
) -> Result<Value, LogqlError> {
    let plan = MatchPlan::new(matching, left.iter().map(|s| &s.labels), right.iter().map(|s| &s.labels));
    let (left_of, right_of) = (by_key(&plan.left, plan.keys.len()), by_key(&plan.right, plan.keys.len()));
    let has = |side: &[StepSeries], members: &[usize], step: usize| {
        members.iter().any(|idx| side[*idx].values.get(step).is_some())
    };
    if op == BinaryOp::Or {
        for (idx, series) in right.iter_mut().enumerate() {
            let members = &left_of[plan.right[idx] as usize];
            series.values.update(|step, value| (!has(&left, members, step)).then_some(value));
        }
        left.append(&mut right);
        return merge_equal(left, false);
    }
    let keeps_present = op == BinaryOp::And;
    for (idx, series) in left.iter_mut().enumerate() {
        let members = &right_of[plan.left[idx] as usize];
        series.values.update(|step, value| (has(&right, members, step) == keeps_present).then_some(value));
    }
    Ok(Value::Vector { series: left, ranked: false })
}

/// Joins series with equal labels, which may not both have a value at the same step.
pub(super) fn merge_equal(series: Vec<StepSeries>, ranked: bool) -> Result<Value, LogqlError> {
    let mut merged: Vec<StepSeries> = Vec::with_capacity(series.len());
    let mut index: HashMap<Labels, usize> = HashMap::new();
    for series in series {
        let Some(idx) = index.get(&series.labels) else {
            index.insert(series.labels.clone(), merged.len());
            merged.push(series);
            continue;
        };
        for (step, value) in series.values.iter() {
            if merged[*idx].values.slot(step).replace(value).is_some() {
                return Err(LogqlError::Matching(NOT_UNIQUE));
            }
        }
    }
    Ok(Value::Vector { series: merged, ranked })
}
