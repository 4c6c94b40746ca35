//! Patterns of lines: the store's templates, put together where they differ in few words.
//!
//! A pattern is what `|>` takes: text with `<_>` for one byte or more, covering the whole line. Templates of the store already
//! have a mark in place of numbers; what else varies (names, paths, words) is found by comparing templates word by word, the
//! most frequent first, and putting a mark where like ones differ.

use std::collections::BTreeMap;

use log_store::TemplateCount;

/// Stands for what varies.
const MARK: &str = "<_>";
/// The most patterns of an answer.
const PATTERNS_MAX: usize = 300;
/// Words beyond these stand as one.
const WORDS_MAX: usize = 120;
/// The share of words that like templates have in common, in percent.
const ALIKE_PERCENT: usize = 60;

/// Lines of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    pub(crate) level: String,
    /// The buckets that have lines, in order, with how many.
    pub(crate) counts: Vec<(u32, u64)>,
}

struct Cluster {
    words: Vec<String>,
    counts: BTreeMap<u32, u64>,
    total: u64,
}

/// Puts like templates together; the most frequent patterns come first.
pub(crate) fn patterns(mut templates: Vec<TemplateCount>) -> Vec<Pattern> {
    let total = |counts: &[(u32, u64)]| counts.iter().map(|(_, count)| count).sum::<u64>();
    templates.sort_by_cached_key(|template| {
        (std::cmp::Reverse(total(&template.counts)), template.text(MARK), template.value.clone())
    });
    // Only templates of one level and of one length are compared.
    let mut groups: BTreeMap<(String, usize), Vec<Cluster>> = BTreeMap::new();
    let mut count = 0;
    for template in templates {
        let text = template.text(MARK);
        let words: Vec<String> = words(&text).map(str::to_owned).collect();
        let clusters = groups.entry((template.value.clone(), words.len())).or_default();
        let best = clusters
            .iter_mut()
            .map(|cluster| (alike(&cluster.words, &words), cluster))
            .max_by_key(|(alike, _)| *alike)
            .filter(|(alike, _)| alike * 100 >= words.len() * ALIKE_PERCENT);
        let cluster = match best {
            Some((_, cluster)) => cluster,
            None if count >= PATTERNS_MAX => continue,
            None => {
                count += 1;
                clusters.push(Cluster { words: words.clone(), counts: BTreeMap::new(), total: 0 });
                let Some(cluster) = clusters.last_mut() else { continue };
                cluster
            }
        };
        for (own, other) in cluster.words.iter_mut().zip(&words) {
            if own != other {
                *own = merged(own, other);
            }
        }
        cluster.total += total(&template.counts);
        for (bucket, count) in template.counts {
            *cluster.counts.entry(bucket).or_default() += count;
        }
    }
    let mut found: Vec<(u64, Pattern)> = Vec::with_capacity(count);
    for ((level, _), clusters) in groups {
        for cluster in clusters {
            let text = joined(&cluster.words.concat());
            let counts = cluster.counts.into_iter().collect();
            found.push((cluster.total, Pattern { text, level: level.clone(), counts }));
        }
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.text.cmp(&b.1.text)));
    found.into_iter().map(|(_, pattern)| pattern).collect()
}

/// The words of a template, each with what stands behind it up to the next one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| matches!(c, ' ' | '\t' | ',' | '=' | ':' | '&' | ';' | '|');
    text.split_inclusive(ends).take(WORDS_MAX - 1).chain({
        let rest = text.split_inclusive(ends).take(WORDS_MAX - 1).map(str::len).sum::<usize>();
        Some(&text[rest..]).filter(|rest| !rest.is_empty())
    })
}

/// How many words are the same.
fn alike(a: &[String], b: &[String]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

/// A word that stands for two: what they have in common at both ends, as far as the marks between words go.
fn merged(a: &str, b: &str) -> String {
    let is_border = |c: &char| !c.is_alphanumeric() && !matches!(c, '<' | '_' | '>');
    let (mut prefix, mut at) = (0, 0);
    for (x, y) in a.chars().zip(b.chars()) {
        if x != y {
            break;
        }
        at += x.len_utf8();
        if is_border(&x) {
            prefix = at;
        }
    }
    let (mut suffix, mut at) = (0, 0);
    for (x, y) in a[prefix..].chars().rev().zip(b[prefix..].chars().rev()) {
        if x != y {
            break;
        }
        at += x.len_utf8();
        if is_border(&x) {
            suffix = at;
        }
    }
    let shorter = a.len().min(b.len());
    // The mark stands for one byte at least, in both.
    if prefix + suffix >= shorter {
        suffix = 0;
        if prefix >= shorter {
            return MARK.to_owned();
        }
    }
    [&a[..prefix], MARK, &a[a.len() - suffix..]].concat()
}

/// Marks that follow each other are one.
fn joined(text: &str) -> String {
    let twice = [MARK, MARK].concat();
    let mut text = text.to_owned();
    while text.contains(&twice) {
        text = text.replace(&twice, MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_differ_become_marks() {
        for (a, b, expected) in [
            ("alice ", "bob ", "<_> "),
            ("\"info\",", "\"warn\",", "\"<_>\","),
            ("/api/users/<_>/", "/api/orders/<_>/", "/api/<_>/<_>/"),
            ("<_>ms", "<_>s", "<_>"),
            ("a", "", "<_>"),
            ("x.y.z", "x.z", "x.<_>"),
            ("(<_>)", "(none)", "(<_>)"),
            ("é-a", "é-b", "é-<_>"),
        ] {
            assert_eq!(merged(a, b), expected, "{a} {b}");
            assert_eq!(merged(b, a), expected, "{b} {a}");
        }
        assert_eq!(joined("a<_><_><_>b<_>"), "a<_>b<_>");
        let long = "w ".repeat(500);
        assert_eq!(words(&long).count(), WORDS_MAX);
        assert_eq!(words(&long).collect::<String>(), long);
    }
}
