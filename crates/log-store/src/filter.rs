//! Line filters made ready for use: on whole lines, and on templates before any line is put together.

mod needle;

use std::sync::Arc;

use go_regex::Regex;
use hashbrown::HashMap;
use log_storage_api::{LineFilter, LineFilterOp, PatternPart};
use memchr::memmem::Finder;
use parking_lot::RwLock;

use crate::block::lines::Shape;

pub(crate) use needle::{Needle, Verdict};

/// Verdicts on so many templates are kept for a query.
const PLANS_MAX: usize = 100_000;

/// Filters that all have to hold.
#[derive(Debug, Default)]
pub(crate) struct LineFilters {
    filters: Vec<Filter>,
    /// All literals that the filters look for.
    needles: Vec<Needle>,
    /// What the filters say of a template, by its shape: blocks share them.
    plans: RwLock<HashMap<u64, TemplatePlan>>,
}

#[derive(Debug)]
struct Filter {
    negated: bool,
    any_of: Vec<FilterOp>,
}

#[derive(Debug)]
enum FilterOp {
    /// With the index of its needle.
    Contains(Box<Finder<'static>>, usize),
    /// With needles of which every match contains one, where they are known.
    Regex(Arc<Regex>, Option<Vec<usize>>),
    /// With its longest literal.
    Pattern(Arc<[PatternPart]>, Option<Vec<usize>>),
}

/// What filters say of all lines of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplatePlan {
    /// No line passes.
    None,
    /// Every line passes.
    All,
    /// Lines have to be looked at: those that may contain at least one needle of each group.
    Check(Arc<[Vec<usize>]>),
}

impl LineFilters {
    pub(crate) fn new(filters: &[LineFilter]) -> Self {
        let mut made = Self::default();
        for filter in filters {
            let any_of = filter.any_of.iter().map(|op| made.op(op)).collect();
            made.filters.push(Filter { negated: filter.negated, any_of });
        }
        made
    }

    fn op(&mut self, op: &LineFilterOp) -> FilterOp {
        match op {
            LineFilterOp::Contains(text) => {
                let finder = Box::new(Finder::new(text.as_bytes()).into_owned());
                FilterOp::Contains(finder, self.needle(text))
            }
            LineFilterOp::Regex(regex) => {
                let literals = regex.required_literals();
                let needles = literals.map(|texts| texts.iter().map(|text| self.needle(text)).collect());
                FilterOp::Regex(Arc::clone(regex), needles)
            }
            LineFilterOp::Pattern(parts) => {
                let literal = |part: &PatternPart| match part {
                    PatternPart::Literal(text) => Some(Arc::clone(text)),
                    PatternPart::Wildcard => None,
                };
                let longest = parts.iter().filter_map(literal).max_by_key(|text| text.len());
                let needles = longest.map(|text| vec![self.needle(&text)]);
                FilterOp::Pattern(Arc::clone(parts), needles)
            }
        }
    }

    fn needle(&mut self, text: &str) -> usize {
        self.needles.push(Needle::new(text.as_bytes()));
        self.needles.len() - 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    pub(crate) fn needles(&self) -> &[Needle] {
        &self.needles
    }

    pub(crate) fn matches(&self, line: &str) -> bool {
        self.filters.iter().all(|filter| filter.matches(line))
    }

    /// What the filters say of the lines of templates.
    pub(crate) fn plans<'s>(&self, shapes: impl Iterator<Item = &'s Shape> + Clone) -> Vec<TemplatePlan> {
        let known: Vec<Option<TemplatePlan>> = {
            let plans = self.plans.read();
            shapes.clone().map(|shape| plans.get(&shape.id).cloned()).collect()
        };
        let mut new = Vec::new();
        let each = known.into_iter().zip(shapes).map(|(known, shape)| {
            known.unwrap_or_else(|| {
                let plan = self.make_plan(&shape.key);
                new.push((shape.id, plan.clone()));
                plan
            })
        });
        let found = each.collect();
        if !new.is_empty() {
            let mut plans = self.plans.write();
            let room = PLANS_MAX.saturating_sub(plans.len());
            plans.extend(new.into_iter().take(room));
        }
        found
    }

    fn make_plan(&self, key: &[u8]) -> TemplatePlan {
        // A template without slots is the line itself: its key is text.
        if let Ok(line) = std::str::from_utf8(key) {
            return if self.matches(line) { TemplatePlan::All } else { TemplatePlan::None };
        }
        let verdicts: Vec<Verdict> = self.needles.iter().map(|needle| needle.verdict(key)).collect();
        let mut groups = Vec::new();
        let mut checked = false;
        for filter in &self.filters {
            match filter.plan(&verdicts) {
                TemplatePlan::None => return TemplatePlan::None,
                TemplatePlan::All => {}
                TemplatePlan::Check(of_filter) => {
                    checked = true;
                    groups.extend(of_filter.iter().cloned());
                }
            }
        }
        if checked { TemplatePlan::Check(groups.into()) } else { TemplatePlan::All }
    }
}

impl Filter {
    fn matches(&self, line: &str) -> bool {
        self.any_of.iter().any(|op| op.matches(line)) != self.negated
    }

    fn plan(&self, verdicts: &[Verdict]) -> TemplatePlan {
        let mut group = Some(Vec::new());
        let mut possible = false;
        for op in &self.any_of {
            match op.plan(verdicts) {
                TemplatePlan::All if self.negated => return TemplatePlan::None,
                TemplatePlan::All => return TemplatePlan::All,
                TemplatePlan::None => {}
                TemplatePlan::Check(groups) => {
                    possible = true;
                    // Without needles any line may match, so that those of other alternatives do not help.
                    group = group.zip(groups.first().cloned()).map(|(mut all, more)| {
                        all.extend(more);
                        all
                    });
                }
            }
        }
        match (possible, self.negated) {
            (false, false) => TemplatePlan::None,
            (false, true) => TemplatePlan::All,
            (true, false) => TemplatePlan::Check(group.into_iter().collect()),
            (true, true) => TemplatePlan::Check(Arc::default()),
        }
    }
}

impl FilterOp {
    fn matches(&self, line: &str) -> bool {
        match self {
            Self::Contains(finder, _) => finder.find(line.as_bytes()).is_some(),
            Self::Regex(regex, _) => regex.is_match(line),
            Self::Pattern(parts, _) => pattern_matches(parts, line),
        }
    }

    fn plan(&self, verdicts: &[Verdict]) -> TemplatePlan {
        let needles = match self {
            Self::Contains(_, needle) if verdicts[*needle] == Verdict::Always => return TemplatePlan::All,
            Self::Contains(_, needle) => std::slice::from_ref(needle),
            Self::Regex(_, Some(needles)) | Self::Pattern(_, Some(needles)) => needles,
            Self::Regex(_, None) | Self::Pattern(_, None) => return TemplatePlan::Check(Arc::default()),
        };
        let possible: Vec<usize> =
            needles.iter().copied().filter(|needle| verdicts[*needle] != Verdict::Never).collect();
        if possible.is_empty() {
            return TemplatePlan::None;
        }
        if possible.iter().any(|needle| verdicts[*needle] == Verdict::Always) {
            return TemplatePlan::Check(Arc::default());
        }
        TemplatePlan::Check(Arc::new([possible]))
    }
}

/// Whether the pattern covers the whole line. Wildcards are lazy, which finds a cover wherever there is one: taking the
/// first place for a literal never leaves less room for those behind it; the last literal is held against the end.
fn pattern_matches(parts: &[PatternPart], line: &str) -> bool {
    let mut rest = line.as_bytes();
    let mut gap = false;
    for (idx, part) in parts.iter().enumerate() {
        let PatternPart::Literal(text) = part else {
            gap = true;
            continue;
        };
        let text = text.as_bytes();
        let at = match (gap, idx + 1 == parts.len()) {
            (false, false) => rest.starts_with(text).then_some(0),
            (false, true) => (rest == text).then_some(0),
            (true, true) => rest.len().checked_sub(text.len()).filter(|at| *at >= 1 && rest.ends_with(text)),
            (true, false) => rest.get(1..).and_then(|rest| memchr::memmem::find(rest, text)).map(|at| at + 1),
        };
        let Some(at) = at else { return false };
        rest = &rest[at + text.len()..];
        gap = false;
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
