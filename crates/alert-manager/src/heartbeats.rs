//! Heartbeats that come in: what is expected to report and does not becomes an alert.

use std::collections::BTreeMap;

use model::TimestampNs;
use serde::{Deserialize, Serialize};

/// A heartbeat as it was last received. Times are ns since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Its name.
    pub name: String,
    /// When it was last received.
    pub at: TimestampNs,
    /// How long after that it is missed, in ns.
    pub every_ns: i64,
    /// Labels of the alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Heartbeat {
    /// Whether it is missed.
    pub fn is_missed(&self, now: TimestampNs) -> bool {
        self.at.saturating_add(self.every_ns) <= now
    }
}

/// The most heartbeats that are known.
pub const HEARTBEATS_MAX: usize = 10_000;

/// All heartbeats by name.
#[derive(Debug, Default)]
pub struct Heartbeats(BTreeMap<String, Heartbeat>);

impl Heartbeats {
    /// Those that were stored.
    pub fn new(stored: Vec<Heartbeat>) -> Self {
        Self(stored.into_iter().map(|heartbeat| (heartbeat.name.clone(), heartbeat)).collect())
    }

    /// One has come. False where there are too many.
    pub fn beat(&mut self, heartbeat: Heartbeat) -> bool {
        if self.0.len() >= HEARTBEATS_MAX && !self.0.contains_key(&heartbeat.name) {
            return false;
        }
        self.0.insert(heartbeat.name.clone(), heartbeat);
        true
    }

    /// One is no longer expected; false where it was not.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Heartbeat> {
        self.0.values()
    }

    /// A start: nobody could be heard while we were away, so each has its whole time again.
    pub fn forgive(&mut self, now: TimestampNs) {
        for heartbeat in self.0.values_mut() {
            heartbeat.at = heartbeat.at.max(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_missed_but_not_for_our_own_absence() {
        let beat =
            |name: &str, at| Heartbeat { name: name.to_owned(), at, every_ns: 60, labels: BTreeMap::new() };
        let mut all = Heartbeats::new(vec![beat("a", 0), beat("b", 100)]);
        let missed = |all: &Heartbeats, now| {
            all.iter().filter(|one| one.is_missed(now)).map(|one| one.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(missed(&all, 59), Vec::<String>::new());
        assert_eq!(missed(&all, 60), ["a"]);
        assert!(all.beat(beat("a", 130)));
        assert_eq!(missed(&all, 160), ["b"]);
        all.forgive(1000);
        assert_eq!(missed(&all, 1059), Vec::<String>::new());
        assert_eq!(missed(&all, 1060), ["a", "b"]);
        assert!(all.remove("a") && !all.remove("a"));
        for number in 0..HEARTBEATS_MAX {
            all.beat(beat(&number.to_string(), 0));
        }
        assert!(!all.beat(beat("one more", 0)) && all.beat(beat("b", 0)));
    }
}
