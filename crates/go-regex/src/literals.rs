//! What a pattern says about the literal text of its matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The most strings that a set of alternatives may have.
const ALTERNATIVES_MAX: usize = 256;
/// The longest string that is built from parts.
const LITERAL_BYTES_MAX: usize = 1024;

/// The tree of a pattern in the regex crate's syntax.
pub(crate) fn parse(translated: &str) -> Option<Hir> {
    regex_syntax::Parser::new().parse(translated).ok()
}

/// All texts that the tree matches, where they are few and known.
pub(crate) fn exact(hir: &Hir) -> Option<Vec<String>> {
    let mut texts = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).ok()?],
        HirKind::Class(Class::Unicode(class)) => {
            let count: u32 = class.iter().map(|range| range.len() as u32).sum();
            if count as usize > ALTERNATIVES_MAX {
                return None;
            }
            class.iter().flat_map(|range| range.start()..=range.end()).map(String::from).collect()
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => {
            let inner = exact(&repetition.sub)?;
            match (repetition.min, repetition.max) {
                (0, Some(1)) => inner.into_iter().chain([String::new()]).collect(),
                (min, Some(max)) if min == max && min <= 16 => {
                    let mut texts = vec![String::new()];
                    for _ in 0..min {
                        texts = product(&texts, &inner)?;
                    }
                    texts
                }
                _ => return None,
            }
        }
        HirKind::Capture(capture) => exact(&capture.sub)?,
        HirKind::Concat(parts) => {
            let mut texts = vec![String::new()];
            for part in parts {
                texts = product(&texts, &exact(part)?)?;
            }
            texts
        }
        HirKind::Alternation(branches) => {
            let mut texts = Vec::new();
            for branch in branches {
                texts.extend(exact(branch)?);
                if texts.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            texts
        }
    };
    let mut seen = std::collections::HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    Some(texts)
}

fn product(heads: &[String], tails: &[String]) -> Option<Vec<String>> {
    if heads.len() * tails.len() > ALTERNATIVES_MAX {
        return None;
    }
    let texts: Vec<String> =
        heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
    texts.iter().all(|text| text.len() <= LITERAL_BYTES_MAX).then_some(texts)
}

/// Texts of which every match contains at least one.
pub(crate) fn required(hir: &Hir) -> Option<Vec<String>> {
    best(candidates(hir)).filter(|texts| texts.iter().all(|text| !text.is_empty()))
}

/// Sets of texts; a match contains at least one of each set.
fn candidates(hir: &Hir) -> Vec<Vec<String>> {
    if let Some(texts) = exact(hir) {
        return vec![texts];
    }
    match hir.kind() {
        HirKind::Capture(capture) => candidates(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => candidates(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut sets = Vec::new();
            // Neighbours whose texts are known are one text.
            let mut run: Option<Vec<String>> = None;
            for part in parts {
                match exact(part) {
                    Some(texts) => {
                        run = match run.take() {
                            None => Some(texts),
                            Some(heads) => product(&heads, &texts).or_else(|| {
                                sets.push(heads);
                                Some(texts)
                            }),
                        };
                    }
                    None => {
                        sets.extend(run.take());
                        sets.extend(candidates(part));
                    }
                }
            }
            sets.extend(run);
            sets
        }
        HirKind::Alternation(branches) => {
            let mut union = Vec::new();
            for branch in branches {
                match best(candidates(branch)) {
                    Some(texts) => union.extend(texts),
                    None => return Vec::new(),
                }
                if union.len() > ALTERNATIVES_MAX {
                    return Vec::new();
                }
            }
            vec![union]
        }
        HirKind::Empty
        | HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_) => Vec::new(),
    }
}

/// The set whose shortest text is the longest; of equals the smaller set.
fn best(sets: Vec<Vec<String>>) -> Option<Vec<String>> {
    let shortest = |texts: &Vec<String>| texts.iter().map(String::len).min().unwrap_or(0);
    sets.into_iter().max_by_key(|texts| (shortest(texts), std::cmp::Reverse(texts.len())))
}

/// The text that every match starts with, and whether it is the whole match.
pub(crate) fn prefix(hir: &Hir) -> (String, bool) {
    match hir.kind() {
        HirKind::Empty => (String::new(), true),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => (String::new(), false),
        },
        HirKind::Look(regex_syntax::hir::Look::Start) => (String::new(), true),
        HirKind::Class(_) | HirKind::Look(_) => (String::new(), false),
        HirKind::Capture(capture) => prefix(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            let (text, whole) = prefix(&repetition.sub);
            (text, whole && repetition.min == 1 && repetition.max == Some(1))
        }
        HirKind::Repetition(_) => (String::new(), false),
        HirKind::Concat(parts) => {
            let mut text = String::new();
            for part in parts {
                let (more, whole) = prefix(part);
                text.push_str(&more);
                if !whole {
                    return (text, false);
                }
            }
            (text, true)
        }
        HirKind::Alternation(branches) => {
            let mut common: Option<String> = None;
            for branch in branches {
                let (text, _) = prefix(branch);
                common = Some(match common {
                    None => text,
                    Some(before) => {
                        before.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
                    }
                });
            }
            (common.unwrap_or_default(), false)
        }
    }
}
