//! Line filters: those that a store can apply, and all of them for lines that it has not filtered.

use std::sync::Arc;

use go_regex::Regex;
use log_storage_api::{LineFilter, LineFilterOp, PatternPart};
use logql_syntax::{LineFilterExpr, LineFilterKind, LineMatch};

use super::ip::IpRange;
use crate::LogqlError;

/// A line filter with alternatives of every kind.
#[derive(Debug)]
pub(crate) struct CompiledLineFilter {
    negated: bool,
    any_of: Vec<LineTest>,
}

#[derive(Debug)]
enum LineTest {
    Op(LineFilterOp),
    Ip(IpRange),
}

impl CompiledLineFilter {
    pub(crate) fn new(filter: &LineFilterExpr) -> Result<Self, LogqlError> {
        let any_of = filter
            .any_of
            .iter()
            .map(|any| {
                Ok(match any {
                    LineMatch::Ip(pattern) => LineTest::Ip(IpRange::parse(pattern)?),
                    LineMatch::Text(text) => LineTest::Op(compile_op(filter.kind, text)?),
                })
            })
            .collect::<Result<_, LogqlError>>()?;
        Ok(Self { negated: filter.negated, any_of })
    }

    pub(crate) fn matches(&self, line: &str) -> bool {
        let any = self.any_of.iter().any(|test| match test {
            LineTest::Op(op) => matches_op(op, line),
            LineTest::Ip(range) => range.is_in_text(line),
        });
        any != self.negated
    }
}

/// The filter as a store understands it; `None` where it has an address to look for.
pub(crate) fn storage_filter(filter: &LineFilterExpr) -> Result<Option<LineFilter>, LogqlError> {
    let mut any_of = Vec::with_capacity(filter.any_of.len());
    for any in &filter.any_of {
        match any {
            LineMatch::Ip(_) => return Ok(None),
            LineMatch::Text(text) => any_of.push(compile_op(filter.kind, text)?),
        }
    }
    Ok(Some(LineFilter { negated: filter.negated, any_of }))
}

/// Whether the line passes one alternative.
pub(crate) fn matches_op(op: &LineFilterOp, line: &str) -> bool {
    match op {
        LineFilterOp::Contains(text) => memchr::memmem::find(line.as_bytes(), text.as_bytes()).is_some(),
        LineFilterOp::Regex(regex) => regex.is_match(line),
        LineFilterOp::Pattern(parts) => matches_pattern(parts, line),
    }
}

fn compile_op(kind: LineFilterKind, text: &str) -> Result<LineFilterOp, LogqlError> {
    Ok(match kind {
        LineFilterKind::Contains => LineFilterOp::Contains(text.into()),
        LineFilterKind::Regex => {
            let regex = Regex::new(text).map_err(|error| LogqlError::Invalid(error.to_string()))?;
            LineFilterOp::Regex(Arc::new(regex))
        }
        LineFilterKind::Pattern => LineFilterOp::Pattern(parse_pattern(text)?.into()),
    })
}

/// Reads literals with `<_>` between them.
fn parse_pattern(text: &str) -> Result<Vec<PatternPart>, LogqlError> {
    let mut parts = Vec::new();
    for piece in super::pattern::pieces(text) {
        match piece {
            super::pattern::Piece::Literal(literal) => parts.push(PatternPart::Literal(literal.into())),
            super::pattern::Piece::Capture("_") => {
                if parts.last() == Some(&PatternPart::Wildcard) {
                    return Err(LogqlError::Invalid(format!(
                        "found consecutive capture '<_>' in the line filter pattern {text:?}"
                    )));
                }
                parts.push(PatternPart::Wildcard);
            }
            super::pattern::Piece::Capture(name) => {
                return Err(LogqlError::Invalid(format!(
                    "named captures are not allowed in a line filter pattern: <{name}>"
                )));
            }
        }
    }
    Ok(parts)
}

/// Whether the parts cover the whole line, each wildcard at least one byte of it.
fn matches_pattern(parts: &[PatternPart], line: &str) -> bool {
    let mut rest = line.as_bytes();
    let mut after_wildcard = false;
    for (idx, part) in parts.iter().enumerate() {
        let PatternPart::Literal(literal) = part else {
            after_wildcard = true;
            continue;
        };
        let literal = literal.as_bytes();
        let is_last = idx + 1 == parts.len();
        match (after_wildcard, is_last) {
            (false, _) => match rest.strip_prefix(literal) {
                Some(tail) => rest = tail,
                None => return false,
            },
            // Whatever the wildcard takes, the last literal has to end the line.
            (true, true) => return rest.len() > literal.len() && rest.ends_with(literal),
            (true, false) => {
                let found = rest.get(1..).and_then(|tail| memchr::memmem::find(tail, literal));
                match found {
                    Some(at) => rest = &rest[1 + at + literal.len()..],
                    None => return false,
                }
            }
        }
        after_wildcard = false;
    }
    if after_wildcard { !rest.is_empty() } else { rest.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::{matches_pattern, parse_pattern};

    #[test]
    fn patterns_cover_the_whole_line() {
        for (pattern, line, expected) in [
            ("", "", true),
            ("", "x", false),
            ("<_>", "x", true),
            ("<_>", "", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a <_> b", "a x b", true),
            ("a <_> b", "a  b", false),
            ("a <_> b", "a x b b", true),
            ("a <_> b", "a x bc", false),
            ("<_>b<_>", "abc", true),
            ("<_>b<_>", "bc", false),
            ("<_>b<_>", "ab", false),
            ("<_>b", "bb", true),
            ("<_>ab<_>ab", "xabyab", true),
            ("<_>ab<_>ab", "xabab", false),
            ("<_", "<_", true),
        ] {
            let parts = parse_pattern(pattern).expect(pattern);
            assert_eq!(matches_pattern(&parts, line), expected, "{pattern:?} on {line:?}");
        }
        assert!(parse_pattern("<_><_>").is_err() && parse_pattern("<name>").is_err());
    }
}
