//! Go's regular expressions.

use std::fmt;
use std::sync::Arc;

use crate::literals;
use crate::translate::translate;
use crate::{Captures, RegexError};

/// The most bytes that a compiled pattern may take.
const PROGRAM_BYTES_MAX: usize = 10 << 20;

/// A compiled pattern with Go's meaning. Cheap to clone.
#[derive(Clone)]
pub struct Regex {
    pattern: Arc<str>,
    inner: regex::Regex,
}

impl Regex {
    /// Compiles a pattern that may match anywhere in a text (Go's `regexp.Compile`).
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let translated = translate(pattern)?;
        Self::compile(pattern, &translated)
    }

    /// Compiles a pattern that has to cover the whole text, with `.` matching newlines: Prometheus' label matchers.
    pub fn anchored(pattern: &str) -> Result<Self, RegexError> {
        // Translated alone, so that `a)(b` is not rescued by the parentheses around it.
        let translated = translate(pattern)?;
        Self::compile(pattern, &format!("^(?s:{translated})$"))
    }

    /// The pattern as given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the pattern matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.inner.is_match(text)
    }

    /// The first match's groups.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.inner.captures(text).map(Captures)
    }

    /// The groups' names in order; the first is the whole match and has none.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.inner.capture_names()
    }

    /// Replaces every match by `template`, in which `$1`, `${1}`, `$name` and `${name}` stand for groups and `$$` for a
    /// dollar; a group that does not exist stands for nothing. A name after `$` is as long as it can be.
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for captures in self.inner.captures_iter(text) {
            let Some(whole) = captures.get(0) else {
                continue;
            };
            out.push_str(&text[copied..whole.start()]);
            Captures(captures).expand(template, &mut out);
            copied = whole.end();
        }
        out.push_str(&text[copied..]);
        out
    }

    /// Replaces every match by `replacement` as it stands.
    pub fn replace_all_literal(&self, text: &str, replacement: &str) -> String {
        self.inner.replace_all(text, regex::NoExpand(replacement)).into_owned()
    }

    /// Texts of which every match contains at least one; `None` where no such set is known. For indexes and filters
    /// that look for literals first.
    pub fn required_literals(&self) -> Option<Vec<String>> {
        literals::required(&literals::parse(self.inner.as_str())?)
    }

    /// The compiled pattern, for what has no method here.
    pub fn inner(&self) -> &regex::Regex {
        &self.inner
    }

    fn compile(shown: &str, translated: &str) -> Result<Self, RegexError> {
        let inner =
            regex::RegexBuilder::new(translated).size_limit(PROGRAM_BYTES_MAX).build().map_err(|error| {
                let reason = match &error {
                    regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
                    error => error
                        .to_string()
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ")
                        .to_owned(),
                };
                RegexError { pattern: shown.to_owned(), reason }
            })?;
        Ok(Self { pattern: shown.into(), inner })
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

#[cfg(test)]
mod tests;
