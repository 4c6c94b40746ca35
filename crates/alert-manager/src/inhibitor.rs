//! Alerts that mute others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{Labels, TimestampNs};

use crate::alert::{Alert, Fingerprint};
use crate::config::InhibitRule;

/// Alerts that can mute, by the values of the rule's `equal` labels.
type Sources = HashMap<Vec<String>, BTreeSet<Fingerprint>>;

/// The inhibition rules with the alerts that can mute by them, by the values of their `equal` labels.
#[derive(Debug, Default)]
pub struct Inhibitor {
    rules: Vec<(InhibitRule, Sources)>,
}

impl Inhibitor {
    /// Rules without alerts.
    pub fn new(rules: &[InhibitRule]) -> Self {
        Self { rules: rules.iter().map(|rule| (rule.clone(), HashMap::new())).collect() }
    }

    /// Learns of an alert.
    pub fn add(&mut self, alert: &Alert) {
        for (rule, sources) in &mut self.rules {
            if rule.source.matches(&alert.labels) {
                sources.entry(equal_values(rule, &alert.labels)).or_default().insert(alert.fingerprint);
            }
        }
    }

    /// Forgets an alert.
    pub fn remove(&mut self, alert: &Alert) {
        for (rule, sources) in &mut self.rules {
            let key = equal_values(rule, &alert.labels);
            if let Some(fingerprints) = sources.get_mut(&key) {
                fingerprints.remove(&alert.fingerprint);
                if fingerprints.is_empty() {
                    sources.remove(&key);
                }
            }
        }
    }

    /// The alerts that mute these labels, one for each rule that does.
    pub fn muting(
        &self,
        labels: &Labels,
        alerts: &dyn Fn(Fingerprint) -> Option<Arc<Alert>>,
        now: TimestampNs,
    ) -> Vec<Fingerprint> {
        let mut muting = Vec::new();
        for (rule, sources) in &self.rules {
            if !rule.target.matches(labels) {
                continue;
            }
            let Some(fingerprints) = sources.get(&equal_values(rule, labels)) else {
                continue;
            };
            // What is on both sides is not muted by what is on both sides, itself included.
            let on_both_sides = rule.source.matches(labels);
            let source = fingerprints.iter().find(|fingerprint| {
                alerts(**fingerprint).is_some_and(|alert| {
                    !(alert.is_resolved(now) || on_both_sides && rule.target.matches(&alert.labels))
                })
            });
            muting.extend(source);
        }
        muting.sort();
        muting.dedup();
        muting
    }
}

fn equal_values(rule: &InhibitRule, labels: &Labels) -> Vec<String> {
    rule.equal.iter().map(|name| labels.value(name).to_owned()).collect()
}
