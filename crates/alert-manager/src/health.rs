//! How the integrations are doing: for status pages, the health API and the alert that one of them fails.

use std::collections::BTreeMap;

use model::TimestampNs;
use parking_lot::Mutex;

use crate::config::Config;

/// What is known of one integration since the start. Times are ns since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrationHealth {
    /// When it was last tried.
    pub last_attempt: Option<TimestampNs>,
    /// When it last worked.
    pub last_success: Option<TimestampNs>,
    /// What went wrong last, without secrets.
    pub last_error: Option<String>,
    /// Since when no attempt has worked; none while the last one did.
    pub failing_since: Option<TimestampNs>,
    /// Failed attempts since the last that worked.
    pub failures: u64,
}

impl IntegrationHealth {
    /// `untried`, `ok` or `failing`
    pub fn state(&self) -> &'static str {
        match (self.last_attempt, self.failing_since) {
            (None, _) => "untried",
            (Some(_), None) => "ok",
            (Some(_), Some(_)) => "failing",
        }
    }
}

/// A receiver's integration: the receiver's name, the kind, its place among those of its kind.
pub type IntegrationId = (String, &'static str, usize);

/// The health of all integrations; bounded by the configuration.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<IntegrationId, IntegrationHealth>>);

impl Health {
    /// An attempt worked.
    pub fn succeeded(&self, id: &IntegrationId, now: TimestampNs) {
        let mut all = self.0.lock();
        let health = all.entry(id.clone()).or_default();
        (health.last_attempt, health.last_success) = (Some(now), Some(now));
        (health.failing_since, health.failures) = (None, 0);
    }

    /// An attempt failed.
    pub fn failed(&self, id: &IntegrationId, error: &str, now: TimestampNs) {
        let mut all = self.0.lock();
        let health = all.entry(id.clone()).or_default();
        health.last_attempt = Some(now);
        health.last_error = Some(error.to_owned());
        health.failing_since.get_or_insert(now);
        health.failures += 1;
    }

    /// Forgets integrations that the configuration does not have.
    pub fn keep(&self, config: &Config) {
        self.0.lock().retain(|(receiver, kind, idx), _| {
            config.receiver(receiver).is_some_and(|receiver| {
                receiver.integrations.iter().any(|one| one.kind.name() == *kind && one.idx == *idx)
            })
        });
    }

    /// What is known of an integration.
    pub fn of(&self, id: &IntegrationId) -> IntegrationHealth {
        self.0.lock().get(id).cloned().unwrap_or_default()
    }

    /// The integrations that have failed since before `limit`, with how they do.
    pub fn failing_since_before(&self, limit: TimestampNs) -> Vec<(IntegrationId, IntegrationHealth)> {
        let all = self.0.lock();
        let failing =
            all.iter().filter(|(_, health)| health.failing_since.is_some_and(|since| since <= limit));
        failing.map(|(id, health)| (id.clone(), health.clone())).collect()
    }

    /// What went wrong last with a receiver whose integrations do not all work.
    pub fn last_error(&self, receiver: &str) -> Option<String> {
        let all = self.0.lock();
        let failing =
            all.iter().filter(|((name, ..), health)| name == receiver && health.failing_since.is_some());
        let latest = failing.max_by_key(|(_, health)| health.last_attempt);
        latest.and_then(|((_, kind, idx), health)| {
            health.last_error.as_ref().map(|error| format!("{kind}[{idx}]: {error}"))
        })
    }
}
