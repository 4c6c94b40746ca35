//! The tree of an expression.

use std::fmt;

use model::{Matcher, TimestampMs};

use crate::function::Function;
use crate::op::{AggregateOp, BinaryOp};
use crate::{DurationExpr, Span};

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number a step.
    Scalar,
    /// A text.
    String,
    /// Series with one sample a step.
    Vector,
    /// Series with many samples a step.
    Matrix,
}

impl ValueType {
    /// The name that the HTTP API uses: `scalar`, `string`, `vector`, `matrix`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
        }
    }

    /// The name that documentation and errors use: `instant vector`, `range vector`.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Scalar | Self::String => self.as_str(),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `sum by (x) (e)`
    Aggregate(Box<Aggregate>),
    /// `l + r`
    Binary(Box<Binary>),
    /// `f(a, b)`
    Call(Call),
    /// `e[5m:1m]`
    Subquery(Box<Subquery>),
    /// `m{l="v"}[5m]`
    Matrix(MatrixSelector),
    /// `m{l="v"}`
    Vector(VectorSelector),
    /// `1.5`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `(e)`
    Paren(Box<Paren>),
    /// `-e`
    Unary(Box<Unary>),
}

impl Expr {
    /// Where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Aggregate(node) => node.span,
            Self::Binary(node) => node.left.span().to(node.right.span()),
            Self::Call(node) => node.span,
            Self::Subquery(node) => Span::new(node.expr.span().start, node.end),
            Self::Matrix(node) => Span::new(node.selector.span.start, node.end),
            Self::Vector(node) => node.span,
            Self::Number(node) => node.span,
            Self::String(node) => node.span,
            Self::Paren(node) => node.span,
            Self::Unary(node) => Span::new(node.start, node.expr.span().end),
        }
    }

    /// The type of the expression's value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Binary(node) => {
                let scalars = node.left.value_type() == ValueType::Scalar
                    && node.right.value_type() == ValueType::Scalar;
                if scalars { ValueType::Scalar } else { ValueType::Vector }
            }
            Self::Call(node) => node.function.returns,
            Self::Subquery(_) | Self::Matrix(_) => ValueType::Matrix,
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Paren(node) => node.expr.value_type(),
            Self::Unary(node) => node.expr.value_type(),
        }
    }

    /// The expression without parentheses around it.
    pub fn unwrap_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(node) = expr {
            expr = &node.expr;
        }
        expr
    }
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub op: AggregateOp,
    /// What it takes before the vector.
    pub param: Option<Expr>,
    /// The vector.
    pub expr: Expr,
    /// Labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether `grouping` names what to leave out.
    pub without: bool,
    /// Where.
    pub span: Span,
}

/// A binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left side.
    pub left: Expr,
    /// The right side.
    pub right: Expr,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of two vectors find each other; `None` unless both sides are vectors.
    pub matching: Option<VectorMatching>,
}

/// How many series of one side may match one of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One of each side.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many may match.
    pub cardinality: Cardinality,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` are those to match by.
    pub on: bool,
    /// Labels that `group_left` and `group_right` take from the "one" side.
    pub include: Vec<String>,
    /// The value of a missing series on the left.
    pub fill_left: Option<f64>,
    /// The value of a missing series on the right.
    pub fill_right: Option<f64>,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where.
    pub span: Span,
}

/// A length of time: fixed, or computed when the query's step and range are known.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationArg {
    /// Milliseconds.
    Fixed(i64),
    /// An expression.
    Expr(Box<DurationExpr>),
}

impl Default for DurationArg {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtModifier {
    /// A time in ms since the epoch.
    Timestamp(TimestampMs),
    /// The query's start.
    Start,
    /// The query's end.
    End,
}

/// The `anchored` and `smoothed` modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeExtension {
    /// With the sample at or before the window's start.
    Anchored,
    /// With values interpolated at both ends of the window.
    Smoothed,
}

/// A selector of series, with the newest sample a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorSelector {
    /// The name before the braces; empty where there is none.
    pub name: String,
    /// All matchers; that of `name` is the last.
    pub matchers: Vec<Matcher>,
    /// How far to look back; negative looks forward.
    pub offset: DurationArg,
    /// A fixed time.
    pub at: Option<AtModifier>,
    /// How the edges of a range are treated.
    pub extension: Option<RangeExtension>,
    /// Where.
    pub span: Span,
}

/// A selector with all samples of a window a step.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The series; offset, `@` and extension stand here.
    pub selector: VectorSelector,
    /// The window's width.
    pub range: DurationArg,
    /// One past the last byte.
    pub end: usize,
}

/// An expression evaluated at many steps of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// The inner expression.
    pub expr: Expr,
    /// The window's width.
    pub range: DurationArg,
    /// The inner step; `None` is the engine's default.
    pub step: Option<DurationArg>,
    /// How far to look back; negative looks forward.
    pub offset: DurationArg,
    /// A fixed time.
    pub at: Option<AtModifier>,
    /// One past the last byte.
    pub end: usize,
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The value; seconds where it was written as a duration.
    pub value: f64,
    /// Whether it was written as a duration.
    pub is_duration: bool,
    /// Where.
    pub span: Span,
}

/// A text.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The text without quotes and escapes.
    pub value: String,
    /// Where.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    /// The inner expression.
    pub expr: Expr,
    /// Where.
    pub span: Span,
}

/// A sign before an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// Whether the sign is `-`.
    pub negative: bool,
    /// The expression.
    pub expr: Expr,
    /// The first byte.
    pub start: usize,
}
