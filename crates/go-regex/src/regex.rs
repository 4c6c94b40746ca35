//! Go's regular expressions.

use crate::RegexError;

/// The most bytes that a compiled pattern may take.
const PROGRAM_BYTES_MAX: usize = 10 << 20;

/// A compiled pattern with Go's meaning. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Regex {
    pattern: String,
    inner: regex::Regex,
}

impl Regex {
    /// Compiles a pattern that may match anywhere in a text (Go's `regexp.Compile`).
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        Self::compile(pattern, pattern)
    }

    /// Compiles a pattern that has to cover the whole text, with `.` matching newlines: Prometheus' label matchers.
    pub fn anchored(pattern: &str) -> Result<Self, RegexError> {
        // Checked alone first, so that `a)(b` is not rescued by the parentheses around it.
        Self::compile(pattern, pattern)?;
        Self::compile(pattern, &format!("^(?s:{pattern})$"))
    }

    /// The pattern as given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the pattern matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.inner.is_match(text)
    }

    /// The compiled pattern, for captures and replacement.
    pub fn inner(&self) -> &regex::Regex {
        &self.inner
    }

    fn compile(shown: &str, pattern: &str) -> Result<Self, RegexError> {
        let fail = |reason: String| RegexError { pattern: shown.to_owned(), reason };
        let inner = regex::RegexBuilder::new(pattern)
            .size_limit(PROGRAM_BYTES_MAX)
            .build()
            .map_err(|error| fail(error.to_string()))?;
        Ok(Self { pattern: shown.to_owned(), inner })
    }
}
