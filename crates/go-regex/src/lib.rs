//! RE2's semantics (as Go's `regexp` has them) on the regex crate, label matchers and required literals.
//!
//! Differences to the regex crate that are bridged here: `\d`, `\w`, `\s` and `\b` are ASCII; label matchers are anchored at
//! both ends and `.` matches a newline in them; patterns and compiled programs are bounded in size.

#![warn(missing_docs)]

mod error;
mod matcher;
mod regex;

pub use error::RegexError;
pub use matcher::CompiledMatcher;
pub use regex::Regex;
