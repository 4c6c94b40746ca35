//! Metric queries: aggregations over ranges of lines and over vectors, and what combines them.

use crate::{LabelFilter, LogExpr, Span};

/// A metric query.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricExpr {
    /// What it computes.
    pub kind: MetricKind,
    /// Where it stands.
    pub span: Span,
}

/// What a metric query computes.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// `rate({…}[5m])` and its like.
    RangeAggregation(Box<RangeAggregation>),
    /// `sum by (…) (…)` and its like.
    VectorAggregation(Box<VectorAggregation>),
    /// Two operands.
    Binary(Box<BinaryExpr>),
    /// `label_replace(…)`
    LabelReplace(Box<LabelReplace>),
    /// `vector(n)`
    Vector(f64),
    /// A number.
    Literal(f64),
}

impl MetricExpr {
    /// Whether the expression is made of numbers only: it answers with a scalar.
    pub fn is_scalar(&self) -> bool {
        match &self.kind {
            MetricKind::Literal(_) => true,
            MetricKind::Binary(binary) => binary.left.is_scalar() && binary.right.is_scalar(),
            MetricKind::RangeAggregation(_)
            | MetricKind::VectorAggregation(_)
            | MetricKind::LabelReplace(_)
            | MetricKind::Vector(_) => false,
        }
    }

    /// Calls `visit` with every range aggregation of the expression.
    pub fn for_each_range<'a>(&'a self, visit: &mut dyn FnMut(&'a RangeAggregation)) {
        match &self.kind {
            MetricKind::RangeAggregation(range) => visit(range),
            MetricKind::VectorAggregation(aggregation) => aggregation.inner.for_each_range(visit),
            MetricKind::Binary(binary) => {
                binary.left.for_each_range(visit);
                binary.right.for_each_range(visit);
            }
            MetricKind::LabelReplace(replace) => replace.inner.for_each_range(visit),
            MetricKind::Vector(_) | MetricKind::Literal(_) => {}
        }
    }
}

/// An aggregation over the lines of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAggregation {
    /// Which.
    pub op: RangeOp,
    /// `quantile_over_time`'s φ.
    pub parameter: Option<f64>,
    /// Over what.
    pub range: RangeExpr,
    /// How series are joined, where that is said.
    pub grouping: Option<Grouping>,
}

/// Lines of a range of time, or numbers taken from them.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeExpr {
    /// Which lines.
    pub log: LogExpr,
    /// The label whose value counts, instead of the line itself.
    pub unwrap: Option<Unwrap>,
    /// The range, in ns; > 0.
    pub range: i64,
    /// How far back the range is moved, in ns; 0 where none is given, negative for the future.
    pub offset: i64,
}

/// `| unwrap`
#[derive(Clone, Debug, PartialEq)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// How its value becomes a number.
    pub conversion: Conversion,
    /// Filters that follow it.
    pub filters: Vec<LabelFilter>,
}

/// How an unwrapped label's value becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// It is one.
    Number,
    /// `bytes(…)`: a size such as `5KB`.
    Bytes,
    /// `duration(…)`: in seconds.
    Duration,
    /// `duration_seconds(…)`: the same.
    DurationSeconds,
}

impl Conversion {
    /// The function's name; empty for a plain number.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

/// An aggregation over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as in the language")]
pub enum RangeOp {
    CountOverTime,
    Rate,
    RateCounter,
    BytesOverTime,
    BytesRate,
    SumOverTime,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    StdvarOverTime,
    StddevOverTime,
    QuantileOverTime,
    FirstOverTime,
    LastOverTime,
    AbsentOverTime,
}

impl RangeOp {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::CountOverTime,
        Self::Rate,
        Self::RateCounter,
        Self::BytesOverTime,
        Self::BytesRate,
        Self::SumOverTime,
        Self::AvgOverTime,
        Self::MinOverTime,
        Self::MaxOverTime,
        Self::StdvarOverTime,
        Self::StddevOverTime,
        Self::QuantileOverTime,
        Self::FirstOverTime,
        Self::LastOverTime,
        Self::AbsentOverTime,
    ];

    /// The name in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CountOverTime => "count_over_time",
            Self::Rate => "rate",
            Self::RateCounter => "rate_counter",
            Self::BytesOverTime => "bytes_over_time",
            Self::BytesRate => "bytes_rate",
            Self::SumOverTime => "sum_over_time",
            Self::AvgOverTime => "avg_over_time",
            Self::MinOverTime => "min_over_time",
            Self::MaxOverTime => "max_over_time",
            Self::StdvarOverTime => "stdvar_over_time",
            Self::StddevOverTime => "stddev_over_time",
            Self::QuantileOverTime => "quantile_over_time",
            Self::FirstOverTime => "first_over_time",
            Self::LastOverTime => "last_over_time",
            Self::AbsentOverTime => "absent_over_time",
        }
    }

    /// The aggregation of that name, in any case of letters.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether `by` and `without` may follow it.
    pub fn allows_grouping(self) -> bool {
        matches!(
            self,
            Self::AvgOverTime
                | Self::MinOverTime
                | Self::MaxOverTime
                | Self::StdvarOverTime
                | Self::StddevOverTime
                | Self::QuantileOverTime
                | Self::FirstOverTime
                | Self::LastOverTime
        )
    }

    /// Whether it can do with lines alone.
    pub fn allows_lines(self) -> bool {
        matches!(
            self,
            Self::CountOverTime | Self::Rate | Self::BytesOverTime | Self::BytesRate | Self::AbsentOverTime
        )
    }

    /// Whether it can do with unwrapped values.
    pub fn allows_unwrap(self) -> bool {
        !matches!(self, Self::CountOverTime | Self::BytesOverTime | Self::BytesRate)
    }
}

/// An aggregation over a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorAggregation {
    /// Which.
    pub op: VectorOp,
    /// `topk`'s k and its like; > 0.
    pub parameter: Option<u64>,
    /// How series are joined; `None` joins all.
    pub grouping: Option<Grouping>,
    /// Over what.
    pub inner: MetricExpr,
}

/// An aggregation over a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as in the language")]
pub enum VectorOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    ApproxTopk,
    Sort,
    SortDesc,
}

impl VectorOp {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Count,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::ApproxTopk,
        Self::Sort,
        Self::SortDesc,
    ];

    /// The name in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::ApproxTopk => "approx_topk",
            Self::Sort => "sort",
            Self::SortDesc => "sort_desc",
        }
    }

    /// The aggregation of that name, in any case of letters.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether it needs a number of series.
    pub fn takes_parameter(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }

    /// Whether `by` and `without` may stand with it.
    pub fn allows_grouping(self) -> bool {
        !matches!(self, Self::Sort | Self::SortDesc | Self::ApproxTopk)
    }
}

/// `by (…)` or `without (…)`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Whether the labels are those that go.
    pub without: bool,
    /// The labels as written.
    pub labels: Vec<String>,
}

/// Two operands.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    /// How they are combined.
    pub op: BinaryOp,
    /// Left.
    pub left: MetricExpr,
    /// Right.
    pub right: MetricExpr,
    /// `bool`: a comparison answers 0 or 1.
    pub returns_bool: bool,
    /// `on` or `ignoring`, where given.
    pub matching: Option<Matching>,
}

/// Which series of two operands belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// Whether `labels` are those that have to be equal; else those that do not matter.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
    /// How many series may belong to one.
    pub cardinality: Cardinality,
    /// Labels that are taken from the side that is one.
    pub include: Vec<String>,
}

/// How many series may belong to one of the other operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One.
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its sign")]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

impl BinaryOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }

    /// How tightly it binds: 1 (`or`) to 6 (`^`).
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::Less
            | Self::LessOrEqual => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
        }
    }

    /// Whether it works on sets of series.
    pub fn is_set(self) -> bool {
        self.precedence() <= 2
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        self.precedence() == 3
    }
}

/// `label_replace(inner, dst, replacement, src, regex)`
#[derive(Clone, Debug, PartialEq)]
pub struct LabelReplace {
    /// Whose labels.
    pub inner: MetricExpr,
    /// The label to set.
    pub target: String,
    /// To what; `$1` and `${name}` stand for groups.
    pub replacement: String,
    /// The label to look at.
    pub source: String,
    /// What it has to match, as a whole.
    pub regex: String,
}
