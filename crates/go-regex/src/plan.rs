//! The cheapest way to answer an anchored pattern.

use std::collections::HashSet;

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::literals;

/// Up to this many alternatives are compared one by one.
const SCAN_MAX: usize = 8;

/// How to tell whether a value matches without running the pattern. Only the pattern's own meaning is kept in it.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// `.*`
    Any,
    /// `.+`
    NonEmpty,
    /// One of a few texts.
    OneOf(Vec<String>),
    /// One of many texts.
    Among(HashSet<String>),
    /// `prefix.*suffix`, with at least `gap` characters between (0 or 1).
    Around { prefix: String, suffix: String, gap: usize },
    /// `.*text.*`
    Contains(Box<Finder<'static>>),
    /// The pattern itself.
    Regex,
}

impl Plan {
    /// The plan for a pattern in the regex crate's syntax, `.` matching newlines.
    pub(crate) fn of(hir: &Hir) -> Self {
        if let Some(texts) = literals::exact(hir) {
            return if texts.len() <= SCAN_MAX {
                Self::OneOf(texts)
            } else {
                Self::Among(texts.into_iter().collect())
            };
        }
        let mut parts = Vec::new();
        if flatten(hir, &mut parts).is_none() {
            return Self::Regex;
        }
        match parts.as_slice() {
            [Part::AnyText { min: 0 }] => Self::Any,
            [Part::AnyText { min: 1 }] => Self::NonEmpty,
            [Part::Text(prefix), Part::AnyText { min }] => Self::around(prefix, "", *min),
            [Part::AnyText { min }, Part::Text(suffix)] => Self::around("", suffix, *min),
            [Part::Text(prefix), Part::AnyText { min }, Part::Text(suffix)] => {
                Self::around(prefix, suffix, *min)
            }
            [Part::AnyText { min: 0 }, Part::Text(text), Part::AnyText { min: 0 }] => {
                Self::Contains(Box::new(Finder::new(text).into_owned()))
            }
            _ => Self::Regex,
        }
    }

    fn around(prefix: &str, suffix: &str, gap: usize) -> Self {
        Self::Around { prefix: prefix.to_owned(), suffix: suffix.to_owned(), gap }
    }

    /// Whether the value matches; `None` where the pattern itself has to say.
    pub(crate) fn is_match(&self, value: &str) -> Option<bool> {
        Some(match self {
            Self::Any => true,
            Self::NonEmpty => !value.is_empty(),
            Self::OneOf(texts) => texts.iter().any(|text| text == value),
            Self::Among(texts) => texts.contains(value),
            Self::Around { prefix, suffix, gap } => {
                value.len() >= prefix.len() + suffix.len() + gap
                    && value.starts_with(prefix.as_str())
                    && value.ends_with(suffix.as_str())
            }
            Self::Contains(finder) => finder.find(value.as_bytes()).is_some(),
            Self::Regex => return None,
        })
    }
}

enum Part {
    Text(String),
    /// Any characters, at least `min` (0 or 1).
    AnyText {
        min: usize,
    },
}

/// The pattern as literal texts and runs of any characters; `None` where it has anything else.
fn flatten(hir: &Hir, parts: &mut Vec<Part>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            match parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(text),
                _ => parts.push(Part::Text(text.to_owned())),
            }
        }
        HirKind::Capture(capture) => flatten(&capture.sub, parts)?,
        HirKind::Concat(inner) => {
            for part in inner {
                flatten(part, parts)?;
            }
        }
        HirKind::Repetition(repetition) => {
            let any = matches!(repetition.sub.kind(), HirKind::Class(Class::Unicode(class)) if is_any(class));
            if !any || repetition.max.is_some() || repetition.min > 1 {
                return None;
            }
            let min = repetition.min as usize;
            match parts.last_mut() {
                Some(Part::AnyText { min: before }) if *before + min <= 1 => *before += min,
                Some(Part::AnyText { .. }) => return None,
                _ => parts.push(Part::AnyText { min }),
            }
        }
        HirKind::Class(_) | HirKind::Look(_) | HirKind::Alternation(_) => return None,
    }
    Some(())
}

fn is_any(class: &regex_syntax::hir::ClassUnicode) -> bool {
    matches!(class.ranges(), [range] if range.start() == '\0' && range.end() == char::MAX)
}
