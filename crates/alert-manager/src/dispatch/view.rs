//! What the API shows of alerts and groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, TimestampNs};

use super::Dispatcher;
use crate::alert::{Alert, Fingerprint};
use crate::manager::AckTarget;
use crate::matchers::MatcherSet;

/// An alert with what is done about it.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// The alert.
    pub alert: Arc<Alert>,
    /// The receivers that its routes lead to.
    pub receivers: Vec<String>,
    /// Silences that mute it.
    pub silenced_by: Vec<String>,
    /// Alerts that mute it.
    pub inhibited_by: Vec<Fingerprint>,
    /// Time intervals that mute one of its groups.
    pub muted_by: Vec<String>,
}

impl AlertView {
    /// Whether it is kept back.
    pub fn is_suppressed(&self) -> bool {
        !(self.silenced_by.is_empty() && self.inhibited_by.is_empty() && self.muted_by.is_empty())
    }
}

/// A group with its alerts.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The group's labels.
    pub labels: Labels,
    /// The route's labels.
    pub route_labels: BTreeMap<String, String>,
    /// The receiver.
    pub receiver: String,
    /// The alerts.
    pub alerts: Vec<AlertView>,
}

/// Which alerts are asked for.
#[derive(Clone, Debug)]
pub struct AlertFilter {
    /// Those that nothing mutes.
    pub active: bool,
    /// Those that are silenced.
    pub silenced: bool,
    /// Those that are inhibited.
    pub inhibited: bool,
    /// Those in groups that a time interval mutes.
    pub muted: bool,
    /// What their labels have to match.
    pub matchers: MatcherSet,
    /// What a receiver's name has to match.
    pub receiver: Option<go_regex::Regex>,
}

impl AlertFilter {
    fn takes(&self, view: &AlertView) -> bool {
        (self.active || view.is_suppressed())
            && (self.silenced || view.silenced_by.is_empty())
            && (self.inhibited || view.inhibited_by.is_empty())
            && (self.muted || view.muted_by.is_empty())
    }

    fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

impl Dispatcher {
    /// The alerts that mute an alert with these labels.
    pub fn inhibited_by(&self, labels: &Labels, now: TimestampNs) -> Vec<Fingerprint> {
        let find = |fingerprint| self.alerts.get(&fingerprint).map(|stored| Arc::clone(&stored.alert));
        self.inhibitor.muting(labels, &find, now)
    }

    /// The alerts that are not resolved, by fingerprint.
    pub fn alert_views(&self, filter: &AlertFilter, now: TimestampNs) -> Vec<AlertView> {
        let mut muted: BTreeMap<Fingerprint, Vec<String>> = BTreeMap::new();
        for group in self.groups.values().filter(|group| !group.muted_by.is_empty()) {
            for fingerprint in group.alerts.keys() {
                muted.entry(*fingerprint).or_default().extend(group.muted_by.iter().cloned());
            }
        }
        let mut views: Vec<AlertView> = Vec::new();
        let mut stored: Vec<_> = self.alerts.iter().collect();
        stored.sort_by_key(|(fingerprint, _)| **fingerprint);
        for (fingerprint, stored) in stored {
            if stored.alert.is_resolved(now) || !filter.matchers.matches(&stored.alert.labels) {
                continue;
            }
            let receivers: Vec<String> =
                stored.routes.iter().map(|route| self.config.routes[*route].receiver.clone()).collect();
            if !receivers.iter().any(|name| filter.takes_receiver(name)) {
                continue;
            }
            let muted_by = muted.get(fingerprint).cloned().unwrap_or_default();
            let view = self.view(&stored.alert, receivers, muted_by, now);
            if filter.takes(&view) {
                views.push(view);
            }
        }
        views
    }

    /// The groups with their alerts that are not resolved; by labels, then receiver.
    pub fn group_views(&self, filter: &AlertFilter, now: TimestampNs) -> Vec<GroupView> {
        let mut views = Vec::new();
        for group in self.groups.values() {
            let route = &self.config.routes[group.route];
            if !filter.takes_receiver(&route.receiver) {
                continue;
            }
            let alerts: Vec<AlertView> = group
                .alerts
                .values()
                .filter(|alert| !alert.is_resolved(now) && filter.matchers.matches(&alert.labels))
                .map(|alert| self.view(alert, vec![route.receiver.clone()], group.muted_by.clone(), now))
                .filter(|view| filter.takes(view))
                .collect();
            if !alerts.is_empty() {
                views.push(GroupView {
                    labels: group.labels.clone(),
                    route_labels: route.labels.clone(),
                    receiver: route.receiver.clone(),
                    alerts,
                });
            }
        }
        views.sort_by(|a, b| a.labels.cmp(&b.labels).then_with(|| a.receiver.cmp(&b.receiver)));
        views
    }

    fn view(
        &self,
        alert: &Arc<Alert>,
        receivers: Vec<String>,
        muted_by: Vec<String>,
        now: TimestampNs,
    ) -> AlertView {
        AlertView {
            alert: Arc::clone(alert),
            receivers,
            silenced_by: self.silences.muting(&alert.labels, now),
            inhibited_by: self.inhibited_by(&alert.labels, now),
            muted_by,
        }
    }

    /// An alert by its hash.
    pub fn alert(&self, fingerprint: Fingerprint) -> Option<Arc<Alert>> {
        self.alerts.get(&fingerprint).map(|stored| Arc::clone(&stored.alert))
    }

    /// A route's group with these labels: how many alerts it has, and when it is looked at next.
    pub(crate) fn group(&self, route: usize, labels: &Labels) -> Option<(usize, TimestampNs)> {
        let group = self.groups.get(self.by_labels.get(&(route, labels.clone()))?)?;
        Some((group.alerts.len(), group.next_flush))
    }

    /// How many alerts match and fire, and how many match and are resolved.
    pub fn count_matching(&self, matchers: &MatcherSet, now: TimestampNs) -> (usize, usize) {
        let matching = self.alerts.values().filter(|stored| matchers.matches(&stored.alert.labels));
        let (resolved, all) = matching.fold((0, 0), |(resolved, all), stored| {
            (resolved + usize::from(stored.alert.is_resolved(now)), all + 1)
        });
        (all - resolved, resolved)
    }

    /// The alerts that fire among those that are meant, by fingerprint.
    pub fn firing(&self, target: &AckTarget, now: TimestampNs) -> Vec<Arc<Alert>> {
        let mut found: Vec<Arc<Alert>> = match target {
            AckTarget::Fingerprints(all) => {
                let find = |fingerprint| self.alerts.get(fingerprint).map(|stored| Arc::clone(&stored.alert));
                all.iter().filter_map(find).collect()
            }
            AckTarget::Matching(matchers) => {
                let all = self.alerts.values().map(|stored| &stored.alert);
                all.filter(|alert| matchers.matches(&alert.labels)).cloned().collect()
            }
            AckTarget::Group(key, at) => {
                let groups = self.groups.values().filter(|group| group.key == *key);
                let alerts = groups.flat_map(|group| group.alerts.values());
                alerts.filter(|alert| alert.starts_at <= *at).cloned().collect()
            }
        };
        found.retain(|alert| !alert.is_resolved(now));
        found.sort_by_key(|alert| alert.fingerprint);
        found
    }

    /// How many alerts are active and how many are suppressed.
    pub fn count_alerts(&self, now: TimestampNs) -> (usize, usize) {
        let (mut active, mut suppressed) = (0, 0);
        let unresolved = self.alerts.values().filter(|stored| !stored.alert.is_resolved(now));
        unresolved.for_each(|stored| {
            let labels = &stored.alert.labels;
            if self.silences.mutes(labels, now) || !self.inhibited_by(labels, now).is_empty() {
                suppressed += 1;
            } else {
                active += 1;
            }
        });
        (active, suppressed)
    }
}
