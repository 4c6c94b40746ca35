//! Parameters that may be given several times.

use axum::response::Response;
use go_regex::Regex;
use http::StatusCode;
use model::Matcher;

use crate::dispatch::AlertFilter;
use crate::matchers::{self, MatcherMode, MatcherSet};

/// The answer to a request that is refused; boxed, as it is large.
pub(super) type Refusal = Box<Response>;

/// The parameters of a request.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A switch that is on unless it is said to be off; what is no boolean is off, as the original has it.
    pub(super) fn switch(&self, name: &str) -> bool {
        matches!(
            self.get(name).map(str::to_ascii_lowercase).as_deref(),
            None | Some(
                "" | "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
            )
        )
    }

    /// The matchers of `filter`.
    pub(super) fn filter(&self, mode: MatcherMode) -> Result<Vec<Matcher>, Refusal> {
        let mut all = Vec::new();
        for text in self.all("filter") {
            let read = matchers::parse(text, mode)
                .map_err(|error| Box::new(super::error(StatusCode::BAD_REQUEST, error)))?;
            all.extend(read.0);
        }
        Ok(all)
    }

    pub(super) fn alert_filter(&self, mode: MatcherMode) -> Result<AlertFilter, Refusal> {
        let bad = |error: &dyn std::fmt::Display| Box::new(super::error(StatusCode::BAD_REQUEST, error));
        let receiver = match self.get("receiver").filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => Some(Regex::anchored(pattern).map_err(|error| bad(&error))?),
            None => None,
        };
        Ok(AlertFilter {
            active: self.switch("active"),
            silenced: self.switch("silenced"),
            inhibited: self.switch("inhibited"),
            muted: self.switch("muted"),
            matchers: MatcherSet::new(self.filter(mode)?).map_err(|error| bad(&error))?,
            receiver,
        })
    }
}
