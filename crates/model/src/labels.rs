//! A label set: sorted, unique names, shared by reference count.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Quoted;

/// The label that holds a series' metric name.
pub const METRIC_NAME_LABEL: &str = "__name__";
/// The label that holds the upper bound of a classic histogram's bucket.
pub const BUCKET_LABEL: &str = "le";
/// The label that holds the quantile of a summary.
pub const QUANTILE_LABEL: &str = "quantile";

/// An immutable label set. Names are unique and in byte order; empty values are never stored.
/// Cloning copies a reference. Ordering is Prometheus': pair by pair, the shorter set first.
#[derive(Clone)]
pub struct Labels(Arc<Packed>);

/// All names and values in one string; `ends` holds, per pair, where its name and its value end.
#[derive(Default)]
struct Packed {
    text: Box<str>,
    ends: Box<[(u32, u32)]>,
}

/// What most sets take.
const USUAL_TEXT_BYTES: usize = 384;
const USUAL_PAIRS: usize = 16;

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        Self(Arc::new(Packed::default()))
    }

    /// Builds a set from pairs in any order; the last value of a repeated name wins, empty values are left out.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that are already sorted by name, unique and without empty values.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // Room for a usual set: cut to size at the end, which is cheaper than growing to it.
        let mut text = String::with_capacity(USUAL_TEXT_BYTES);
        let mut ends = Vec::with_capacity(USUAL_PAIRS);
        for (name, value) in pairs {
            text.push_str(name);
            let name_end = text.len() as u32;
            text.push_str(value);
            ends.push((name_end, text.len() as u32));
        }
        let labels = Self(Arc::new(Packed { text: text.into(), ends: ends.into() }));
        debug_assert!(labels.iter().is_sorted_by(|a, b| a.0 < b.0), "label names must be sorted and unique");
        labels
    }

    /// The number of pairs.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is no pair.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// The value of `name`, if the set has it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            let (found, value) = self.pair(middle);
            match found.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(value),
            }
        }
        None
    }

    /// The value of `name`, or the empty string: what PromQL and LogQL compare a missing label with.
    #[inline]
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric name, or the empty string.
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME_LABEL)
    }

    /// All pairs in order of name.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + DoubleEndedIterator + Clone {
        (0..self.len()).map(|idx| self.pair(idx))
    }

    /// The pairs whose name `keep` accepts.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| keep(name)))
    }

    /// The set without the metric name.
    pub fn without_metric_name(&self) -> Self {
        if self.get(METRIC_NAME_LABEL).is_none() {
            return self.clone();
        }
        self.retain(|name| name != METRIC_NAME_LABEL)
    }

    /// The heap bytes that the set holds, for memory budgets.
    pub fn heap_bytes(&self) -> usize {
        self.0.text.len() + self.0.ends.len() * 8 + 48
    }

    #[inline]
    fn pair(&self, idx: usize) -> (&str, &str) {
        let (name_end, value_end) = self.0.ends[idx];
        let start = if idx == 0 { 0 } else { self.0.ends[idx - 1].1 };
        (&self.0.text[start as usize..name_end as usize], &self.0.text[name_end as usize..value_end as usize])
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
        self.0.ends.hash(state);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.iter().cmp(other.iter())
    }
}

/// Writes the set as PromQL shows it: `name{a="b", c="d"}`, with names quoted where they need it.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare_name = !name.is_empty() && is_legacy_metric_name(name);
        if bare_name {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut separator = "";
        if !name.is_empty() && !bare_name {
            write!(f, "{}", Quoted(name))?;
            separator = ", ";
        }
        for (label, value) in self.iter().filter(|(label, _)| *label != METRIC_NAME_LABEL) {
            if is_legacy_label_name(label) {
                write!(f, "{separator}{label}={}", Quoted(value))?;
            } else {
                write!(f, "{separator}{}={}", Quoted(label), Quoted(value))?;
            }
            separator = ", ";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` may stand unquoted as a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| matches!(b, b'_' | b':') || b.is_ascii_alphabetic())
        && bytes.all(|b| matches!(b, b'_' | b':') || b.is_ascii_alphanumeric())
}

/// Collects and edits pairs, then makes a [`Labels`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder that starts with the pairs of `labels`.
    pub fn from_labels(labels: &Labels) -> Self {
        Self { pairs: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Sets `name` to `value`; an empty value removes the name.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|pair| pair.0.as_str().cmp(name)) {
            Ok(idx) if value.is_empty() => drop(self.pairs.remove(idx)),
            Ok(idx) => value.clone_into(&mut self.pairs[idx].1),
            Err(_) if value.is_empty() => {}
            Err(idx) => self.pairs.insert(idx, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The value of `name`, if set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let idx = self.pairs.binary_search_by(|pair| pair.0.as_str().cmp(name)).ok()?;
        Some(&self.pairs[idx].1)
    }

    /// The pairs so far, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Keeps the pairs that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|(name, value)| keep(name, value));
        self
    }

    /// Makes the label set; the builder can be used on.
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("a", "3"), ("__name__", "up")]);
        assert_eq!(labels.to_string(), r#"up{a="3", b="2"}"#);
        assert_eq!((labels.get("c"), labels.get("b"), labels.value("zz")), (None, Some("2"), ""));
    }

    #[test]
    fn order_is_pair_by_pair_and_shorter_first() {
        let set = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert!(set(&[]) < set(&[("a", "1")]));
        assert!(set(&[("a", "1")]) < set(&[("a", "1"), ("b", "1")]));
        assert!(set(&[("a", "1"), ("c", "1")]) < set(&[("a", "2")]));
        assert_ne!(set(&[("ab", "c")]), set(&[("a", "bc")]));
    }

    #[test]
    fn names_outside_the_legacy_set_are_quoted() {
        let labels = Labels::from_pairs([("__name__", "my metric"), ("a.b", "x\"y")]);
        assert_eq!(labels.to_string(), r#"{"my metric", "a.b"="x\"y"}"#);
        let labels = Labels::from_pairs([("a", "tab\t bell\u{7} delete\u{7f} ä \u{200b}'")]);
        assert_eq!(labels.to_string(), r#"{a="tab\t bell\a delete\x7f ä \u200b'"}"#);
    }
}
