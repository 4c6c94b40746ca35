//! Why an alert is told to whom, or to nobody: the routing tree, what keeps it back, and what would be said.

use std::sync::Arc;

use model::{Labels, TimestampNs};

use crate::alert::{Alert, Fingerprint};
use crate::config::{Config, Integration, Route};
use crate::data::{Pairs, pairs};
use crate::dispatch::Dispatcher;
use crate::letter::{Letter, LetterAlert};
use crate::notification_log::{LogEntry, NotificationLog, Reason};
use crate::routing;
use crate::times::ns;

/// What happens to an alert with given labels at a time. Times are ns since the epoch.
#[derive(Debug)]
pub struct Explanation {
    /// Whether an alert with these labels is known and fires.
    pub is_firing: bool,
    /// The routes that it takes.
    pub routes: Vec<ExplainedRoute>,
    /// Silences that mute it.
    pub silenced_by: Vec<String>,
    /// Alerts that mute it.
    pub inhibited_by: Vec<Fingerprint>,
    /// Who has taken it on.
    pub acknowledged_by: Option<String>,
}

/// One route.
#[derive(Debug)]
pub struct ExplainedRoute {
    /// The matchers on the way from the root.
    pub path: Vec<String>,
    /// Where it leads.
    pub receiver: String,
    /// The group's key.
    pub group_key: String,
    /// The group's labels.
    pub group_labels: Pairs,
    /// The waits in seconds: of a new group, between changes, of an unchanged group.
    pub waits_s: [f64; 3],
    /// Intervals that mute the route then.
    pub muted_by: Vec<String>,
    /// Intervals one of which would have to hold, while none does.
    pub inactive: Vec<String>,
    /// The group as it is now: its alerts, and when it is looked at next.
    pub group: Option<(usize, TimestampNs)>,
    /// When each integration was last told of the group, in order.
    pub last_told: Vec<(String, Option<TimestampNs>)>,
    /// The message that the receiver would get.
    pub letter: Letter,
}

impl Explanation {
    /// In one word, and why: `told`, `kept back`, `nobody is told`.
    pub fn verdict(&self) -> String {
        let mut why = Vec::new();
        if !self.inhibited_by.is_empty() {
            why.push("inhibition");
        }
        if !self.silenced_by.is_empty() {
            why.push("silence");
        }
        let is_muted = |route: &ExplainedRoute| !(route.muted_by.is_empty() && route.inactive.is_empty());
        if !self.routes.is_empty() && self.routes.iter().all(is_muted) {
            why.push("time interval");
        }
        if !why.is_empty() {
            return format!("kept back: {}", why.join(", "));
        }
        let told: Vec<&str> = self
            .routes
            .iter()
            .filter(|route| !is_muted(route) && !route.last_told.is_empty())
            .map(|route| route.receiver.as_str())
            .collect();
        match told.as_slice() {
            [] => "nobody is told: no receiver on its routes has an integration".to_owned(),
            told => format!("told: {}", told.join(", ")),
        }
    }
}

impl Dispatcher {
    /// What happens to an alert with these labels at a time.
    pub fn explain(&self, labels: &Labels, at: TimestampNs) -> Explanation {
        let alert = self.alert(Fingerprint::of(labels));
        let shown: Alert = match &alert {
            Some(alert) => Alert { ends_at: i64::MAX, ..Alert::clone(alert) },
            None => Alert {
                fingerprint: Fingerprint::of(labels),
                labels: labels.clone(),
                annotations: Labels::empty(),
                starts_at: at,
                ends_at: i64::MAX,
                updated_at: at,
                timeout: false,
                generator_url: String::new(),
            },
        };
        let shown = LetterAlert::from(Arc::new(shown));
        let config = self.config();
        let routes = routing::matching(&config.routes, labels)
            .into_iter()
            .map(|idx| self.explain_route(config, idx, labels, shown.clone(), at))
            .collect();
        Explanation {
            is_firing: alert.as_ref().is_some_and(|alert| !alert.is_resolved(at)),
            routes,
            silenced_by: self.silences.muting(labels, at),
            inhibited_by: self.inhibited_by(labels, at),
            acknowledged_by: alert.and_then(|alert| self.acks.of(&alert, at).map(|ack| ack.owner.clone())),
        }
    }

    fn explain_route(
        &self,
        config: &Config,
        idx: usize,
        labels: &Labels,
        alert: LetterAlert,
        at: TimestampNs,
    ) -> ExplainedRoute {
        let route = &config.routes[idx];
        let group_labels = routing::group_labels(route, labels);
        let group_key = routing::group_key(route, &group_labels);
        let contains = |name: &&String| {
            config.intervals.get(*name).is_some_and(|intervals| intervals.iter().any(|one| one.contains(at)))
        };
        let active = &route.active_time_intervals;
        let integrations = config.receiver(&route.receiver).map_or(&[][..], |one| &one.integrations);
        let last_told = |one: &Integration| {
            let key = NotificationLog::key(&group_key, &route.receiver, one.kind.name(), one.idx);
            let name = format!("{}[{}]", one.kind.name(), one.idx);
            (name, self.log.get(&key).map(|entry| entry.timestamp))
        };
        ExplainedRoute {
            path: path(&config.routes, idx)
                .iter()
                .map(|idx| config.routes[*idx].matchers.to_string())
                .collect(),
            receiver: route.receiver.clone(),
            waits_s: [route.group_wait, route.group_interval, route.repeat_interval]
                .map(|wait| wait.as_secs_f64()),
            muted_by: route.mute_time_intervals.iter().filter(contains).cloned().collect(),
            inactive: if active.iter().any(|name| contains(&name)) { Vec::new() } else { active.clone() },
            group: self.group(idx, &group_labels),
            last_told: integrations.iter().map(last_told).collect(),
            letter: letter(route, &group_key, pairs(&group_labels), alert, at),
            group_key,
            group_labels: pairs(&group_labels),
        }
    }
}

fn letter(
    route: &Route,
    group_key: &str,
    group_labels: Pairs,
    alert: LetterAlert,
    at: TimestampNs,
) -> Letter {
    Letter {
        receiver: route.receiver.clone(),
        group_key: group_key.to_owned(),
        group_labels,
        route_labels: route.labels.clone(),
        alerts: vec![alert],
        reason: Reason::First,
        at,
        known_at: None,
        entry: LogEntry {
            key: format!("explain {group_key}"),
            timestamp: at,
            firing: Default::default(),
            resolved: Default::default(),
            expires_at: at + ns(route.repeat_interval),
            memory: Default::default(),
        },
    }
}

/// The routes from the root to this one.
fn path(routes: &[Route], idx: usize) -> Vec<usize> {
    let mut path = vec![idx];
    while let Some(parent) =
        path.last().and_then(|last| routes.iter().position(|route| route.children.contains(last)))
    {
        path.push(parent);
    }
    path.reverse();
    path
}
