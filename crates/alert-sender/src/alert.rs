//! An alert on its way.

use model::{Labels, LabelsBuilder, TimestampMs, format_rfc3339_ns};
use relabel::Rule;
use wire::PostableAlert;

/// An alert as rules raise it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What identifies it.
    pub labels: Labels,
    /// What describes it.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: TimestampMs,
    /// When it ended, or until when it is taken to fire if it is not sent again.
    pub ends_at: TimestampMs,
    /// Where its expression can be looked at.
    pub generator_url: String,
}

impl Alert {
    /// The alert with the external labels that it lacks, after `rules`; `None` where they drop it.
    pub(crate) fn prepared(&self, external_labels: &Labels, rules: &[Rule]) -> Option<Self> {
        let mut builder = LabelsBuilder::from_labels(&self.labels);
        for (name, value) in external_labels.iter() {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        relabel::apply(rules, &mut builder).then(|| Self { labels: builder.build(), ..self.clone() })
    }

    /// The alert after the rules of one Alertmanager, as it crosses the wire.
    pub(crate) fn postable(&self, rules: &[Rule]) -> Option<PostableAlert> {
        let mut builder = LabelsBuilder::from_labels(&self.labels);
        if !relabel::apply(rules, &mut builder) {
            return None;
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Some(PostableAlert {
            labels: builder.iter().map(owned).collect(),
            annotations: self.annotations.iter().map(owned).collect(),
            starts_at: Some(rfc3339(self.starts_at)),
            ends_at: Some(rfc3339(self.ends_at)),
            generator_url: self.generator_url.clone(),
        })
    }
}

fn rfc3339(timestamp: TimestampMs) -> String {
    format_rfc3339_ns(timestamp.saturating_mul(1_000_000))
}
