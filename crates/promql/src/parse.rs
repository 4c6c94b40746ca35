//! Parsing with regular expressions checked.

use go_regex::CompiledMatcher;
use model::Matcher;
use promql_syntax::{Expr, Features, ParseError, ParseOptions};

/// Parses and checks an expression, patterns of its matchers included.
pub fn parse(text: &str, features: Features) -> Result<Expr, ParseError> {
    promql_syntax::parse_expr(text, &options(features))
}

/// Parses the matchers of a selector such as `up{job="x"}`, patterns included.
pub fn parse_selector(text: &str, features: Features) -> Result<Vec<Matcher>, ParseError> {
    promql_syntax::parse_metric_selector(text, &options(features))
}

fn options(features: Features) -> ParseOptions<'static> {
    ParseOptions { features, check_matcher: &check_matcher }
}

fn check_matcher(matcher: &Matcher) -> Result<bool, String> {
    // A matcher is cloned once for each selector of a query: nothing beside compiling its pattern.
    CompiledMatcher::new(matcher.clone())
        .map(|compiled| compiled.matches_empty())
        .map_err(|error| error.to_string())
}
