//! Tokens.

use crate::Span;
use crate::op::{AggregateOp, BinaryOp};

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Eof,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    EqualRegex,
    NotRegex,
    At,
    /// `!=` is also a matcher's operator; `-` and `+` are also unary.
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

/// Words with a meaning besides operators and aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

const KEYWORDS: [(&str, Keyword); 19] = [
    ("offset", Keyword::Offset),
    ("smoothed", Keyword::Smoothed),
    ("anchored", Keyword::Anchored),
    ("by", Keyword::By),
    ("without", Keyword::Without),
    ("on", Keyword::On),
    ("ignoring", Keyword::Ignoring),
    ("group_left", Keyword::GroupLeft),
    ("group_right", Keyword::GroupRight),
    ("fill", Keyword::Fill),
    ("fill_left", Keyword::FillLeft),
    ("fill_right", Keyword::FillRight),
    ("bool", Keyword::Bool),
    ("start", Keyword::Start),
    ("end", Keyword::End),
    ("step", Keyword::Step),
    ("range", Keyword::Range),
    ("max_of", Keyword::MaxOf),
    ("min_of", Keyword::MinOf),
];

impl TokenKind {
    /// The kind of a word; keywords are recognised in any case.
    pub(crate) fn of_word(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        if let Some(op) = BinaryOp::of_word(&lower) {
            return Self::Op(op);
        }
        if let Some(op) = AggregateOp::of_name(&lower) {
            return Self::Aggregate(op);
        }
        if let Some((_, keyword)) = KEYWORDS.iter().find(|(name, _)| *name == lower) {
            return Self::Keyword(*keyword);
        }
        match lower.as_str() {
            "inf" | "nan" => Self::Number,
            _ if word.contains(':') => Self::MetricIdentifier,
            _ => Self::Identifier,
        }
    }

    /// Whether the token may be a metric's name.
    pub(crate) fn is_metric_identifier(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Op(op) => op.is_set(),
            Self::Keyword(keyword) => !matches!(
                keyword,
                Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight | Keyword::Bool
            ),
            _ => false,
        }
    }

    /// Whether the token may be a label in a list of labels.
    pub(crate) fn is_grouping_label(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Op(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(keyword) => keyword != Keyword::Without,
            _ => false,
        }
    }

    /// How an error names the token whose text is `text`.
    pub(crate) fn describe(self, text: &str) -> String {
        match self {
            Self::Eof => "end of input".to_owned(),
            Self::Identifier => format!("identifier {text:?}"),
            Self::MetricIdentifier => format!("metric identifier {text:?}"),
            Self::Number => format!("number {text:?}"),
            Self::Duration => format!("duration {text:?}"),
            Self::String => format!("string {text:?}"),
            Self::Op(op) => format!("<op:{}>", op.as_str()),
            Self::At => "<op:@>".to_owned(),
            Self::EqualRegex => "<op:=~>".to_owned(),
            Self::NotRegex => "<op:!~>".to_owned(),
            Self::Aggregate(op) => format!("<aggr:{}>", op.as_str()),
            Self::Keyword(keyword) => {
                let name = KEYWORDS.iter().find(|(_, found)| *found == keyword).map_or("", |(name, _)| name);
                format!("<{name}>")
            }
            _ => format!("{text:?}"),
        }
    }
}
