//! Operators of binary expressions and aggregations.

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
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
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `</`: keeps the observations of a histogram below a bound
    TrimUpper,
    /// `>/`: keeps the observations of a histogram above a bound
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    pub(crate) fn of_word(lower: &str) -> Option<Self> {
        match lower {
            "and" => Some(Self::And),
            "or" => Some(Self::Or),
            "unless" => Some(Self::Unless),
            "atan2" => Some(Self::Atan2),
            _ => None,
        }
    }

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }

    /// Whether it works on sets of series: `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// How tightly it binds; more is tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }
}

/// An aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the operator that its name says")]
pub enum AggregateOp {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    Limitk,
    LimitRatio,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

const AGGREGATES: [(&str, AggregateOp); 14] = [
    ("avg", AggregateOp::Avg),
    ("bottomk", AggregateOp::Bottomk),
    ("count", AggregateOp::Count),
    ("count_values", AggregateOp::CountValues),
    ("group", AggregateOp::Group),
    ("limitk", AggregateOp::Limitk),
    ("limit_ratio", AggregateOp::LimitRatio),
    ("max", AggregateOp::Max),
    ("min", AggregateOp::Min),
    ("quantile", AggregateOp::Quantile),
    ("stddev", AggregateOp::Stddev),
    ("stdvar", AggregateOp::Stdvar),
    ("sum", AggregateOp::Sum),
    ("topk", AggregateOp::Topk),
];

impl AggregateOp {
    pub(crate) fn of_name(lower: &str) -> Option<Self> {
        AGGREGATES.iter().find(|(name, _)| *name == lower).map(|(_, op)| *op)
    }

    /// The aggregation's name.
    pub fn as_str(self) -> &'static str {
        AGGREGATES.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// Whether it takes a parameter before the vector.
    pub fn has_param(self) -> bool {
        self.param_is_string() || self.param_is_scalar()
    }

    /// Whether the parameter is a number.
    pub fn param_is_scalar(self) -> bool {
        matches!(self, Self::Bottomk | Self::Topk | Self::Quantile | Self::Limitk | Self::LimitRatio)
    }

    /// Whether the parameter is a string.
    pub fn param_is_string(self) -> bool {
        self == Self::CountValues
    }

    /// Whether a feature flag is needed.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}
