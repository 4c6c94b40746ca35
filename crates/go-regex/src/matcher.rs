//! Label matchers, compiled.

use model::{MatchOp, Matcher};

use crate::plan::Plan;
use crate::translate::translate;
use crate::{Regex, RegexError, literals};

/// A label matcher ready to be used. A missing label compares as "".
#[derive(Clone, Debug)]
pub struct CompiledMatcher {
    matcher: Matcher,
    regex: Option<CompiledPattern>,
}

#[derive(Clone, Debug)]
struct CompiledPattern {
    regex: Regex,
    plan: Plan,
    exact: Option<Vec<String>>,
    prefix: String,
    required: Option<Vec<String>>,
}

impl CompiledPattern {
    fn new(pattern: &str) -> Result<Self, RegexError> {
        let regex = Regex::anchored(pattern)?;
        let hir = literals::parse(&format!("(?s:{})", translate(pattern)?));
        let (plan, exact, prefix, required) = match &hir {
            Some(hir) => {
                (Plan::of(hir), literals::exact(hir), literals::prefix(hir).0, literals::required(hir))
            }
            None => (Plan::Regex, None, String::new(), None),
        };
        Ok(Self { regex, plan, exact, prefix, required })
    }

    fn is_match(&self, value: &str) -> bool {
        self.plan.is_match(value).unwrap_or_else(|| self.regex.is_match(value))
    }
}

impl CompiledMatcher {
    /// Compiles a matcher.
    pub fn new(matcher: Matcher) -> Result<Self, RegexError> {
        let regex = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(CompiledPattern::new(&matcher.value)?),
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
            (Some(pattern), MatchOp::Regex) => pattern.is_match(value),
            (Some(pattern), _) => !pattern.is_match(value),
        }
    }

    /// Whether a series without the label passes.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The only values that can pass, where the matcher is an equality or a pattern of few known texts.
    pub fn literal_values(&self) -> Option<Vec<&str>> {
        match (self.matcher.op, &self.regex) {
            (MatchOp::Equal, _) => Some(vec![&self.matcher.value]),
            (MatchOp::Regex, Some(pattern)) => {
                pattern.exact.as_ref().map(|texts| texts.iter().map(String::as_str).collect())
            }
            _ => None,
        }
    }

    /// The only values that can not pass, where the matcher is `!=` or `!~` of few known texts.
    pub fn excluded_values(&self) -> Option<Vec<&str>> {
        match (self.matcher.op, &self.regex) {
            (MatchOp::NotEqual, _) => Some(vec![&self.matcher.value]),
            (MatchOp::NotRegex, Some(pattern)) => {
                pattern.exact.as_ref().map(|texts| texts.iter().map(String::as_str).collect())
            }
            _ => None,
        }
    }

    /// The text that every passing value starts with; empty where none is known.
    pub fn literal_prefix(&self) -> &str {
        match (self.matcher.op, &self.regex) {
            (MatchOp::Regex, Some(pattern)) => &pattern.prefix,
            (MatchOp::Equal, _) => &self.matcher.value,
            _ => "",
        }
    }

    /// Texts of which every passing value contains at least one; `None` where no such set is known.
    pub fn required_literals(&self) -> Option<&[String]> {
        match (self.matcher.op, &self.regex) {
            (MatchOp::Regex, Some(pattern)) => pattern.required.as_deref(),
            (MatchOp::Equal, _) if !self.matcher.value.is_empty() => {
                Some(std::slice::from_ref(&self.matcher.value))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
