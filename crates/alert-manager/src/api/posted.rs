//! Alerts as they are posted, read in place: a post has tens of alerts with tens of texts each, and most are known already.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use model::{Labels, TimestampNs};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::alerts::time;
use crate::alert::{Alert, Fingerprint};
use crate::matchers::{MatcherMode, is_classic_name};

/// An alert of a post.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedAlert<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(default, borrow)]
    annotations: Option<Pairs<'a>>,
    #[serde(default, borrow)]
    starts_at: Option<Text<'a>>,
    #[serde(default, borrow)]
    ends_at: Option<Text<'a>>,
    #[serde(default, borrow, rename = "generatorURL")]
    generator_url: Option<Text<'a>>,
}

/// A text that points into the body, where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names and values, sorted by name.
struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Pairs<'a> {
    /// What a set is made of: of a name that is given twice the last value, and no empty values.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (&*name.0, &*value.0)).filter(|(_, value)| !value.is_empty())
    }

    fn is(&self, labels: &Labels) -> bool {
        labels.iter().eq(self.iter())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for PairsVisitor<'a> {
    type Value = Pairs<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut pairs: Vec<(Text<'a>, Text<'a>)> = Vec::with_capacity(12);
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        // Senders in Go sort them.
        if !pairs.is_sorted_by(|a, b| a.0.0 < b.0.0) {
            // Stable: of two with a name the later one stays.
            pairs.sort_by(|a, b| a.0.0.cmp(&b.0.0));
            pairs.reverse();
            pairs.dedup_by(|later, kept| later.0.0 == kept.0.0);
            pairs.reverse();
        }
        Ok(Pairs(pairs))
    }
}

/// What holds for all alerts of a post.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// When it was received.
    pub(super) now: TimestampNs,
    /// For how long an alert without end is believed.
    pub(super) resolve_timeout_ns: i64,
    /// Which names labels may have.
    pub(super) mode: MatcherMode,
}

/// An alert of which the texts are not yet taken over.
pub(super) struct Read<'a> {
    posted: PostedAlert<'a>,
    pub(super) fingerprint: Fingerprint,
    starts_at: TimestampNs,
    ends_at: TimestampNs,
    now: TimestampNs,
    timeout: bool,
}

impl<'a> PostedAlert<'a> {
    /// What the alert is called; "" for nothing.
    pub(super) fn name(&self) -> &str {
        self.labels.iter().find(|(name, _)| *name == "alertname").map_or("", |(_, value)| value)
    }

    /// Checks an alert.
    pub(super) fn read(self, reading: Reading) -> Result<Read<'a>, String> {
        let Reading { now, resolve_timeout_ns, mode } = reading;
        if self.labels.iter().next().is_none() {
            return Err("at least one label pair required".to_owned());
        }
        for (what, set) in [("label", Some(&self.labels)), ("annotation", self.annotations.as_ref())] {
            let bad =
                |name: &&str| name.is_empty() || (mode == MatcherMode::Classic && !is_classic_name(name));
            if let Some(name) = set.into_iter().flat_map(Pairs::iter).map(|(name, _)| name).find(bad) {
                return Err(format!("invalid {what} set: invalid name {name:?}"));
            }
        }
        let starts_at = time("startsAt", self.starts_at.as_ref().map(|text| &*text.0))?;
        let ends_at = time("endsAt", self.ends_at.as_ref().map(|text| &*text.0))?;
        let starts_at = starts_at.unwrap_or_else(|| ends_at.map_or(now, |end| end.min(now)));
        let timeout = ends_at.is_none();
        let ends_at = ends_at.unwrap_or(now + resolve_timeout_ns);
        if starts_at > ends_at {
            return Err("start time must be before end time".to_owned());
        }
        let fingerprint = Fingerprint::of_sorted(self.labels.iter());
        Ok(Read { posted: self, fingerprint, starts_at, ends_at, now, timeout })
    }
}

impl Read<'_> {
    /// The alert; what it has in common with the known one is shared.
    pub(super) fn into_alert(self, known: Option<&Arc<Alert>>) -> Alert {
        let annotations = self.posted.annotations.as_ref();
        let shared = known.filter(|known| self.posted.labels.is(&known.labels));
        let shared_annotations = known.map(|known| &known.annotations).filter(|known| match annotations {
            Some(annotations) => annotations.is(known),
            None => known.is_empty(),
        });
        Alert {
            labels: match shared {
                Some(known) => known.labels.clone(),
                None => Labels::from_sorted(self.posted.labels.iter()),
            },
            annotations: match (shared_annotations, annotations) {
                (Some(known), _) => known.clone(),
                (None, Some(annotations)) => Labels::from_sorted(annotations.iter()),
                (None, None) => Labels::empty(),
            },
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            updated_at: self.now,
            timeout: self.timeout,
            generator_url: self.posted.generator_url.map(|text| text.0.into_owned()).unwrap_or_default(),
            fingerprint: self.fingerprint,
        }
    }

    /// Whether it is over, as metrics say it.
    pub(super) fn status(&self) -> &'static str {
        if self.ends_at <= self.now { "resolved" } else { "firing" }
    }
}

#[cfg(test)]
mod tests;
