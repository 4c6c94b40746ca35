//! RE2's semantics (as Go's `regexp` has them) on the regex crate, label matchers and required literals.
//!
//! A pattern is read by Go's rules and handed to the regex crate in its own syntax: `\d`, `\w`, `\s` and `\b` are ASCII,
//! `a{` and `[[]` are literal text, `\Q…\E` and octal escapes work, and what Go refuses is refused with Go's words.
//! Label matchers are anchored at both ends and `.` matches a newline in them. Compiled programs are bounded in size.

#![warn(missing_docs)]

mod captures;
mod error;
mod literals;
mod matcher;
mod plan;
mod regex;
mod translate;

pub use captures::Captures;
pub use error::RegexError;
pub use matcher::CompiledMatcher;
pub use regex::Regex;
