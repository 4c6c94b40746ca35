//! Tokens.

use crate::Span;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind<'a> {
    /// A name or a keyword.
    Ident(&'a str),
    /// A string, unquoted.
    Text(String),
    Number(f64),
    /// In ns.
    Duration(i64),
    Bytes(u64),
    /// `[5m]`, in ns.
    Range(i64),
    /// `--strict` or `--keep-empty`.
    Flag(&'a str),
    /// Punctuation and operators.
    Sign(&'static str),
    End,
}

impl TokenKind<'_> {
    /// How an error names the token.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Ident(name) if is_keyword(name) => name.to_ascii_lowercase(),
            Self::Ident(_) => "IDENTIFIER".to_owned(),
            Self::Text(_) => "STRING".to_owned(),
            Self::Number(_) => "NUMBER".to_owned(),
            Self::Duration(_) => "DURATION".to_owned(),
            Self::Bytes(_) => "BYTES".to_owned(),
            Self::Range(_) => "RANGE".to_owned(),
            Self::Flag(_) => "PARSER_FLAG".to_owned(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "$end".to_owned(),
        }
    }
}

const KEYWORDS: [&str; 23] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "unwrap",
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
    "variants",
];

/// Whether the name is a keyword, in any case of letters.
pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(name))
}
