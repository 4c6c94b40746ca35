//! What was told to whom, and when: the reason why nobody is told twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::TimestampNs;
use serde::{Deserialize, Serialize};

use crate::times::seconds;

/// How long an entry is remembered after it has no effect on decisions any more: a letter's idempotency key is made from its
/// time, and must not be one that a receiver has seen lately.
const REMEMBERED_NS: i64 = seconds(86_400);

/// The last successful notification of a group to one integration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogEntry {
    /// Group, receiver and integration.
    pub key: String,
    /// When.
    pub timestamp: TimestampNs,
    /// Fingerprints of the alerts that were told as firing.
    pub firing: BTreeSet<u64>,
    /// Fingerprints of the alerts that were told as resolved.
    pub resolved: BTreeSet<u64>,
    /// When the entry may be forgotten.
    pub expires_at: TimestampNs,
    /// What the integration wants to know at its next message.
    #[serde(default)]
    pub memory: BTreeMap<String, String>,
}

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The group is new.
    First,
    /// Alerts have come.
    NewAlerts,
    /// Some have gone.
    SomeResolved,
    /// All have gone.
    AllResolved,
    /// Nothing has changed for long.
    Repeat,
}

impl Reason {
    /// The words that templates and webhooks see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// The log, by key.
#[derive(Debug, Default)]
pub struct NotificationLog(HashMap<String, LogEntry>);

/// What a group is now.
#[derive(Debug)]
pub struct Present<'p> {
    /// Fingerprints of its firing alerts.
    pub firing: &'p BTreeSet<u64>,
    /// Fingerprints of its resolved alerts.
    pub resolved: &'p BTreeSet<u64>,
    /// Whether the integration is told of resolved alerts.
    pub send_resolved: bool,
    /// After how long an unchanged group is told again, in ns.
    pub repeat_interval_ns: i64,
}

impl NotificationLog {
    /// The key of a group's notifications to one integration.
    pub fn key(group_key: &str, receiver: &str, kind: &str, idx: usize) -> String {
        format!("{group_key}:{receiver}/{kind}/{idx}")
    }

    /// Takes entries over that have been stored; of two with a key the later one stays.
    pub fn apply(&mut self, entry: LogEntry) {
        self.merge(entry);
    }

    /// Whether an entry is later than what is known; of two of a time, either way the same.
    pub fn is_news(&self, entry: &LogEntry) -> bool {
        self.0.get(&entry.key).is_none_or(|known| (known.timestamp, known) < (entry.timestamp, entry))
    }

    /// Takes one over where it is news.
    pub fn merge(&mut self, entry: LogEntry) -> bool {
        let is_news = self.is_news(&entry);
        if is_news {
            self.0.insert(entry.key.clone(), entry);
        }
        is_news
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &LogEntry> {
        self.0.values()
    }

    /// Notes what has just been told. It replaces what was known whatever the clock says: the clock may have been set back.
    pub fn set(&mut self, entry: LogEntry) {
        self.0.insert(entry.key.clone(), entry);
    }

    /// The entry, where what is to be told has been told since that was decided, by a late letter or by a peer; `known_at`: the
    /// entry's time then.
    pub fn told_meanwhile(&self, entry: &LogEntry, known_at: Option<TimestampNs>) -> Option<&LogEntry> {
        let known = self.0.get(&entry.key)?;
        (says_all(known, entry) && known_at != Some(known.timestamp)).then_some(known)
    }

    /// An entry.
    pub fn get(&self, key: &str) -> Option<&LogEntry> {
        self.0.get(key)
    }

    /// Whether an integration is to be told, and why.
    pub fn decide(&self, key: &str, present: &Present<'_>, now: TimestampNs) -> Option<Reason> {
        let entry = self.0.get(key).filter(|entry| entry.expires_at > now);
        let Some(entry) = entry else {
            return (!present.firing.is_empty()).then_some(Reason::First);
        };
        Self::decide_by(entry, present, now)
    }

    /// Like [`Self::decide`], with what has been sent and not confirmed: it may have arrived with its answer lost. As long as
    /// that is so the log is no proof of what the receiver was last told: where it alone would keep us quiet, what is now is
    /// told, be it once more.
    pub fn decide_with(
        &self,
        key: &str,
        awaited: Option<&LogEntry>,
        present: &Present<'_>,
        now: TimestampNs,
    ) -> Option<Reason> {
        let reason = self.decide(key, present, now);
        let (None, Some(awaited)) = (reason, awaited) else {
            return reason;
        };
        // What fired and is over before anybody was told of it has to be told as it was.
        let known = self.0.get(key).filter(|entry| entry.expires_at > now);
        if present.firing.is_empty() && known.is_none_or(|entry| entry.firing.is_empty()) {
            return None;
        }
        let reason = Self::decide_by(awaited, present, now).filter(|reason| *reason != Reason::Repeat);
        Some(reason.unwrap_or(Reason::NewAlerts))
    }

    fn decide_by(entry: &LogEntry, present: &Present<'_>, now: TimestampNs) -> Option<Reason> {
        if !present.firing.is_subset(&entry.firing) {
            return Some(Reason::NewAlerts);
        }
        if present.firing.is_empty() {
            return (!entry.firing.is_empty()).then_some(Reason::AllResolved);
        }
        if present.send_resolved && !present.resolved.is_subset(&entry.resolved) {
            return Some(Reason::SomeResolved);
        }
        (entry.timestamp < now - present.repeat_interval_ns).then_some(Reason::Repeat)
    }

    /// The keys of entries that may be forgotten.
    pub fn outdated(&self, now: TimestampNs) -> Vec<String> {
        let is_outdated = |entry: &&LogEntry| entry.expires_at.saturating_add(REMEMBERED_NS) <= now;
        let mut keys: Vec<String> =
            self.0.values().filter(is_outdated).map(|entry| entry.key.clone()).collect();
        keys.sort();
        keys
    }

    /// Forgets entries.
    pub fn forget(&mut self, keys: &[String]) {
        for key in keys {
            self.0.remove(key);
        }
    }
}

/// Whether who has been told `known` needs not be told `entry`.
pub fn says_all(known: &LogEntry, entry: &LogEntry) -> bool {
    // That all is over is told once, whatever else has ended meanwhile.
    match entry.firing.is_empty() {
        true => known.firing.is_empty(),
        false => entry.firing.is_subset(&known.firing) && entry.resolved.is_subset(&known.resolved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_follow_what_was_told() {
        let set = |hashes: &[u64]| hashes.iter().copied().collect::<BTreeSet<u64>>();
        let entry = |firing: &[u64], resolved: &[u64]| LogEntry {
            key: "k".to_owned(),
            timestamp: 100,
            firing: set(firing),
            resolved: set(resolved),
            expires_at: 1000,
            memory: BTreeMap::new(),
        };
        // entry, firing, resolved, send_resolved, now => reason
        for (logged, firing, resolved, send_resolved, now, expected) in [
            (None, &[1][..], &[][..], true, 110, Some(Reason::First)),
            (None, &[], &[1], true, 110, None),
            (Some(entry(&[1], &[])), &[1], &[], true, 110, None),
            (Some(entry(&[1], &[])), &[1, 2], &[], true, 110, Some(Reason::NewAlerts)),
            (Some(entry(&[1, 2], &[])), &[1], &[2], true, 110, Some(Reason::SomeResolved)),
            (Some(entry(&[1, 2], &[])), &[1], &[2], false, 110, None),
            (Some(entry(&[1], &[2])), &[1], &[2], true, 110, None),
            (Some(entry(&[1], &[])), &[], &[1], true, 110, Some(Reason::AllResolved)),
            (Some(entry(&[1], &[])), &[], &[1], false, 110, Some(Reason::AllResolved)),
            (Some(entry(&[], &[1])), &[], &[1], true, 110, None),
            (Some(entry(&[1], &[])), &[1], &[], true, 151, Some(Reason::Repeat)),
            (Some(entry(&[1], &[])), &[1], &[], true, 1000, Some(Reason::First)),
        ] {
            let mut log = NotificationLog::default();
            if let Some(logged) = logged.clone() {
                log.apply(logged);
            }
            let (firing_set, resolved_set) = (set(firing), set(resolved));
            let present = Present {
                firing: &firing_set,
                resolved: &resolved_set,
                send_resolved,
                repeat_interval_ns: 50,
            };
            assert_eq!(log.decide("k", &present, now), expected, "{logged:?} {firing:?} {resolved:?} {now}");
        }
    }
}
