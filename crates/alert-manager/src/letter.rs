//! What is told, in a form that can be kept until it has arrived.

use std::ops::Deref;
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

/// An alert of a letter: as it was received, and shared with who else has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "KeptAlert", into = "KeptAlert")]
pub struct LetterAlert(Arc<Alert>);

/// An alert of a letter as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptAlert {
    labels: Pairs,
    annotations: Pairs,
    starts_at: TimestampNs,
    ends_at: TimestampNs,
    generator_url: String,
}

impl From<LetterAlert> for KeptAlert {
    fn from(LetterAlert(alert): LetterAlert) -> Self {
        Self {
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: alert.generator_url.clone(),
        }
    }
}

impl From<KeptAlert> for LetterAlert {
    fn from(kept: KeptAlert) -> Self {
        let labels = Labels::from_pairs(&kept.labels);
        Self(Arc::new(Alert {
            fingerprint: Fingerprint::of(&labels),
            labels,
            annotations: Labels::from_pairs(&kept.annotations),
            starts_at: kept.starts_at,
            ends_at: kept.ends_at,
            updated_at: kept.starts_at,
            timeout: false,
            generator_url: kept.generator_url,
        }))
    }
}

impl From<Arc<Alert>> for LetterAlert {
    fn from(alert: Arc<Alert>) -> Self {
        Self(alert)
    }
}

impl Deref for LetterAlert {
    type Target = Alert;

    fn deref(&self) -> &Alert {
        &self.0
    }
}

/// What is kept of them is the same.
impl PartialEq for LetterAlert {
    fn eq(&self, other: &Self) -> bool {
        let said = |alert: &Self| (alert.starts_at, alert.ends_at);
        said(self) == said(other)
            && self.labels == other.labels
            && self.annotations == other.annotations
            && self.generator_url == other.generator_url
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
            alerts: notification.alerts.iter().cloned().map(LetterAlert).collect(),
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
            for (name, value) in alert.labels.iter() {
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
        self.alerts.iter().map(|alert| Arc::clone(&alert.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_kept_as_text_and_comes_back() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let alert = LetterAlert(Arc::new(Alert {
            fingerprint: Fingerprint::of(&labels),
            labels,
            annotations: Labels::from_pairs([("s", "x")]),
            starts_at: 5,
            ends_at: 9,
            updated_at: 7,
            timeout: true,
            generator_url: "http://g".to_owned(),
        }));
        let kept = serde_json::to_string(&alert).unwrap();
        let expected = r#"{"labels":{"a":"1","b":"2"},"annotations":{"s":"x"},"starts_at":5,"ends_at":9,"generator_url":"http://g"}"#;
        assert_eq!(kept, expected);
        let back: LetterAlert = serde_json::from_str(&kept).unwrap();
        assert_eq!(back, alert);
        assert_eq!(back.fingerprint, alert.fingerprint);
    }
}
