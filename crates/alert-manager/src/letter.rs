//! What is told, in a form that can be kept until it has arrived.

use std::sync::Arc;

use model::{Labels, TimestampNs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::alert::{Alert, Fingerprint};
use crate::data::{Pairs, pairs};
use crate::dispatch::Notification;
use crate::notification_log::{LogEntry, NotificationLog, Reason};

/// A message to one integration, before its templates are rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The receiver that it is written for.
    pub receiver: String,
    /// The group's key.
    pub group_key: String,
    /// The group's labels.
    pub group_labels: Pairs,
    /// The route's labels; templates.
    pub route_labels: Pairs,
    /// The alerts, in order.
    pub alerts: Vec<LetterAlert>,
    /// Why it is sent.
    pub reason: Reason,
    /// As of when.
    pub at: TimestampNs,
    /// Of when the log's entry was that this was decided by.
    #[serde(default)]
    pub known_at: Option<TimestampNs>,
    /// What is stored in the notification log once it has arrived.
    pub entry: LogEntry,
}

/// An alert of a letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterAlert {
    /// Its labels.
    pub labels: Pairs,
    /// Its annotations.
    pub annotations: Pairs,
    /// Since when.
    pub starts_at: TimestampNs,
    /// Until when.
    pub ends_at: TimestampNs,
    /// Where it comes from.
    pub generator_url: String,
}

impl LetterAlert {
    /// As it was received.
    pub fn of(alert: &Alert) -> Self {
        Self {
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: alert.generator_url.clone(),
        }
    }

    /// As an alert again.
    pub fn to_alert(&self) -> Alert {
        let labels = Labels::from_pairs(&self.labels);
        Alert {
            fingerprint: Fingerprint::of(&labels),
            labels,
            annotations: Labels::from_pairs(&self.annotations),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            updated_at: self.starts_at,
            timeout: false,
            generator_url: self.generator_url.clone(),
        }
    }
}

impl Letter {
    /// What the state machine has decided to tell.
    pub fn of(notification: &Notification) -> Self {
        Self {
            receiver: notification.receiver.clone(),
            group_key: notification.group_key.clone(),
            group_labels: pairs(&notification.group_labels),
            route_labels: notification.route_labels.clone(),
            alerts: notification.alerts.iter().map(|alert| LetterAlert::of(alert)).collect(),
            reason: notification.reason,
            at: notification.now,
            known_at: notification.known_at,
            entry: notification.entry.clone(),
        }
    }

    /// The same for all letters that say the same of the same alerts since somebody was last known to have been told: for
    /// another attempt, for one after a crash, for one of a peer. Another one for the next repeat, and for an alert that has
    /// begun anew.
    pub fn idempotency_key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(&self.entry.key);
        add(&format!("{:?}", self.known_at));
        for alert in &self.alerts {
            add(&format!("{} {}", alert.starts_at, alert.ends_at <= self.at));
            for (name, value) in &alert.labels {
                add(name);
                add(value);
            }
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Before it is sent: what has been told since it was decided on, by a late letter or by a peer, where that says it all.
    /// Else it goes out as of what is known now, so that after a crash the same is told by the same key.
    pub fn told_meanwhile(&mut self, log: &NotificationLog) -> Option<LogEntry> {
        if self.alerts.is_empty() {
            return None;
        }
        if let Some(known) = log.told_meanwhile(&self.entry, self.known_at) {
            return Some(known.clone());
        }
        self.known_at = log.get(&self.entry.key).map(|known| known.timestamp);
        None
    }

    /// How many of its alerts fire, and how many are resolved.
    pub fn counts(&self) -> (usize, usize) {
        let resolved = self.alerts.iter().filter(|alert| alert.ends_at <= self.at).count();
        (self.alerts.len() - resolved, resolved)
    }

    /// The alerts.
    pub fn alerts(&self) -> Vec<Arc<Alert>> {
        self.alerts.iter().map(|alert| Arc::new(alert.to_alert())).collect()
    }
}
