//! What the API shows of alerts and groups.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Labels, TimestampNs};
use roaring::RoaringBitmap;

use super::{Dispatcher, GroupId};
use crate::alert::{Alert, Fingerprint};
use crate::manager::AckTarget;
use crate::matchers::MatcherSet;

/// An alert with what is done about it.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// The alert.
    pub alert: Arc<Alert>,
    /// The receivers that its routes lead to.
    pub receivers: Arc<[String]>,
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
        let find = |fingerprint| self.alert(fingerprint);
        self.inhibitor.muting(labels, &find, now)
    }

    /// The alerts that are not resolved, by fingerprint.
    pub fn alert_views(&self, filter: &AlertFilter, now: TimestampNs) -> Vec<AlertView> {
        let mut muted: HashMap<Fingerprint, Vec<String>> = HashMap::new();
        for group in self.groups.values().filter(|group| !group.muted_by.is_empty()) {
            for fingerprint in group.alerts.keys() {
                muted.entry(*fingerprint).or_default().extend(group.muted_by.iter().cloned());
            }
        }
        let found = self.alerts.firing(&filter.matchers, now);
        let mut silenced = self.silenced(&found, now);
        let mut by_routes: HashMap<&[usize], Option<Arc<[String]>>> = HashMap::new();
        let mut views: Vec<AlertView> = Vec::new();
        for (place, stored) in found.iter().filter_map(|place| Some((place, self.alerts.at(place)?))) {
            let receivers =
                by_routes.entry(&stored.routes).or_insert_with(|| self.receivers(&stored.routes, filter));
            let Some(receivers) = receivers else {
                continue;
            };
            let alert = &stored.alert;
            let view = AlertView {
                alert: Arc::clone(alert),
                receivers: Arc::clone(receivers),
                silenced_by: silenced.remove(&place).unwrap_or_default(),
                inhibited_by: self.inhibited_by(&alert.labels, now),
                muted_by: muted.get(&alert.fingerprint).cloned().unwrap_or_default(),
            };
            if filter.takes(&view) {
                views.push(view);
            }
        }
        views.sort_by_cached_key(|view| view.alert.fingerprint);
        views
    }

    /// The receivers that routes lead to, where the filter takes one of them.
    fn receivers(&self, routes: &[usize], filter: &AlertFilter) -> Option<Arc<[String]>> {
        let names: Vec<String> =
            routes.iter().map(|route| self.config.routes[*route].receiver.clone()).collect();
        names.iter().any(|name| filter.takes_receiver(name)).then(|| names.into())
    }

    /// By place, the ids of the silences that mute alerts now, sorted.
    fn silenced(&self, places: &RoaringBitmap, now: TimestampNs) -> HashMap<u32, Vec<String>> {
        let mut silenced: HashMap<u32, Vec<String>> = HashMap::new();
        for (id, matchers) in self.silences.muting_now(now) {
            for place in self.alerts.matching(matchers, Some(places)) {
                silenced.entry(place).or_default().push(id.to_owned());
            }
        }
        silenced
    }

    /// The groups with their alerts that are not resolved; by labels, then receiver.
    pub fn group_views(&self, filter: &AlertFilter, now: TimestampNs) -> Vec<GroupView> {
        let found = self.alerts.firing(&filter.matchers, now);
        let silenced = self.silenced(&found, now);
        let mut by_group: BTreeMap<GroupId, Vec<(u32, &Arc<Alert>)>> = BTreeMap::new();
        for (place, stored) in found.iter().filter_map(|place| Some((place, self.alerts.at(place)?))) {
            for group in &stored.groups {
                by_group.entry(*group).or_default().push((place, &stored.alert));
            }
        }
        let mut views = Vec::new();
        for (id, mut alerts) in by_group {
            let Some(group) = self.groups.get(&id) else {
                continue;
            };
            let route = &self.config.routes[group.route];
            if !filter.takes_receiver(&route.receiver) {
                continue;
            }
            alerts.retain(|(_, alert)| group.alerts.contains_key(&alert.fingerprint));
            alerts.sort_unstable_by_key(|(_, alert)| alert.fingerprint);
            let receivers: Arc<[String]> = [route.receiver.clone()].into();
            let view = |(place, alert): (u32, &Arc<Alert>)| AlertView {
                alert: Arc::clone(alert),
                receivers: Arc::clone(&receivers),
                silenced_by: silenced.get(&place).cloned().unwrap_or_default(),
                inhibited_by: self.inhibited_by(&alert.labels, now),
                muted_by: group.muted_by.clone(),
            };
            let alerts: Vec<AlertView> =
                alerts.into_iter().map(view).filter(|view| filter.takes(view)).collect();
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

    /// An alert by its hash.
    pub fn alert(&self, fingerprint: Fingerprint) -> Option<Arc<Alert>> {
        self.alerts.get(fingerprint).map(|stored| Arc::clone(&stored.alert))
    }

    /// What is known of alerts, one by one.
    pub fn known(&self, fingerprints: impl Iterator<Item = Fingerprint>) -> Vec<Option<Arc<Alert>>> {
        fingerprints.map(|fingerprint| self.alert(fingerprint)).collect()
    }

    /// A route's group with these labels: how many alerts it has, and when it is looked at next.
    pub(crate) fn group(&self, route: usize, labels: &Labels) -> Option<(usize, TimestampNs)> {
        let group = self.groups.get(self.by_labels.get(&(route, labels.clone()))?)?;
        Some((group.alerts.len(), group.next_flush))
    }

    /// How many alerts match and fire, and how many match and are resolved.
    pub fn count_matching(&self, matchers: &MatcherSet, now: TimestampNs) -> (usize, usize) {
        let (mut firing, mut resolved) = (0, 0);
        for stored in self.alerts.matching(matchers, None).iter().filter_map(|place| self.alerts.at(place)) {
            match stored.alert.is_resolved(now) {
                true => resolved += 1,
                false => firing += 1,
            }
        }
        (firing, resolved)
    }

    /// The alerts that fire among those that are meant, by fingerprint.
    pub fn firing(&self, target: &AckTarget, now: TimestampNs) -> Vec<Arc<Alert>> {
        let mut found: Vec<Arc<Alert>> = match target {
            AckTarget::Fingerprints(all) => {
                all.iter().filter_map(|fingerprint| self.alert(*fingerprint)).collect()
            }
            AckTarget::Matching(matchers) => {
                let places = self.alerts.matching(matchers, None);
                let stored = places.iter().filter_map(|place| self.alerts.at(place));
                stored.map(|stored| Arc::clone(&stored.alert)).collect()
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
        let found = self.alerts.firing(&MatcherSet::default(), now);
        let mut silenced = RoaringBitmap::new();
        for (_, matchers) in self.silences.muting_now(now) {
            silenced |= self.alerts.matching(matchers, Some(&found));
        }
        let is_inhibited = |place: &u32| {
            self.alerts
                .at(*place)
                .is_some_and(|stored| !self.inhibited_by(&stored.alert.labels, now).is_empty())
        };
        let inhibited = (&found - &silenced).iter().filter(is_inhibited).count();
        let suppressed = silenced.len() as usize + inhibited;
        (found.len() as usize - suppressed, suppressed)
    }
}
