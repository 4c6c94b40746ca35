//! How well a value fits what was typed: 1 is exactly or from its start on, 0 not at all.

/// How terms are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// The term's characters come in the value in their order.
    Subsequence,
    /// The term is in the value, or resembles it as a whole.
    JaroWinkler,
}

/// A match that is not the whole value stays below 1.
const PARTIAL_SCALE: f64 = 0.999;
/// What the last possible place of a term is worth less than the first.
const PLACE_SPAN: f64 = 0.9;
/// What each common character at the start is worth, and how many count.
const PREFIX_WEIGHT: f64 = 0.1;
const PREFIX_MAX: usize = 4;

/// Terms of which one has to fit.
#[derive(Debug)]
pub(super) struct Terms {
    terms: Vec<Vec<char>>,
    algorithm: Algorithm,
    threshold: f64,
    case_sensitive: bool,
}

impl Terms {
    /// Empty terms are left out; without any, everything fits.
    pub(super) fn new(texts: &[&str], algorithm: Algorithm, threshold: f64, case_sensitive: bool) -> Self {
        let folded = |text: &&str| if case_sensitive { (*text).to_owned() } else { text.to_lowercase() };
        let terms = texts.iter().filter(|text| !text.is_empty());
        let terms = terms.map(|text| folded(text).chars().collect()).collect();
        Self { terms, algorithm, threshold, case_sensitive }
    }

    /// The best term's score; `None` where none fits.
    pub(super) fn score(&self, value: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let value: Vec<char> = if self.case_sensitive {
            value.chars().collect()
        } else {
            value.to_lowercase().chars().collect()
        };
        let scores = self.terms.iter().filter_map(|term| self.one(term, &value));
        scores.max_by(f64::total_cmp)
    }

    fn one(&self, term: &[char], value: &[char]) -> Option<f64> {
        if value.starts_with(term) {
            return Some(1.0);
        }
        let above = |score: f64| (score > 0.0 && score >= self.threshold).then_some(score);
        match self.algorithm {
            Algorithm::Subsequence => above(subsequence(term, value)),
            Algorithm::JaroWinkler => match place(term, value) {
                Some(at) => {
                    let last = (value.len() - term.len()).max(1);
                    Some(1.0 - PLACE_SPAN * at as f64 / last as f64)
                }
                None if self.threshold > 0.0 => above(jaro_winkler(term, value)),
                None => None,
            },
        }
    }
}

/// Where a term is in a value.
fn place(term: &[char], value: &[char]) -> Option<usize> {
    value.windows(term.len()).position(|window| window == term)
}

/// Long runs count (by the square of their length), gaps cost; the best start wins. 0 where a character is missing.
fn subsequence(term: &[char], value: &[char]) -> f64 {
    if term == value {
        return 1.0;
    }
    let Some(last_start) = value.len().checked_sub(term.len()) else { return 0.0 };
    let mut best = 0.0f64;
    for start in (0..=last_start).filter(|start| value[*start] == term[0]) {
        match runs_from(term, value, start) {
            Some(score) => best = best.max(score),
            // From further right there is even less to find.
            None => break,
        }
    }
    let most = (term.len() * term.len()) as f64;
    best.max(0.0) / most * PARTIAL_SCALE
}

/// The score of the first way to find a term's characters from `start` on, where its first one is.
fn runs_from(term: &[char], value: &[char], start: usize) -> Option<f64> {
    let len = value.len() as f64;
    let (mut score, mut at, mut found, mut run_end) = (0.0, start, 0, 0);
    while found < term.len() {
        let from = at + value.get(at..)?.iter().position(|c| *c == term[found])?;
        let run = value[from..].iter().zip(&term[found..]).take_while(|(a, b)| a == b).count();
        score += (run * run) as f64 - (from - run_end) as f64 / len;
        found += run;
        at = from + run;
        run_end = at;
    }
    // What follows costs half as much as what is between.
    Some(score - (value.len() - run_end) as f64 / len * 0.5)
}

/// The similarity of Jaro, raised for a common start (Winkler).
fn jaro_winkler(a: &[char], b: &[char]) -> f64 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return 0.0;
    }
    let reach = (long.len() / 2).saturating_sub(1);
    let mut taken = vec![false; long.len()];
    let mut matched = Vec::new();
    for (idx, wanted) in short.iter().enumerate() {
        let near = idx.saturating_sub(reach)..(idx + reach + 1).min(long.len());
        if let Some(at) = near.into_iter().find(|at| !taken[*at] && long[*at] == *wanted) {
            taken[at] = true;
            matched.push(*wanted);
        }
    }
    if matched.is_empty() {
        return 0.0;
    }
    let in_long = long.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| c);
    let swapped = matched.iter().zip(in_long).filter(|(a, b)| a != b).count() as f64 / 2.0;
    let matches = matched.len() as f64;
    let jaro =
        (matches / short.len() as f64 + matches / long.len() as f64 + (matches - swapped) / matches) / 3.0;
    let prefix = short.iter().zip(long).take(PREFIX_MAX).take_while(|(a, b)| a == b).count() as f64;
    jaro + prefix * PREFIX_WEIGHT * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_place_and_order() {
        use Algorithm::{JaroWinkler, Subsequence};
        for (algorithm, threshold, term, value, expected) in [
            (Subsequence, 0.0, "node", "node_load1", Some(1.0)),
            (Subsequence, 0.0, "abc", "abc", Some(1.0)),
            (Subsequence, 0.0, "ac", "abc", Some((2.0 - 1.0 / 3.0) / 4.0 * 0.999)),
            (Subsequence, 0.0, "load", "node_load", Some((16.0 - 5.0 / 9.0) / 16.0 * 0.999)),
            // The second way is the better one.
            (Subsequence, 0.0, "ab", "xaxab", Some((4.0 - 3.0 / 5.0) / 4.0 * 0.999)),
            (Subsequence, 0.0, "ca", "abc", None),
            (Subsequence, 0.0, "abcd", "abc", None),
            (Subsequence, 0.9, "ac", "abc", None),
            (JaroWinkler, 0.0, "node", "node_load1", Some(1.0)),
            (JaroWinkler, 0.0, "load", "node_load", Some(0.1)),
            (JaroWinkler, 0.0, "laod", "node_load", None),
            (JaroWinkler, 0.5, "martha", "marhta", Some(0.961_111_111_111)),
            (JaroWinkler, 0.5, "dixon", "dicksonx", Some(0.813_333_333_333)),
            (JaroWinkler, 0.9, "dixon", "dicksonx", None),
            (Subsequence, 0.0, "é", "xé", Some((1.0 - 0.5) * 0.999)),
        ] {
            let found = Terms::new(&[term], algorithm, threshold, true).score(value);
            let same = match (found, expected) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            assert!(same, "{algorithm:?} {threshold} {term} {value}: {found:?}");
        }
    }

    #[test]
    fn any_term_will_do_and_case_may_be_ignored() {
        let terms = Terms::new(&["", "X", "load"], Algorithm::Subsequence, 0.0, false);
        assert_eq!(terms.score("Load1"), Some(1.0));
        assert_eq!(terms.score("zzz"), None);
        assert_eq!(Terms::new(&[""], Algorithm::Subsequence, 0.0, true).score("zzz"), Some(1.0));
        assert_eq!(Terms::new(&["LOAD"], Algorithm::Subsequence, 0.0, true).score("load"), None);
    }
}
