//! Alertmanager's matchers: the UTF-8 grammar, the classic one, and the fallback between them.

use go_regex::{CompiledMatcher, RegexError};
use model::{Labels, MatchOp, Matcher};

mod classic;
mod utf8;

/// Which grammar is read (`--enable-feature`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatcherMode {
    /// Both; where they differ the classic one wins, with a warning.
    #[default]
    Fallback,
    /// `classic-mode`
    Classic,
    /// `utf8-strict-mode`
    Utf8Strict,
}

/// Matchers that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The text is not in the grammar.
    #[error("bad matcher format: {text}: {reason}")]
    Syntax {
        /// The text.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A pattern cannot be compiled.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

/// Matchers that must all match.
#[derive(Clone, Debug, Default)]
pub struct MatcherSet(Vec<CompiledMatcher>);

impl MatcherSet {
    /// Compiles matchers.
    pub fn new(matchers: impl IntoIterator<Item = Matcher>) -> Result<Self, MatcherError> {
        let compiled: Result<Vec<CompiledMatcher>, RegexError> =
            matchers.into_iter().map(CompiledMatcher::new).collect();
        Ok(Self(compiled?))
    }

    /// Whether all match.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.value(matcher.name())))
    }

    /// The matchers.
    pub fn iter(&self) -> impl Iterator<Item = &CompiledMatcher> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some matcher refuses the empty value: else the set would match alerts without its labels.
    pub fn refuses_empty(&self) -> bool {
        self.0.iter().any(|matcher| !matcher.matches_empty())
    }
}

/// `{a="b",c=~"d"}`, sorted by name: a part of a group's key.
impl std::fmt::Display for MatcherSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown: Vec<&Matcher> = self.0.iter().map(CompiledMatcher::matcher).collect();
        shown.sort_by(|a, b| (&a.name, &a.value, a.op).cmp(&(&b.name, &b.value, b.op)));
        let shown: Vec<String> = shown.into_iter().map(show).collect();
        write!(f, "{{{}}}", shown.join(","))
    }
}

/// A matcher as Alertmanager prints it.
pub fn show(matcher: &Matcher) -> String {
    let plain = is_classic_name(&matcher.name);
    let name = if plain { matcher.name.clone() } else { quote(&matcher.name) };
    format!("{name}{}{}", matcher.op.as_str(), quote(&matcher.value))
}

/// A text in quotes, with backslashes, quotes and newlines escaped.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Reads one or several matchers, in braces or not; the second value is a warning.
pub fn parse(text: &str, mode: MatcherMode) -> Result<(Vec<Matcher>, Option<String>), MatcherError> {
    let fail = |reason: String| MatcherError::Syntax { text: text.to_owned(), reason };
    match mode {
        MatcherMode::Classic => Ok((classic::parse(text).map_err(fail)?, None)),
        MatcherMode::Utf8Strict => Ok((utf8::parse(text).map_err(fail)?, None)),
        MatcherMode::Fallback => match (utf8::parse(text), classic::parse(text)) {
            (Ok(new), Ok(old)) if new == old => Ok((new, None)),
            (Ok(_), Ok(old)) => Ok((
                old,
                Some(format!("matchers {text} mean something else in UTF-8 mode: quote their values")),
            )),
            (Ok(new), Err(_)) => Ok((new, None)),
            (Err(reason), Ok(old)) => Ok((
                old,
                Some(format!(
                    "matchers {text} will not be read in UTF-8 mode ({reason}): quote their values"
                )),
            )),
            (Err(reason), Err(_)) => Err(fail(reason)),
        },
    }
}

/// Whether a label's name may stand unquoted in the classic grammar.
pub(crate) fn is_classic_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| matches!(b, b'_' | b':') || b.is_ascii_alphabetic())
        && bytes.all(|b| matches!(b, b'_' | b':') || b.is_ascii_alphanumeric())
}

/// The operator at the start of a text.
fn operator(text: &str) -> Option<(MatchOp, usize)> {
    [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
        .into_iter()
        .find(|(shown, _)| text.starts_with(shown))
        .map(|(shown, op)| (op, shown.len()))
}

#[cfg(test)]
mod tests;
