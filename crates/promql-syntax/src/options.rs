//! What the language allows, and how matchers are checked.

use std::fmt;

use model::{MatchOp, Matcher};

/// The parts of the language that a feature flag switches (`--enable-feature`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Experimental functions and aggregations (`promql-experimental-functions`).
    pub experimental_functions: bool,
    /// The `anchored` and `smoothed` modifiers (`promql-extended-range-selectors`).
    pub extended_range_selectors: bool,
    /// The `fill` modifiers of binary operators (`promql-binop-fill-modifiers`).
    pub binop_fill_modifiers: bool,
    /// Arithmetic in ranges, steps and offsets; on in Prometheus 3.14.
    pub duration_expressions: bool,
}

impl Features {
    /// Everything on.
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            duration_expressions: true,
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            extended_range_selectors: false,
            binop_fill_modifiers: false,
            duration_expressions: true,
        }
    }
}

/// Checks a matcher: whether its pattern compiles (else why not), and whether it passes an empty value.
/// Passed in so that this crate needs no regular expression engine.
pub type MatcherCheck = dyn Fn(&Matcher) -> Result<bool, String>;

/// How to parse.
#[derive(Clone, Copy)]
pub struct ParseOptions<'a> {
    /// Which parts of the language are on.
    pub features: Features,
    /// Checks each matcher.
    pub check_matcher: &'a MatcherCheck,
}

impl ParseOptions<'static> {
    /// Options that do not look into regular expressions: patterns are not compiled and count as not matching the empty value.
    pub fn without_regex(features: Features) -> Self {
        Self { features, check_matcher: &literal_check }
    }
}

impl fmt::Debug for ParseOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParseOptions").field("features", &self.features).finish_non_exhaustive()
    }
}

fn literal_check(matcher: &Matcher) -> Result<bool, String> {
    Ok(match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex | MatchOp::NotRegex => false,
    })
}
