//! Heartbeats: received, stored, missed; and our own, by which others see that we tell.

use model::Labels;

use super::{ChangeError, Manager};
use crate::alert::{Alert, Fingerprint};
use crate::heartbeats::Heartbeat;
use crate::times::seconds;

/// The alert that a heartbeat is missed.
const MISSED_ALERT: &str = "WatchbellHeartbeatMissed";
/// The alert that always fires: who gets it knows that the way from here to there works.
const SELF_CHECK_ALERT: &str = "WatchbellSelfCheck";
/// How long these are believed.
const LIFE_NS: i64 = seconds(300);

impl Manager {
    /// Takes a heartbeat in; false where there are too many.
    pub async fn beat(&self, heartbeat: Heartbeat) -> Result<bool, ChangeError> {
        if !self.0.heartbeats.lock().beat(heartbeat.clone()) {
            return Ok(false);
        }
        let state = self.0.state.clone();
        super::acks::store_outcome(
            tokio::task::spawn_blocking(move || state.put_heartbeat(&heartbeat)).await,
        )?;
        self.look_after_heartbeats();
        Ok(true)
    }

    /// A heartbeat is no longer expected; false where it was not.
    pub async fn forget_heartbeat(&self, name: &str) -> Result<bool, ChangeError> {
        let (state, stored) = (self.0.state.clone(), name.to_owned());
        super::acks::store_outcome(
            tokio::task::spawn_blocking(move || state.forget_heartbeat(&stored)).await,
        )?;
        Ok(self.0.heartbeats.lock().remove(name))
    }

    /// All heartbeats.
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        self.0.heartbeats.lock().iter().cloned().collect()
    }

    /// Alerts of those that are missed, the end of those that have come again, and our own sign of life.
    pub(super) fn look_after_heartbeats(&self) {
        let now = self.now();
        let mut alerts = Vec::new();
        for heartbeat in self.heartbeats() {
            let mut labels = heartbeat.labels.clone();
            labels.insert("alertname".to_owned(), MISSED_ALERT.to_owned());
            labels.insert("heartbeat".to_owned(), heartbeat.name.clone());
            labels.entry("severity".to_owned()).or_insert_with(|| "critical".to_owned());
            let is_missed = heartbeat.is_missed(now);
            let labels = Labels::from_pairs(&labels);
            let known = self.dispatcher().alert(Fingerprint::of(&labels));
            if !is_missed && known.is_none_or(|alert| alert.is_resolved(now)) {
                continue;
            }
            let since = (heartbeat.at + heartbeat.every_ns).min(now);
            let summary = format!(
                "Nothing was heard of {} for {} s.",
                heartbeat.name,
                (now - heartbeat.at) / seconds(1)
            );
            let ends_at = if is_missed { now + LIFE_NS } else { now };
            alerts.push(own_alert(labels, &summary, since, ends_at, now));
        }
        if self.0.settings.self_check {
            let labels = Labels::from_pairs([("alertname", SELF_CHECK_ALERT), ("severity", "none")]);
            let summary = "This alert always fires: when it stops to arrive, nothing else arrives either.";
            alerts.push(own_alert(labels, summary, self.0.started_at, now + LIFE_NS, now));
        }
        if !alerts.is_empty() {
            self.receive(alerts);
        }
    }
}

fn own_alert(labels: Labels, summary: &str, starts_at: i64, ends_at: i64, now: i64) -> Alert {
    Alert {
        fingerprint: Fingerprint::of(&labels),
        labels,
        annotations: Labels::from_pairs([("summary", summary)]),
        starts_at: starts_at.min(ends_at),
        ends_at,
        updated_at: now,
        timeout: false,
        generator_url: String::new(),
    }
}
