//! Binary operators: what they do to two numbers or histograms, and scalars against vectors.

use std::sync::Arc;

use model::HistogramError;
use promql_syntax::{BinaryOp, Span};

use crate::QueryError;
use crate::eval::{Evaluated, Evaluator, Frame};
use crate::notes::{HistogramOperation, Notes};
use crate::plan::{BinaryPlan, PlanKind};
use crate::series::{Point, Points, SharedHistogram, Steps};

/// What an operator gives for two samples.
#[derive(Debug)]
pub(crate) enum ElementResult {
    /// No sample, such as where a histogram meets a number that it cannot be combined with.
    Nothing,
    Float {
        value: f64,
        /// Whether a comparison keeps the sample.
        keep: bool,
    },
    Histogram {
        value: SharedHistogram,
        keep: bool,
    },
}

/// Applies an operator to two numbers; comparisons give 0 or 1. Set operators never get here.
pub(crate) fn scalar_op(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => match compare(op, left, right) {
            Some(true) => 1.0,
            Some(false) => 0.0,
            None => f64::NAN,
        },
    }
}

fn compare(op: BinaryOp, left: f64, right: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Less => left < right,
        BinaryOp::LessEqual => left <= right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterEqual => left >= right,
        _ => return None,
    })
}

/// Applies an operator to two samples.
pub(crate) fn element_op(
    op: BinaryOp,
    left: Point<'_>,
    right: Point<'_>,
    span: Span,
    notes: &mut Notes,
) -> ElementResult {
    match (left, right) {
        (Point::Float(left), Point::Float(right)) => match compare(op, left, right) {
            Some(keep) => ElementResult::Float { value: left, keep },
            None if matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) => {
                notes.incompatible_types("float", op.as_str(), "float", span);
                ElementResult::Nothing
            }
            None => ElementResult::Float { value: scalar_op(op, left, right), keep: true },
        },
        (Point::Float(left), Point::Histogram(right)) => {
            if op != BinaryOp::Mul {
                notes.incompatible_types("float", op.as_str(), "histogram", span);
                return ElementResult::Nothing;
            }
            scaled(right, left)
        }
        (Point::Histogram(left), Point::Float(right)) => histogram_and_float(op, left, right, span, notes),
        (Point::Histogram(left), Point::Histogram(right)) => two_histograms(op, left, right, span, notes),
        (Point::Absent, _) | (_, Point::Absent) => ElementResult::Nothing,
    }
}

fn scaled(histogram: &SharedHistogram, factor: f64) -> ElementResult {
    let mut value = (**histogram).clone();
    value.multiply(factor);
    value.compact();
    ElementResult::Histogram { value: Arc::new(value), keep: true }
}

fn histogram_and_float(
    op: BinaryOp,
    left: &SharedHistogram,
    right: f64,
    span: Span,
    notes: &mut Notes,
) -> ElementResult {
    match op {
        BinaryOp::Mul => scaled(left, right),
        BinaryOp::Div => {
            let mut value = (**left).clone();
            value.divide(right);
            value.compact();
            ElementResult::Histogram { value: Arc::new(value), keep: true }
        }
        BinaryOp::TrimUpper | BinaryOp::TrimLower => {
            let mut value = (**left).clone();
            value.trim(right, op == BinaryOp::TrimUpper);
            ElementResult::Histogram { value: Arc::new(value), keep: true }
        }
        _ => {
            notes.incompatible_types("histogram", op.as_str(), "float", span);
            ElementResult::Nothing
        }
    }
}

fn two_histograms(
    op: BinaryOp,
    left: &SharedHistogram,
    right: &SharedHistogram,
    span: Span,
    notes: &mut Notes,
) -> ElementResult {
    match op {
        BinaryOp::Add | BinaryOp::Sub => {
            let mut value = (**left).clone();
            let (outcome, operation) = if op == BinaryOp::Add {
                (value.add(right), HistogramOperation::Addition)
            } else {
                (value.subtract(right), HistogramOperation::Subtraction)
            };
            match outcome {
                Err(HistogramError::IncompatibleSchemas) => {
                    notes.incompatible_layout(op.as_str(), span);
                    return ElementResult::Nothing;
                }
                Ok(outcome) => {
                    if outcome.reset_collision {
                        // As in the original, there is no result then, only the warning.
                        notes.reset_collision(operation, span);
                        return ElementResult::Nothing;
                    }
                    if outcome.bounds_reconciled {
                        notes.bounds_reconciled(operation, span);
                    }
                }
            }
            if op == BinaryOp::Sub {
                value.counter_reset_hint = model::CounterResetHint::Gauge;
            }
            value.compact();
            ElementResult::Histogram { value: Arc::new(value), keep: true }
        }
        BinaryOp::Equal => ElementResult::Histogram { value: Arc::clone(left), keep: left.same_as(right) },
        BinaryOp::NotEqual => {
            ElementResult::Histogram { value: Arc::clone(left), keep: !left.same_as(right) }
        }
        _ => {
            notes.incompatible_types("histogram", op.as_str(), "histogram", span);
            ElementResult::Nothing
        }
    }
}

/// Whether an operator's result is no longer the metric that the left side was.
pub(crate) fn changes_meaning(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Atan2
    )
}

impl<'a> Evaluator<'a> {
    pub(crate) fn binary(
        &'a self,
        node: &BinaryPlan,
        span: Span,
        steps: Steps,
    ) -> Result<Evaluated<'a>, QueryError> {
        // A long chain such as `a or b or c` leans to the left: walked in a loop, it needs no stack.
        let mut spine = vec![(node, span)];
        let mut first = &node.left;
        while let PlanKind::Binary(inner) = &first.kind {
            spine.push((inner, first.span));
            first = &inner.left;
        }
        let mut value = self.eval(first, steps)?;
        while let Some((node, span)) = spine.pop() {
            value = self.with_right(node, value, span, steps)?;
        }
        Ok(value)
    }

    /// An operator whose left side has been evaluated.
    fn with_right(
        &'a self,
        node: &BinaryPlan,
        left: Evaluated<'a>,
        span: Span,
        steps: Steps,
    ) -> Result<Evaluated<'a>, QueryError> {
        let right = self.eval(&node.right, steps)?;
        Ok(match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                let values = left.iter().zip(&right).map(|(left, right)| scalar_op(node.op, *left, *right));
                Evaluated::Scalar(values.collect())
            }
            (Evaluated::Scalar(scalars), Evaluated::Vector(frame)) => {
                Evaluated::Vector(self.with_scalar(node, frame, &scalars, true, span)?)
            }
            (Evaluated::Vector(frame), Evaluated::Scalar(scalars)) => {
                Evaluated::Vector(self.with_scalar(node, frame, &scalars, false, span)?)
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) if node.op.is_set() => {
                Evaluated::Vector(self.set_operation(node, left, right, steps)?)
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                Evaluated::Vector(self.vector_operation(node, &left, &right, span, steps)?)
            }
            (Evaluated::Text(_), _) | (_, Evaluated::Text(_)) => {
                return Err(QueryError::execution("a string is no operand"));
            }
        })
    }

    /// A vector and a scalar; `swapped` where the scalar stands on the left.
    fn with_scalar(
        &'a self,
        node: &BinaryPlan,
        mut frame: Frame<'a>,
        scalars: &[f64],
        swapped: bool,
        span: Span,
    ) -> Result<Frame<'a>, QueryError> {
        let (op, return_bool) = (node.op, node.return_bool);
        let mut notes = Notes::default();
        for series in &mut frame.series {
            if series.points.histograms.is_empty() && changes_meaning(op) {
                float_column(op, &mut series.points.values, scalars, swapped);
            } else {
                series.points = mixed_column(node, &series.points, scalars, swapped, span, &mut notes);
            }
            if changes_meaning(op) || return_bool {
                self.drop_name(series);
            }
        }
        self.note(|all| all.merge(notes));
        self.finished(frame)
    }
}

fn float_column(op: BinaryOp, values: &mut [f64], scalars: &[f64], swapped: bool) {
    for (value, scalar) in values.iter_mut().zip(scalars) {
        if !crate::series::is_absent(*value) {
            let (left, right) = if swapped { (*scalar, *value) } else { (*value, *scalar) };
            *value = scalar_op(op, left, right);
        }
    }
}

fn mixed_column(
    node: &BinaryPlan,
    points: &Points,
    scalars: &[f64],
    swapped: bool,
    span: Span,
    notes: &mut Notes,
) -> Points {
    let mut result = Points::absent(scalars.len());
    for (idx, scalar) in scalars.iter().enumerate() {
        let (point, scalar) = (points.get(idx), Point::Float(*scalar));
        let (left, right) = if swapped { (scalar, point) } else { (point, scalar) };
        let element = element_op(node.op, left, right, span, notes);
        let keep_point = node.op.is_comparison() && swapped;
        set_element(&mut result, idx, &element, keep_point, point, node.return_bool);
    }
    result
}

/// Puts an operator's result into a column. `keep_point` says that a comparison keeps `point` rather than its left side.
fn set_element(
    points: &mut Points,
    idx: usize,
    element: &ElementResult,
    keep_point: bool,
    point: Point<'_>,
    return_bool: bool,
) {
    match element {
        ElementResult::Nothing => {}
        ElementResult::Float { keep, .. } | ElementResult::Histogram { keep, .. } if return_bool => {
            points.values[idx] = f64::from(u8::from(*keep));
        }
        ElementResult::Float { keep: true, .. } | ElementResult::Histogram { keep: true, .. }
            if keep_point =>
        {
            points.set(idx, point);
        }
        ElementResult::Float { value, keep: true } => points.values[idx] = *value,
        ElementResult::Histogram { value, keep: true } => points.set_histogram(idx, Arc::clone(value)),
        ElementResult::Float { .. } | ElementResult::Histogram { .. } => {}
    }
}
