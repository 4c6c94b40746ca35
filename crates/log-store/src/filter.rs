//! Line filters made ready for use.

use std::sync::Arc;

use go_regex::Regex;
use log_storage_api::{LineFilter, LineFilterOp, PatternPart};
use memchr::memmem::Finder;

/// Filters that all have to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineFilters {
    filters: Vec<Filter>,
}

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) negated: bool,
    pub(crate) any_of: Vec<FilterOp>,
}

#[derive(Clone, Debug)]
pub(crate) enum FilterOp {
    Contains(Box<Finder<'static>>),
    Regex(Arc<Regex>),
    Pattern(Arc<[PatternPart]>),
}

impl LineFilters {
    pub(crate) fn new(filters: &[LineFilter]) -> Self {
        let op = |op: &LineFilterOp| match op {
            LineFilterOp::Contains(text) => {
                FilterOp::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()))
            }
            LineFilterOp::Regex(regex) => FilterOp::Regex(Arc::clone(regex)),
            LineFilterOp::Pattern(parts) => FilterOp::Pattern(Arc::clone(parts)),
        };
        let filter = |filter: &LineFilter| Filter {
            negated: filter.negated,
            any_of: filter.any_of.iter().map(op).collect(),
        };
        Self { filters: filters.iter().map(filter).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    pub(crate) fn matches(&self, line: &str) -> bool {
        self.filters.iter().all(|filter| filter.matches(line))
    }
}

impl Filter {
    fn matches(&self, line: &str) -> bool {
        self.any_of.iter().any(|op| op.matches(line)) != self.negated
    }
}

impl FilterOp {
    fn matches(&self, line: &str) -> bool {
        match self {
            Self::Contains(finder) => finder.find(line.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(line),
            Self::Pattern(parts) => pattern_matches(parts, line),
        }
    }
}

/// Whether the pattern covers the whole line. Wildcards are lazy, which finds a cover wherever there is one: taking the
/// first place for a literal never leaves less room for those behind it; the last literal is held against the end.
fn pattern_matches(parts: &[PatternPart], line: &str) -> bool {
    let mut rest = line.as_bytes();
    let mut gap = false;
    for (idx, part) in parts.iter().enumerate() {
        match part {
            PatternPart::Wildcard => gap = true,
            PatternPart::Literal(text) => {
                let text = text.as_bytes();
                let is_last = idx + 1 == parts.len();
                let at = match (gap, is_last) {
                    (false, false) => rest.starts_with(text).then_some(0),
                    (false, true) => (rest == text).then_some(0),
                    (true, true) => {
                        rest.len().checked_sub(text.len()).filter(|at| *at >= 1 && rest.ends_with(text))
                    }
                    (true, false) => {
                        rest.get(1..).and_then(|rest| memchr::memmem::find(rest, text)).map(|at| at + 1)
                    }
                };
                let Some(at) = at else { return false };
                rest = &rest[at + text.len()..];
                gap = false;
            }
        }
    }
    if gap { !rest.is_empty() } else { rest.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pattern: &str) -> Vec<PatternPart> {
        let mut parts = Vec::new();
        for (idx, text) in pattern.split("<_>").enumerate() {
            if idx > 0 {
                parts.push(PatternPart::Wildcard);
            }
            if !text.is_empty() {
                parts.push(PatternPart::Literal(text.into()));
            }
        }
        parts
    }

    #[test]
    fn patterns_cover_whole_lines_and_wildcards_take_at_least_a_byte() {
        for (pattern, line, expected) in [
            ("", "", true),
            ("", "a", false),
            ("<_>", "", false),
            ("<_>", "a", true),
            ("ab", "ab", true),
            ("ab", "abc", false),
            ("a<_>", "a", false),
            ("a<_>", "ab", true),
            ("<_>b", "b", false),
            ("<_>b", "abab", true),
            ("a<_>b<_>c", "a1b2c", true),
            ("a<_>b<_>c", "abbcc", true),
            ("a<_>b<_>c", "abc", false),
            ("a<_>a", "aa", false),
            ("a<_>a", "aaa", true),
            ("<_>aa<_>", "xaay", true),
            ("<_>aa<_>", "xaa", false),
            ("ü<_>ü", "üäü", true),
        ] {
            assert_eq!(pattern_matches(&parts(pattern), line), expected, "{pattern:?} on {line:?}");
        }
    }
}
