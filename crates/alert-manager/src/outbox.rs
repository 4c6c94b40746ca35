//! What has not arrived yet: kept on disk, tried again with growing pauses, one attempt at a time for each integration.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::TimestampNs;
use serde::{Deserialize, Serialize};

use crate::letter::Letter;
use crate::times::seconds;

/// The pause after the first failure; it doubles each time.
const PAUSE_FIRST_NS: i64 = seconds(5);
/// The longest pause.
const PAUSE_MAX_NS: i64 = seconds(300);
/// The most parcels; further ones are left to the group's next flush.
pub const PARCELS_MAX: usize = 20_000;

/// A letter with its address. Its key is the one of the notification log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// The letter.
    pub letter: Letter,
    /// Whom it goes to.
    pub lane: Lane,
    /// Since when it has been tried.
    pub since: TimestampNs,
    /// How often.
    pub attempts: u32,
    /// Why it last failed.
    pub last_error: String,
    /// Whether the fallback receiver has been told instead.
    pub fallback_told: bool,
}

impl Parcel {
    /// What it is found by.
    pub fn key(&self) -> &str {
        &self.letter.entry.key
    }
}

/// An integration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// The receiver.
    pub receiver: String,
    /// The kind of integration.
    pub kind: String,
    /// Its place among those of its kind.
    pub idx: usize,
}

#[derive(Debug, Default)]
struct Pace {
    next: TimestampNs,
    pause_ns: i64,
    busy: bool,
}

/// All parcels, with the pace of each integration.
#[derive(Debug, Default)]
pub struct Outbox {
    parcels: BTreeMap<String, Parcel>,
    paces: BTreeMap<Lane, Pace>,
}

impl Outbox {
    /// Takes a parcel in; one with its key is replaced, and the time since which somebody waits is kept. False where there
    /// are too many.
    pub fn put(&mut self, parcel: &mut Parcel, now: TimestampNs) -> bool {
        match self.parcels.get(parcel.key()) {
            Some(old) => {
                parcel.since = parcel.since.min(old.since);
                parcel.attempts = parcel.attempts.saturating_add(old.attempts);
                parcel.fallback_told = old.fallback_told && old.letter.alerts == parcel.letter.alerts;
            }
            None if self.parcels.len() >= PARCELS_MAX => return false,
            None => {}
        }
        let pace = self.paces.entry(parcel.lane.clone()).or_default();
        if pace.pause_ns == 0 {
            (pace.pause_ns, pace.next) = (PAUSE_FIRST_NS, now + PAUSE_FIRST_NS);
        }
        self.parcels.insert(parcel.key().to_owned(), parcel.clone());
        true
    }

    /// Takes a parcel out.
    pub fn remove(&mut self, key: &str) -> Option<Parcel> {
        self.parcels.remove(key)
    }

    /// A parcel.
    pub fn get(&self, key: &str) -> Option<&Parcel> {
        self.parcels.get(key)
    }

    /// All parcels.
    pub fn iter(&self) -> impl Iterator<Item = &Parcel> {
        self.parcels.values()
    }

    /// How many wait for an integration.
    pub fn waiting(&self, lane: &Lane) -> usize {
        self.iter().filter(|parcel| parcel.lane == *lane).count()
    }

    /// For each integration whose pause is over the parcel that has waited longest; until [`Self::finished`] it gets no
    /// other. `busy`: keys that are being told otherwise.
    pub fn take_due(&mut self, now: TimestampNs, busy: &HashSet<String>) -> Vec<Parcel> {
        let mut oldest: BTreeMap<&Lane, &Parcel> = BTreeMap::new();
        for parcel in self.parcels.values().filter(|parcel| !busy.contains(parcel.key())) {
            let place = oldest.entry(&parcel.lane).or_insert(parcel);
            if (parcel.since, parcel.key()) < (place.since, place.key()) {
                *place = parcel;
            }
        }
        let mut due = Vec::new();
        for (lane, parcel) in oldest {
            let pace = self.paces.entry(lane.clone()).or_default();
            if !pace.busy && pace.next <= now {
                pace.busy = true;
                due.push(parcel.clone());
            }
        }
        due
    }

    /// An attempt is over; after one that worked the next parcel of the integration goes at once.
    pub fn finished(&mut self, lane: &Lane, worked: bool, now: TimestampNs) {
        let pace = self.paces.entry(lane.clone()).or_default();
        pace.busy = false;
        if worked {
            (pace.pause_ns, pace.next) = (0, now);
        } else {
            pace.pause_ns = (pace.pause_ns * 2).clamp(PAUSE_FIRST_NS, PAUSE_MAX_NS);
            pace.next = now + pace.pause_ns;
        }
    }

    /// Notes that the fallback receiver has been told; gives what is to be stored.
    pub fn fallback_told(&mut self, key: &str) -> Option<Parcel> {
        let parcel = self.parcels.get_mut(key)?;
        parcel.fallback_told = true;
        Some(parcel.clone())
    }

    /// Notes a failed attempt; gives what is to be stored.
    pub fn failed(&mut self, key: &str, error: &str) -> Option<Parcel> {
        let parcel = self.parcels.get_mut(key)?;
        parcel.attempts = parcel.attempts.saturating_add(1);
        parcel.last_error = error.to_owned();
        Some(parcel.clone())
    }

    /// The parcels that nobody has taken since before `limit`.
    pub fn older_than(&self, limit: TimestampNs) -> Vec<Parcel> {
        self.iter().filter(|parcel| parcel.since <= limit).cloned().collect()
    }

    /// When the next attempt is due.
    pub fn next_wakeup(&self) -> Option<TimestampNs> {
        let lanes: BTreeSet<&Lane> = self.parcels.values().map(|parcel| &parcel.lane).collect();
        let due = |lane: &&Lane| {
            self.paces.get(*lane).map_or(0, |pace| if pace.busy { i64::MAX } else { pace.next })
        };
        lanes.iter().map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification_log::{LogEntry, Reason};

    fn parcel(key: &str, receiver: &str, since: i64) -> Parcel {
        let entry = LogEntry {
            key: key.to_owned(),
            timestamp: 0,
            firing: Default::default(),
            resolved: Default::default(),
            expires_at: 0,
            memory: BTreeMap::new(),
        };
        let letter = Letter {
            receiver: receiver.to_owned(),
            group_key: String::new(),
            group_labels: BTreeMap::new(),
            route_labels: BTreeMap::new(),
            alerts: Vec::new(),
            reason: Reason::First,
            at: 0,
            known_at: None,
            entry,
        };
        let lane = Lane { receiver: receiver.to_owned(), kind: "webhook".to_owned(), idx: 0 };
        Parcel { letter, lane, since, attempts: 1, last_error: String::new(), fallback_told: false }
    }

    #[test]
    fn integrations_pause_apart_and_go_on_at_once() {
        let mut outbox = Outbox::default();
        for (key, receiver, since) in [("a2", "a", 2), ("a1", "a", 1), ("b", "b", 1)] {
            assert!(outbox.put(&mut parcel(key, receiver, since), 0));
        }
        let none = HashSet::new();
        assert!(outbox.take_due(PAUSE_FIRST_NS - 1, &none).is_empty());
        let keys = |due: Vec<Parcel>| due.iter().map(|one| one.key().to_owned()).collect::<Vec<_>>();
        assert_eq!(outbox.next_wakeup(), Some(PAUSE_FIRST_NS));
        assert_eq!(keys(outbox.take_due(PAUSE_FIRST_NS, &none)), ["a1", "b"]);
        // One attempt at a time.
        assert!(outbox.take_due(PAUSE_FIRST_NS, &none).is_empty());
        let (a, b) = (parcel("", "a", 0).lane, parcel("", "b", 0).lane);
        let mut now = PAUSE_FIRST_NS;
        outbox.finished(&b, false, now);
        outbox.remove("a1");
        outbox.finished(&a, true, now);
        assert_eq!(keys(outbox.take_due(now, &none)), ["a2"]);
        outbox.remove("a2");
        // b's pauses grow up to their limit, and a does not care.
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let next = outbox.next_wakeup().unwrap();
            pauses.push((next - now) / seconds(1));
            now = next;
            assert_eq!(keys(outbox.take_due(now, &none)), ["b"]);
            outbox.finished(&b, false, now);
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
        // What is being told otherwise is left alone.
        let busy = HashSet::from(["b".to_owned()]);
        assert!(outbox.take_due(now + seconds(600), &busy).is_empty());
    }

    #[test]
    fn a_newer_letter_takes_the_older_ones_place_and_age() {
        let mut outbox = Outbox::default();
        outbox.put(&mut parcel("k", "a", 5), 5);
        let mut newer = parcel("k", "a", 9);
        outbox.put(&mut newer, 9);
        assert_eq!((newer.since, newer.attempts), (5, 2));
        assert!(outbox.fallback_told("k").is_some_and(|parcel| parcel.fallback_told && parcel.attempts == 2));
        // The same again needs no fallback again.
        let mut same = parcel("k", "a", 9);
        outbox.put(&mut same, 9);
        assert!(same.fallback_told);
        assert_eq!(outbox.older_than(5).len(), 1);
        assert_eq!(outbox.failed("k", "down").map(|parcel| parcel.attempts), Some(4));
        assert!(outbox.remove("k").is_some() && outbox.next_wakeup().is_none());
    }
}
