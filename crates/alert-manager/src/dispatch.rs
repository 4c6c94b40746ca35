//! Who is told what and when: a state machine without I/O.
//!
//! Its owner feeds it events with the time, carries out the actions and comes back at [`Dispatcher::next_wakeup`]. Groups,
//! repeats, inhibition, silences and time intervals are decided here and nowhere else, so that a virtual clock tests all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::{Labels, TimestampNs};

use crate::acks::Acks;
use crate::alert::{Alert, Fingerprint};
use crate::config::{Config, Route};
use crate::inhibitor::Inhibitor;
use crate::notification_log::{LogEntry, NotificationLog, Reason};
use crate::routing;
use crate::silences::Silences;
use crate::times::{ns, seconds};

mod flush;
mod label_index;
mod store;
mod view;

use store::AlertStore;
pub use view::{AlertFilter, AlertView, GroupView};

/// The alert that a receiver fails; its label `receiver` names it.
pub const FAILING_ALERT: &str = "WatchbellReceiverFailing";

/// A group's number; not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u64);

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// Alerts were received.
    Alerts(Vec<Alert>),
    /// Time has passed.
    Tick,
    /// A notification is through, or given up.
    Delivered(Delivered),
    /// The configuration is another one.
    Reload(Arc<Config>),
}

/// The end of a notification.
#[derive(Debug)]
pub struct Delivered {
    /// The group.
    pub group: GroupId,
    /// The group's flush.
    pub flush: u64,
    /// Which of the receiver's integrations.
    pub position: usize,
    /// What has been stored in the log, where it is through.
    pub entry: Option<LogEntry>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Tell somebody; answer with [`Event::Delivered`] before the deadline.
    Notify(Box<Notification>),
    /// An alert has begun or ended.
    Transition {
        /// The alert.
        alert: Arc<Alert>,
        /// Whether it has ended.
        resolved: bool,
    },
    /// Alerts were kept back.
    Suppressed {
        /// `inhibition`, `silence`, `mute_time_interval`, `active_time_interval` or `acknowledgement`.
        reason: &'static str,
        /// How many.
        alerts: usize,
        /// Whose.
        group_key: String,
    },
    /// An alert was refused as there are too many with its name.
    Limited,
}

/// A message to one integration.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The group.
    pub group: GroupId,
    /// The group's flush.
    pub flush: u64,
    /// The receiver.
    pub receiver: String,
    /// Which of the receiver's integrations.
    pub position: usize,
    /// The group's key.
    pub group_key: String,
    /// The group's labels.
    pub group_labels: Labels,
    /// The route's labels; templates.
    pub route_labels: BTreeMap<String, String>,
    /// The alerts, in order; empty: nothing is sent, but it is logged.
    pub alerts: Vec<Arc<Alert>>,
    /// Why.
    pub reason: Reason,
    /// Of when the log's entry was that this was decided by.
    pub known_at: Option<TimestampNs>,
    /// What to store once it is through.
    pub entry: LogEntry,
    /// As of when the alerts are judged.
    pub now: TimestampNs,
    /// When to give up.
    pub deadline: TimestampNs,
}

/// Settings that are flags.
#[derive(Clone, Copy, Debug)]
pub struct DispatchOptions {
    /// How long the log is kept at most, in ns.
    pub retention_ns: i64,
    /// The most alerts of a name; 0: no limit.
    pub per_alertname_max: usize,
    /// No group is flushed before.
    pub not_before: TimestampNs,
}

#[derive(Debug)]
struct Group {
    route: usize,
    labels: Labels,
    key: String,
    alerts: BTreeMap<Fingerprint, Arc<Alert>>,
    next_flush: TimestampNs,
    has_flushed: bool,
    flush: u64,
    outstanding: BTreeSet<usize>,
    failed: bool,
    /// Resolved alerts of the flush under way, with when they were last received.
    resolving: Vec<(Fingerprint, TimestampNs)>,
    muted_by: Vec<String>,
}

/// The state machine.
#[derive(Debug)]
pub struct Dispatcher {
    config: Arc<Config>,
    options: DispatchOptions,
    alerts: AlertStore,
    per_name: HashMap<String, usize>,
    groups: BTreeMap<GroupId, Group>,
    by_labels: HashMap<(usize, Labels), GroupId>,
    due: BTreeSet<(TimestampNs, GroupId)>,
    next_group: u64,
    /// The time of the last event.
    clock: TimestampNs,
    inhibitor: Inhibitor,
    /// The silences.
    pub silences: Silences,
    /// By group and key, what has not arrived yet, or has with its answer lost: such a group keeps what is resolved.
    awaited: HashMap<String, BTreeMap<String, LogEntry>>,
    /// The acknowledgements.
    pub acks: Acks,
    /// The notification log.
    pub log: NotificationLog,
}

impl Dispatcher {
    /// No alerts yet.
    pub fn new(
        config: Arc<Config>,
        options: DispatchOptions,
        silences: Silences,
        log: NotificationLog,
    ) -> Self {
        let inhibitor = Inhibitor::new(&config.inhibit_rules);
        Self {
            config,
            options,
            alerts: AlertStore::default(),
            per_name: HashMap::new(),
            groups: BTreeMap::new(),
            by_labels: HashMap::new(),
            due: BTreeSet::new(),
            next_group: 0,
            clock: TimestampNs::MIN,
            inhibitor,
            silences,
            awaited: HashMap::new(),
            acks: Acks::default(),
            log,
        }
    }

    /// The configuration in use.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Settings that are flags.
    pub fn options(&self) -> &DispatchOptions {
        &self.options
    }

    /// When the next tick is due.
    pub fn next_wakeup(&self) -> Option<TimestampNs> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many groups there are.
    pub fn groups_len(&self) -> usize {
        self.groups.len()
    }

    /// Takes an event in and says what is to be done.
    pub fn step(&mut self, now: TimestampNs, event: Event) -> Vec<Action> {
        self.follow_clock(now);
        let mut actions = Vec::new();
        match event {
            Event::Alerts(alerts) => {
                for alert in alerts {
                    self.receive(alert, now, &mut actions);
                }
            }
            Event::Tick => {}
            Event::Delivered(delivered) => self.delivered(delivered),
            Event::Reload(config) => self.reload(config, now),
        }
        while let Some((at, group)) = self.due.first().copied() {
            if at > now {
                break;
            }
            self.due.remove(&(at, group));
            self.flush(group, now, &mut actions);
        }
        actions
    }

    /// A clock that was set back must not make groups wait for it to catch up.
    fn follow_clock(&mut self, now: TimestampNs) {
        let back_ns = self.clock.saturating_sub(now);
        self.clock = now;
        if back_ns <= 0 {
            return;
        }
        // Nor may reports of before be taken for newer ones than those that come.
        let set_back = |alert: &mut Arc<Alert>| {
            if alert.updated_at > now {
                Arc::make_mut(alert).updated_at = now;
            }
        };
        self.alerts.iter_mut().for_each(|stored| set_back(&mut stored.alert));
        self.due.clear();
        for (id, group) in &mut self.groups {
            group.alerts.values_mut().for_each(set_back);
            group.next_flush -= back_ns;
            self.due.insert((group.next_flush, *id));
        }
    }

    fn receive(&mut self, alert: Alert, now: TimestampNs, actions: &mut Vec<Action>) {
        let fingerprint = alert.fingerprint;
        let Some(stored) = self.alerts.get(fingerprint) else {
            return self.receive_new(alert, now, actions);
        };
        let was_active = !stored.alert.is_resolved(now);
        // Two alerts may have one hash.
        let is_same = stored.alert.labels == alert.labels;
        let merged = Arc::new(Alert::merge(&stored.alert, alert));
        let is_active = !merged.is_resolved(now);
        if was_active != is_active {
            actions.push(Action::Transition { alert: Arc::clone(&merged), resolved: !is_active });
        }
        let Some(stored) = self.alerts.replace(fingerprint, Arc::clone(&merged)) else {
            return;
        };
        // Taken out while the groups are changed; nothing is allocated for that.
        let (routes, mut groups) = (Arc::clone(&stored.routes), std::mem::take(&mut stored.groups));
        for (route, group) in routes.iter().zip(&mut groups) {
            *group = self.join_group(*route, is_same.then_some(*group), &merged, now);
        }
        if let Some(stored) = self.alerts.get_mut(fingerprint) {
            stored.groups = groups;
        }
    }

    fn receive_new(&mut self, alert: Alert, now: TimestampNs, actions: &mut Vec<Action>) {
        let name = alert.name();
        let count = self.per_name.get(name).copied().unwrap_or_default();
        if self.options.per_alertname_max > 0 && count >= self.options.per_alertname_max {
            actions.push(Action::Limited);
            return;
        }
        match self.per_name.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.per_name.insert(name.to_owned(), 1)),
        }
        let alert = Arc::new(alert);
        if !alert.is_resolved(now) {
            actions.push(Action::Transition { alert: Arc::clone(&alert), resolved: false });
        }
        self.inhibitor.add(&alert);
        self.place(alert, now);
    }

    /// Puts an alert that is in no group yet into those of its routes.
    fn place(&mut self, alert: Arc<Alert>, now: TimestampNs) {
        let routes = self.alerts.shared_routes(routing::matching(&self.config.routes, &alert.labels));
        let groups = routes.iter().map(|route| self.join_group(*route, None, &alert, now)).collect();
        self.alerts.add(alert, routes, groups);
    }

    /// Puts an alert into its group of a route; `last`: the one that it was put into last.
    fn join_group(
        &mut self,
        idx: usize,
        last: Option<GroupId>,
        alert: &Arc<Alert>,
        now: TimestampNs,
    ) -> GroupId {
        // A group's number is not used again: where there is one, it is this alert's.
        let id = match last.filter(|id| self.groups.contains_key(id)) {
            Some(id) => id,
            None => self.group_of(idx, &alert.labels, now),
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return id;
        };
        group.alerts.insert(alert.fingerprint, Arc::clone(alert));
        // An alert that has waited elsewhere for as long does not wait again.
        let wait_ns = ns(self.config.routes[idx].group_wait);
        if !group.has_flushed && alert.starts_at.saturating_add(wait_ns) < now {
            self.due.remove(&(group.next_flush, id));
            group.next_flush = now.max(self.options.not_before);
            self.due.insert((group.next_flush, id));
        }
        id
    }

    fn group_of(&mut self, idx: usize, labels: &Labels, now: TimestampNs) -> GroupId {
        let config = Arc::clone(&self.config);
        let route = &config.routes[idx];
        let key = (idx, routing::group_labels(route, labels));
        match self.by_labels.get(&key) {
            Some(id) => *id,
            None => self.make_group(idx, route, key.1, now),
        }
    }

    fn make_group(&mut self, idx: usize, route: &Route, labels: Labels, now: TimestampNs) -> GroupId {
        self.next_group += 1;
        let id = GroupId(self.next_group);
        let next_flush = (now + ns(route.group_wait)).max(self.options.not_before);
        let group = Group {
            route: idx,
            key: routing::group_key(route, &labels),
            labels: labels.clone(),
            alerts: BTreeMap::new(),
            next_flush,
            has_flushed: false,
            flush: 0,
            outstanding: BTreeSet::new(),
            failed: false,
            resolving: Vec::new(),
            muted_by: Vec::new(),
        };
        self.groups.insert(id, group);
        self.by_labels.insert((idx, labels), id);
        self.due.insert((next_flush, id));
        id
    }

    fn remove_group(&mut self, id: GroupId) {
        if let Some(group) = self.groups.remove(&id) {
            self.due.remove(&(group.next_flush, id));
            self.by_labels.remove(&(group.route, group.labels));
        }
    }

    fn delivered(&mut self, delivered: Delivered) {
        let Delivered { group: id, flush, position, entry } = delivered;
        let succeeded = entry.is_some();
        if let Some(entry) = entry {
            self.log.set(entry);
        }
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.flush == flush) else {
            return;
        };
        if group.outstanding.remove(&position) {
            group.failed |= !succeeded;
            self.finish_flush(id);
        }
    }

    /// Once all integrations have been told, resolved alerts have done their part.
    fn finish_flush(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.outstanding.is_empty()) else {
            return;
        };
        let resolving = std::mem::take(&mut group.resolving);
        if group.failed || self.awaited.contains_key(&group.key) {
            return;
        }
        for (fingerprint, updated_at) in resolving {
            if group.alerts.get(&fingerprint).is_some_and(|alert| alert.updated_at == updated_at) {
                group.alerts.remove(&fingerprint);
            }
        }
        if group.alerts.is_empty() {
            self.remove_group(id);
        }
    }

    /// A notification of a group has not arrived.
    pub fn await_arrival(&mut self, group_key: &str, entry: &LogEntry) {
        self.awaited.entry(group_key.to_owned()).or_default().insert(entry.key.clone(), entry.clone());
    }

    /// It has arrived, or it was given up.
    pub fn settle(&mut self, key: &str) {
        self.awaited.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
    }

    fn reload(&mut self, config: Arc<Config>, now: TimestampNs) {
        self.inhibitor = Inhibitor::new(&config.inhibit_rules);
        self.config = config;
        self.groups.clear();
        self.by_labels.clear();
        self.due.clear();
        let mut alerts: Vec<Arc<Alert>> =
            self.alerts.iter().map(|stored| Arc::clone(&stored.alert)).collect();
        alerts.sort_by_key(|alert| alert.fingerprint);
        self.alerts = AlertStore::default();
        for alert in alerts {
            self.inhibitor.add(&alert);
            self.place(alert, now);
        }
    }

    /// Forgets alerts that are resolved; their groups keep them until they have been told.
    pub fn collect_garbage(&mut self, now: TimestampNs) {
        let mut gone: Vec<Arc<Alert>> = self
            .alerts
            .iter()
            .filter(|stored| stored.alert.is_resolved(now))
            .map(|stored| Arc::clone(&stored.alert))
            .collect();
        gone.sort_by_key(|alert| alert.fingerprint);
        for alert in gone {
            drop(self.alerts.remove(alert.fingerprint));
            self.inhibitor.remove(&alert);
            if let Some(count) = self.per_name.get_mut(alert.name()) {
                *count -= 1;
                if *count == 0 {
                    self.per_name.remove(alert.name());
                }
            }
        }
    }
}

/// How long a group's notifications may take.
fn flush_timeout_ns(route: &Route) -> i64 {
    ns(route.group_interval).max(seconds(10))
}

#[cfg(test)]
mod pair_simulation;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
