//! Arithmetic on durations in ranges, steps and offsets.

use std::fmt;

use crate::{NumberLiteral, Span};

/// An expression that gives a length of time in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A number of seconds.
    Number(NumberLiteral),
    /// `step()`: the query's step.
    Step(Span),
    /// `range()`: the query's end minus its start.
    Range(Span),
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>, Span),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>, Span),
    /// `-a`
    Negative(Box<DurationExpr>, Span),
    /// `a + b`
    Binary(DurationOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>, Span),
}

/// An operator on durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// A duration expression whose value is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {reason}", span.start, span.end)]
pub struct DurationError {
    /// What is wrong.
    pub reason: &'static str,
    /// Where.
    pub span: Span,
}

/// The most seconds that 64 bits of nanoseconds hold.
const SECONDS_MAX: f64 = 9_223_372_036.854_775;

impl DurationExpr {
    /// Where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(number) => number.span,
            Self::Step(span)
            | Self::Range(span)
            | Self::MinOf(_, _, span)
            | Self::MaxOf(_, _, span)
            | Self::Negative(_, span)
            | Self::Paren(_, span) => *span,
            Self::Binary(_, left, right) => left.span().to(right.span()),
        }
    }

    /// The value in ms for a query with this step and this range (end minus start), both in ms.
    /// An offset may be 0 or negative, a range or a step may not.
    pub fn eval_ms(&self, step_ms: i64, range_ms: i64, is_offset: bool) -> Result<i64, DurationError> {
        let fail = |reason| Err(DurationError { reason, span: self.span() });
        let seconds = self.seconds(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0)?;
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !is_offset {
            return fail("duration must be greater than 0");
        }
        if seconds.abs() > SECONDS_MAX {
            return fail("duration is out of range");
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, step: f64, range: f64) -> Result<f64, DurationError> {
        let fail = |reason| Err(DurationError { reason, span: self.span() });
        Ok(match self {
            Self::Number(number) => number.value,
            Self::Step(_) => step,
            Self::Range(_) => range,
            Self::MinOf(left, right, _) => {
                let (left, right) = (left.seconds(step, range)?, right.seconds(step, range)?);
                if left.is_nan() || right.is_nan() { f64::NAN } else { left.min(right) }
            }
            Self::MaxOf(left, right, _) => {
                let (left, right) = (left.seconds(step, range)?, right.seconds(step, range)?);
                if left.is_nan() || right.is_nan() { f64::NAN } else { left.max(right) }
            }
            Self::Negative(inner, _) => -inner.seconds(step, range)?,
            Self::Paren(inner, _) => inner.seconds(step, range)?,
            Self::Binary(op, left, right) => {
                let (left, right) = (left.seconds(step, range)?, right.seconds(step, range)?);
                match op {
                    DurationOp::Add => left + right,
                    DurationOp::Sub => left - right,
                    DurationOp::Mul => left * right,
                    DurationOp::Div if right == 0.0 => return fail("division by zero"),
                    DurationOp::Div => left / right,
                    DurationOp::Mod if right == 0.0 => return fail("modulo by zero"),
                    DurationOp::Mod => left % right,
                    DurationOp::Pow => left.powf(right),
                }
            }
        })
    }
}

impl fmt::Display for DurationOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        })
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Step(_) => f.write_str("step()"),
            Self::Range(_) => f.write_str("range()"),
            Self::MinOf(left, right, _) => write!(f, "min_of({left}, {right})"),
            Self::MaxOf(left, right, _) => write!(f, "max_of({left}, {right})"),
            Self::Negative(inner, _) => write!(f, "-{inner}"),
            Self::Binary(op, left, right) => write!(f, "{left} {op} {right}"),
            Self::Paren(inner, _) => write!(f, "({inner})"),
        }
    }
}
