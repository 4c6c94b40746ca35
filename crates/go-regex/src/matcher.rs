//! Label matchers, compiled.

use model::{MatchOp, Matcher};

use crate::{Regex, RegexError};

/// A label matcher ready to be used. A missing label compares as "".
#[derive(Clone, Debug)]
pub struct CompiledMatcher {
    matcher: Matcher,
    regex: Option<Regex>,
}

impl CompiledMatcher {
    /// Compiles a matcher.
    pub fn new(matcher: Matcher) -> Result<Self, RegexError> {
        let regex = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Regex::anchored(&matcher.value)?),
        };
        Ok(Self { matcher, regex })
    }

    /// The matcher as written.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.matcher.name
    }

    /// Whether a label with this value (or none, given as "") passes.
    pub fn matches(&self, value: &str) -> bool {
        match (&self.regex, self.matcher.op) {
            (None, MatchOp::Equal) => value == self.matcher.value,
            (None, _) => value != self.matcher.value,
            (Some(regex), MatchOp::Regex) => regex.is_match(value),
            (Some(regex), _) => !regex.is_match(value),
        }
    }

    /// Whether a series without the label passes.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The only values that can pass, where the matcher is an equality or an alternation of literals.
    pub fn literal_values(&self) -> Option<Vec<&str>> {
        match self.matcher.op {
            MatchOp::Equal => Some(vec![&self.matcher.value]),
            MatchOp::Regex => literal_alternatives(&self.matcher.value),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }

    /// The bytes that every passing value starts with; empty where none are known.
    pub fn literal_prefix(&self) -> &str {
        match self.matcher.op {
            MatchOp::Regex => {
                let pattern = self.matcher.value.as_str();
                let end = pattern.find(is_meta).unwrap_or(pattern.len());
                let rest = &pattern[end..];
                // An alternation anywhere, or a quantifier on the last character, takes the certainty away.
                if pattern.contains('|') {
                    return "";
                }
                if rest.starts_with(['*', '?', '{']) {
                    let last = pattern[..end].char_indices().next_back().map_or(0, |(at, _)| at);
                    return &pattern[..last];
                }
                &pattern[..end]
            }
            MatchOp::Equal => &self.matcher.value,
            MatchOp::NotEqual | MatchOp::NotRegex => "",
        }
    }
}

fn is_meta(c: char) -> bool {
    matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$')
}

fn literal_alternatives(pattern: &str) -> Option<Vec<&str>> {
    let body = match pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) if !inner.starts_with('?') => inner,
        _ => pattern,
    };
    let alternatives: Vec<&str> = body.split('|').collect();
    alternatives.iter().all(|text| !text.contains(is_meta)).then_some(alternatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(op: MatchOp, value: &str) -> CompiledMatcher {
        CompiledMatcher::new(Matcher::new("l", op, value)).expect(value)
    }

    #[test]
    fn matchers_are_anchored_and_see_missing_as_empty() {
        let regex = compile(MatchOp::Regex, "a.c|b");
        assert!(regex.matches("abc") && regex.matches("a\nc") && regex.matches("b"));
        assert!(!regex.matches("xabc") && !regex.matches("bb") && !regex.matches_empty());
        assert!(
            compile(MatchOp::NotEqual, "x").matches_empty() && compile(MatchOp::Regex, ".*").matches_empty()
        );
        assert!(CompiledMatcher::new(Matcher::new("l", MatchOp::Regex, "a)(b")).is_err());
    }

    #[test]
    fn literals_are_found_only_where_they_are_certain() {
        for (pattern, values) in [
            ("a|b", Some(vec!["a", "b"])),
            ("(a|b)", Some(vec!["a", "b"])),
            ("a|", Some(vec!["a", ""])),
            ("a.|b", None),
            ("(?i)a", None),
        ] {
            assert_eq!(compile(MatchOp::Regex, pattern).literal_values(), values, "{pattern}");
        }
        for (pattern, prefix) in [
            ("api-.*", "api-"),
            ("apis?", "api"),
            ("a|b", ""),
            ("(?i)api", ""),
            ("ab{0,1}", "a"),
            ("a+", "a"),
        ] {
            assert_eq!(compile(MatchOp::Regex, pattern).literal_prefix(), prefix, "{pattern}");
        }
    }
}
