//! One flush of a group: what is kept back, and who is told the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::TimestampNs;

use super::{Action, Dispatcher, FAILING_ALERT, GroupId, Notification, flush_timeout_ns};
use crate::alert::{Alert, Place, told_hash};
use crate::config::{Config, Integration, Receiver, Route};
use crate::notification_log::{LogEntry, NotificationLog, Present, Reason};
use crate::times::ns;

impl Dispatcher {
    pub(super) fn flush(&mut self, id: GroupId, now: TimestampNs, actions: &mut Vec<Action>) {
        let config = Arc::clone(&self.config);
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let route = &config.routes[group.route];
        group.has_flushed = true;
        group.flush += 1;
        group.failed = false;
        // What is still under way has had its time; a late success is logged all the same.
        group.outstanding.clear();
        group.muted_by.clear();
        group.next_flush = now + ns(route.group_interval);
        self.due.insert((group.next_flush, id));
        let mut placed: Vec<(Place<'_>, &Arc<Alert>)> =
            group.alerts.values().map(|alert| (Place::of(&alert.labels), alert)).collect();
        placed.sort_by(|a, b| a.0.cmp(&b.0));
        let alerts: Vec<Arc<Alert>> = placed.into_iter().map(|(_, alert)| Arc::clone(alert)).collect();
        group.resolving = alerts
            .iter()
            .filter(|alert| alert.is_resolved(now))
            .map(|alert| (alert.fingerprint, alert.updated_at))
            .collect();
        let told = self.not_kept_back(id, route, &config, alerts, now, actions);
        if !told.is_empty() {
            self.tell(id, route, &config, &told, now, actions);
        }
        self.finish_flush(id);
    }

    /// The alerts that nothing mutes.
    fn not_kept_back(
        &mut self,
        id: GroupId,
        route: &Route,
        config: &Config,
        mut alerts: Vec<Arc<Alert>>,
        now: TimestampNs,
        actions: &mut Vec<Action>,
    ) -> Vec<Arc<Alert>> {
        let Some(group) = self.groups.get(&id) else {
            return Vec::new();
        };
        let group_key = group.key.clone();
        let mut suppressed = |reason: &'static str, alerts: usize| {
            if alerts > 0 {
                actions.push(Action::Suppressed { reason, alerts, group_key: group_key.clone() });
            }
        };
        let before = alerts.len();
        alerts.retain(|alert| self.inhibited_by(&alert.labels, now).is_empty());
        suppressed("inhibition", before - alerts.len());
        let contains = |name: &&String| {
            config.intervals.get(*name).is_some_and(|intervals| intervals.iter().any(|one| one.contains(now)))
        };
        let active = &route.active_time_intervals;
        let muting: Vec<String> = if !active.is_empty() && !active.iter().any(|name| contains(&name)) {
            suppressed("active_time_interval", alerts.len());
            active.clone()
        } else {
            let muting: Vec<String> = route.mute_time_intervals.iter().filter(contains).cloned().collect();
            if !muting.is_empty() {
                suppressed("mute_time_interval", alerts.len());
            }
            muting
        };
        if !muting.is_empty() {
            if let Some(group) = self.groups.get_mut(&id) {
                group.muted_by = muting;
            }
            return Vec::new();
        }
        let before = alerts.len();
        alerts.retain(|alert| !self.silences.mutes(&alert.labels, now));
        suppressed("silence", before - alerts.len());
        alerts
    }

    fn tell(
        &mut self,
        id: GroupId,
        route: &Route,
        config: &Config,
        alerts: &[Arc<Alert>],
        now: TimestampNs,
        actions: &mut Vec<Action>,
    ) {
        let Some(receiver) = receiver_for(config, route, alerts) else {
            return;
        };
        let is_acknowledged = |alert: &&Arc<Alert>| self.acks.of(alert, now).is_some();
        let acknowledged =
            alerts.iter().filter(|alert| !alert.is_resolved(now)).all(|alert| is_acknowledged(&alert));
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let hashes = |resolved: bool| -> BTreeSet<u64> {
            alerts.iter().filter(|a| a.is_resolved(now) == resolved).map(|a| told_hash(&a.labels)).collect()
        };
        let (firing, resolved) = (hashes(false), hashes(true));
        let kept_ns = self.options.retention_ns.min(ns(route.repeat_interval).saturating_mul(2));
        for (position, Integration { idx, send_resolved, kind }) in receiver.integrations.iter().enumerate() {
            let key = NotificationLog::key(&group.key, &receiver.name, kind.name(), *idx);
            let present = Present {
                firing: &firing,
                resolved: &resolved,
                send_resolved: *send_resolved,
                repeat_interval_ns: ns(route.repeat_interval),
            };
            let awaited = self.awaited.get(&group.key).and_then(|awaited| awaited.get(&key));
            let Some(reason) = self.log.decide_with(&key, awaited, &present, now) else {
                continue;
            };
            if reason == Reason::Repeat && acknowledged {
                let group_key = group.key.clone();
                let alerts = firing.len();
                actions.push(Action::Suppressed { reason: "acknowledgement", alerts, group_key });
            }
            let is_quiet = reason == Reason::Repeat && acknowledged;
            let known = self.log.get(&key);
            // What was told is remembered for as long as nobody is told again: the resolved message needs it.
            if is_quiet && known.is_some_and(|entry| entry.expires_at - now > kept_ns / 2) {
                continue;
            }
            let is_told = |alert: &&Arc<Alert>| !is_quiet && (*send_resolved || !alert.is_resolved(now));
            let told = alerts.iter().filter(is_told).cloned().collect();
            let memory = known.map(|entry| entry.memory.clone()).unwrap_or_default();
            let known_at = known.map(|entry| entry.timestamp);
            let timestamp = known.filter(|_| is_quiet).map_or(now, |entry| entry.timestamp);
            let entry = LogEntry {
                key,
                memory,
                timestamp,
                firing: firing.clone(),
                resolved: resolved.clone(),
                expires_at: now.saturating_add(kept_ns),
            };
            group.outstanding.insert(position);
            actions.push(Action::Notify(Box::new(Notification {
                group: id,
                flush: group.flush,
                receiver: receiver.name.clone(),
                position,
                group_key: group.key.clone(),
                group_labels: group.labels.clone(),
                route_labels: route.labels.clone(),
                alerts: told,
                reason,
                known_at,
                entry,
                now,
                deadline: now + flush_timeout_ns(route),
            })));
        }
    }
}

/// Who is told: the route's receiver, unless it is the one that fails and has a fallback.
fn receiver_for<'c>(config: &'c Config, route: &Route, alerts: &[Arc<Alert>]) -> Option<&'c Receiver> {
    let receiver = config.receiver(&route.receiver)?;
    let is_itself =
        |alert: &Arc<Alert>| alert.name() == FAILING_ALERT && alert.labels.value("receiver") == receiver.name;
    match &receiver.fallback {
        Some(fallback) if alerts.iter().all(is_itself) => config.receiver(&fallback.receiver),
        _ => Some(receiver),
    }
}
