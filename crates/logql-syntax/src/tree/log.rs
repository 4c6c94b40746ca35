//! Log queries: a selector and the stages that each line runs through.

use model::Matcher;

use crate::Span;

/// A stream selector and its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct LogExpr {
    /// On stream labels; all must hold.
    pub matchers: Vec<Matcher>,
    /// What each line runs through, in order.
    pub stages: Vec<Stage>,
    /// Where it stands.
    pub span: Span,
}

/// A stage of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// Where it stands.
    pub span: Span,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    /// Keeps lines by their text.
    LineFilter(LineFilterExpr),
    /// `| json`, with the fields to take; all where none is given.
    Json(Vec<Extraction>),
    /// `| logfmt`.
    Logfmt {
        /// `--strict`: a malformed pair ends the parsing with an error.
        strict: bool,
        /// `--keep-empty`: keys without a value become empty labels.
        keep_empty: bool,
        /// The keys to take; all where none is given.
        fields: Vec<Extraction>,
    },
    /// `| regexp "…"`
    Regexp(String),
    /// `| pattern "…"`
    Pattern(String),
    /// `| unpack`
    Unpack,
    /// Keeps lines by their labels.
    LabelFilter(LabelFilter),
    /// `| line_format "…"`
    LineFormat(String),
    /// `| label_format …`
    LabelFormat(Vec<LabelFormat>),
    /// `| decolorize`
    Decolorize,
    /// `| drop …`
    Drop(Vec<LabelSelection>),
    /// `| keep …`
    Keep(Vec<LabelSelection>),
}

/// A filter on the line's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFilterExpr {
    /// How the alternatives are compared.
    pub kind: LineFilterKind,
    /// Whether lines that match are dropped.
    pub negated: bool,
    /// Any of these has to match; negated: none may. At least one.
    pub any_of: Vec<LineMatch>,
}

/// How a line filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFilterKind {
    /// `|=` and `!=`
    Contains,
    /// `|~` and `!~`
    Regex,
    /// `|>` and `!>`
    Pattern,
}

/// What a line filter looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineMatch {
    /// A text, regular expression or pattern.
    Text(String),
    /// `ip("…")`: an address, a range or a network anywhere in the line.
    Ip(String),
}

/// A label to be taken from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// The label's name.
    pub label: String,
    /// The path in the JSON document, or logfmt's key.
    pub source: String,
}

/// A filter on labels.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilter {
    /// Compares the text.
    Text(Matcher),
    /// Compares as a number.
    Number {
        /// The label.
        name: String,
        /// How.
        op: FilterOp,
        /// With what.
        value: f64,
    },
    /// Compares as a duration.
    Duration {
        /// The label.
        name: String,
        /// How.
        op: FilterOp,
        /// With what, in ns.
        nanos: i64,
    },
    /// Compares as a size.
    Bytes {
        /// The label.
        name: String,
        /// How.
        op: FilterOp,
        /// With what.
        bytes: u64,
    },
    /// Compares as an address.
    Ip {
        /// The label.
        name: String,
        /// Whether addresses that match are dropped.
        negated: bool,
        /// An address, a range `a-b` or a network `a/n`.
        pattern: String,
    },
    /// All must hold; at least two.
    And(Vec<LabelFilter>),
    /// One must hold; at least two.
    Or(Vec<LabelFilter>),
}

/// A comparison of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOp {
    /// `=` or `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl FilterOp {
    /// The operator as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }

    /// Whether `left op right` holds.
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// A label that `label_format` sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFormat {
    /// Its name.
    pub target: String,
    /// Where its value comes from.
    pub value: LabelFormatValue,
}

/// Where `label_format` takes a value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelFormatValue {
    /// Another label, which is renamed.
    Rename(String),
    /// A template.
    Template(String),
}

/// A label that `drop` or `keep` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSelection {
    /// By name alone.
    Name(String),
    /// By name, if the value matches.
    Matching(Matcher),
}

impl LabelSelection {
    /// The label's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Matching(matcher) => &matcher.name,
        }
    }
}
