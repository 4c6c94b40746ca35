//! Parameters that may be given several times.

use std::sync::Arc;

use axum::response::Response;
use go_regex::Regex;
use http::StatusCode;
use model::{Labels, Matcher};

use super::Api;
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

    /// The names of the receivers that `receiver_matchers` take, each with its labels and its name as another one.
    pub(super) fn receivers(&self, api: &Api) -> Result<Option<Vec<String>>, Refusal> {
        let bad = |error: &dyn std::fmt::Display| Box::new(super::error(StatusCode::BAD_REQUEST, error));
        let mut all = Vec::new();
        for text in self.all("receiver_matchers") {
            let read = matchers::parse(text, api.manager.settings().matcher_mode);
            all.extend(
                read.map_err(|error| bad(&format!("failed to parse receiver_matchers param: {error}")))?.0,
            );
        }
        if all.is_empty() {
            return Ok(None);
        }
        let wanted = MatcherSet::new(all).map_err(|error| bad(&error))?;
        let config = Arc::clone(api.manager.dispatcher().config());
        let taken = config.receivers.iter().filter(|receiver| {
            let own = [("name", receiver.name.as_str())].into_iter();
            let labels = receiver.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            wanted.matches(&Labels::from_pairs(own.chain(labels.filter(|(name, _)| *name != "name"))))
        });
        Ok(Some(taken.map(|receiver| receiver.name.clone()).collect()))
    }

    pub(super) fn alert_filter(&self, api: &Api) -> Result<AlertFilter, Refusal> {
        let mode = api.manager.settings().matcher_mode;
        let bad = |error: &dyn std::fmt::Display| Box::new(super::error(StatusCode::BAD_REQUEST, error));
        let receiver = match self.get("receiver").filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => Some(Regex::anchored(pattern).map_err(|error| bad(&error))?),
            None => None,
        };
        let receiver = match self.receivers(api)? {
            None => receiver,
            Some(mut names) => {
                names.retain(|name| receiver.as_ref().is_none_or(|regex| regex.is_match(name)));
                // No receiver has an empty name: without any the pattern matches none.
                let names: Vec<String> = names.iter().map(|name| escape(name)).collect();
                Some(Regex::anchored(&names.join("|")).map_err(|error| bad(&error))?)
            }
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

/// A text as the pattern that matches it alone.
fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
