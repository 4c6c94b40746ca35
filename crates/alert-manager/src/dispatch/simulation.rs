//! Random histories by seed on a virtual clock: alerts that flap, silences, receivers that fail or whose answers are lost,
//! crashes, clocks that jump. What must always hold is checked after each second.
//!
//! `ALERT_SIM_RUNS` sets how many seeds are run, `ALERT_SIM_SECONDS` how long each is disturbed; `ALERT_SIM_SEED` runs one alone
//! and prints what happens.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sys::{Rng, SeededRng};

use super::*;
use crate::alert::told_hash;
use crate::letter::Letter;
use crate::matchers::MatcherMode;
use crate::outbox::{Lane, Outbox, Parcel};
use crate::silences::{Silence, SilenceMatcher};

pub(super) const S: i64 = 1_000_000_000;
pub(super) const START: i64 = 1_700_000_000 * S;
const CONFIG: &str =
    "route: {receiver: r, group_by: [g], group_wait: 5s, group_interval: 20s, repeat_interval: 3m}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]
inhibit_rules: [{source_matchers: ['sev=\"high\"'], target_matchers: ['sev=\"low\"'], equal: [g]}]";
const GROUP_WAIT_S: i64 = 5;
pub(super) const GROUP_INTERVAL_S: i64 = 20;
pub(super) const REPEAT_S: i64 = 180;
/// The longest that an answer takes.
const LATENCY_MAX_S: i64 = 3;
/// How many histories are run where nothing else is said, and how many of them are long.
const RUNS: u64 = 10_000;
const LONG_RUNS: u64 = 100;
/// Seeds that have found something when they ran long.
const FOUND: [u64; 2] = [2465, 2902];
/// For how many seconds a history is disturbed.
const LONG_S: u64 = 400;
const SHORT_S: u64 = 80;
/// How often a sender sends what fires.
pub(super) const RESEND_S: i64 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Works,
    Fails,
    /// It takes the message, and we are told that it failed.
    LosesAnswers,
}

/// What a restart finds.
#[derive(Debug, Default)]
struct Disk {
    log: BTreeMap<String, LogEntry>,
    silences: BTreeMap<String, Silence>,
    parcels: BTreeMap<String, Parcel>,
}

/// A letter under way.
#[derive(Debug)]
struct Flight {
    letter: Letter,
    /// Whom to answer; none for one from the outbox.
    of: Option<(GroupId, u64, usize)>,
    done_s: i64,
    mode: Mode,
}

/// A message as the receiver has got it.
#[derive(Debug)]
struct Got {
    at: i64,
    firing: BTreeSet<u64>,
    resolved: BTreeSet<u64>,
    idempotency_key: String,
    starts: Vec<i64>,
    /// Whether we know of it: no crash and no lost answer fell between sending and logging.
    is_confirmed: bool,
}

/// What the receiver has got by one key.
#[derive(Debug, Default)]
struct Seen {
    last: Option<Got>,
    /// Whether it has been told of something that fires since it was last told that all is over.
    fires: bool,
    ever: BTreeSet<u64>,
    attempted: BTreeSet<u64>,
    /// An attempt since has failed, as far as we know: it may have been one whose answer was lost.
    has_failed: bool,
    /// What the last letter that was decided on, or what a crash has left, says to be firing.
    decided: BTreeSet<u64>,
}

struct World {
    rng: SeededRng,
    config: Arc<Config>,
    dispatcher: Dispatcher,
    outbox: Outbox,
    disk: Disk,
    /// Seconds since the start; it only grows. The wall clock is this and its jumps.
    second: i64,
    jumped_ns: i64,
    mode: Mode,
    firing: BTreeMap<u64, (Labels, i64)>,
    /// Resolved alerts and when: senders repeat them for a while.
    over: BTreeMap<u64, (Labels, i64, i64)>,
    flights: Vec<Flight>,
    queued: VecDeque<Flight>,
    seen: BTreeMap<String, Seen>,
    /// Since when (in seconds) nothing has kept an alert from being told.
    ready_since: HashMap<u64, i64>,
    /// Since when nothing has kept an alert from being attempted, and how long that may take.
    due_since: HashMap<u64, (i64, i64)>,
    /// Until then a jump of the clock has effects: what the senders' next message puts right.
    unsettled_until: i64,
    /// The silences that were ended.
    ended: BTreeSet<String>,
    silence_no: u64,
    duplicates: usize,
    arrivals: usize,
    /// Whether it is told what happens.
    is_told: bool,
}

impl World {
    fn new(seed: u64, config: &Arc<Config>) -> Self {
        Self {
            rng: SeededRng::new(seed),
            dispatcher: fresh(config),
            config: Arc::clone(config),
            outbox: Outbox::default(),
            disk: Disk::default(),
            second: 0,
            jumped_ns: 0,
            mode: Mode::Works,
            firing: BTreeMap::new(),
            over: BTreeMap::new(),
            flights: Vec::new(),
            queued: VecDeque::new(),
            seen: BTreeMap::new(),
            ready_since: HashMap::new(),
            due_since: HashMap::new(),
            unsettled_until: 0,
            ended: BTreeSet::new(),
            silence_no: 0,
            duplicates: 0,
            arrivals: 0,
            is_told: std::env::var_os("ALERT_SIM_SEED").is_some(),
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>4}s {:>5}s {}", self.second, self.jumped_ns / S, what());
        }
    }

    fn now(&self) -> i64 {
        START + self.second * S + self.jumped_ns
    }

    fn chance(&self, one_in: u64) -> bool {
        self.rng.below(one_in) == 0
    }

    /// One second with whatever happens in it.
    fn step(&mut self, is_quiet: bool) {
        self.second += 1;
        if !is_quiet {
            self.disturb();
        }
        if self.second % RESEND_S == 0 {
            self.send_all();
        }
        let actions = self.dispatcher.step(self.now(), Event::Tick);
        self.carry_out(actions);
        if self.chance(60) {
            self.dispatcher.collect_garbage(self.now());
        }
        // Only here letters leave, so that each finds what those before it have come to.
        self.land();
        self.post();
        self.check();
    }

    fn disturb(&mut self) {
        if self.chance(12) {
            self.flap();
        }
        if self.chance(90) {
            self.silence();
        }
        if self.chance(150) {
            self.expire_a_silence();
        }
        if self.chance(60) {
            self.mode = match self.rng.below(4) {
                0 => Mode::Fails,
                1 => Mode::LosesAnswers,
                _ => Mode::Works,
            };
            self.tell(|| format!("mode {:?}", self.mode));
            self.ready_since.clear();
        }
        if self.chance(200) {
            self.tell(|| "crash".to_owned());
            self.crash();
        }
        if self.chance(400) {
            let by = self.rng.below(600) as i64 - 200;
            self.jumped_ns += by * S;
            self.unsettled_until = self.second + RESEND_S;
            self.tell(|| format!("clock jumps by {by}s"));
            self.ready_since.clear();
        }
    }

    fn flap(&mut self) {
        let (group, alert) = (self.rng.below(3), self.rng.below(4));
        let severity = if alert == 0 { "high" } else { "low" };
        let labels = Labels::from_pairs([
            ("a", alert.to_string().as_str()),
            ("g", group.to_string().as_str()),
            ("sev", severity),
        ]);
        let fingerprint = told_hash(&labels);
        let now = self.now();
        self.tell(|| {
            format!("flap {fingerprint} g{group} a{alert}, fired {}", self.firing.contains_key(&fingerprint))
        });
        if let Some((labels, starts_at)) = self.firing.remove(&fingerprint) {
            self.over.insert(fingerprint, (labels, starts_at, now.max(starts_at)));
        } else {
            self.over.remove(&fingerprint);
            self.firing.insert(fingerprint, (labels, now));
        }
        self.send_all();
    }

    /// A sender sends what fires, and for a while what no longer does.
    fn send_all(&mut self) {
        let now = self.now();
        self.over.retain(|_, (_, _, ends_at)| now - *ends_at < 900 * S);
        let alert = |labels: &Labels, starts_at: i64, ends_at: i64| Alert {
            labels: labels.clone(),
            annotations: Labels::empty(),
            starts_at: starts_at.min(ends_at),
            ends_at,
            updated_at: now,
            timeout: false,
            generator_url: String::new(),
            fingerprint: Fingerprint::of(labels),
        };
        let mut alerts: Vec<Alert> =
            self.firing.values().map(|(labels, since)| alert(labels, *since, now + 240 * S)).collect();
        alerts.extend(self.over.values().map(|(labels, since, end)| alert(labels, *since, (*end).min(now))));
        let actions = self.dispatcher.step(now, Event::Alerts(alerts));
        self.carry_out(actions);
    }

    fn silence(&mut self) {
        self.silence_no += 1;
        let now = self.now();
        let (name, value) = match self.rng.below(2) {
            0 => ("g", self.rng.below(3).to_string()),
            _ => ("a", self.rng.below(4).to_string()),
        };
        self.tell(|| format!("silence {name}={value}"));
        let silence = Silence {
            id: self.silence_no.to_string(),
            matchers: vec![SilenceMatcher { name: name.to_owned(), value, is_regex: false, is_equal: true }],
            starts_at: now + self.rng.below(30) as i64 * S,
            ends_at: now + (30 + self.rng.below(120) as i64) * S,
            updated_at: now,
            created_by: String::new(),
            comment: String::new(),
            annotations: BTreeMap::new(),
        };
        let records = self.dispatcher.silences.prepare(
            Silence { id: String::new(), ..silence },
            self.silence_no.to_string(),
            now,
        );
        self.store_silences(records.unwrap());
    }

    fn expire_a_silence(&mut self) {
        let ids: Vec<String> = self.disk.silences.keys().cloned().collect();
        if ids.is_empty() {
            return;
        }
        let id = &ids[self.rng.below(ids.len() as u64) as usize];
        let records = self.dispatcher.silences.prepare_expire(id, self.now()).unwrap();
        self.tell(|| format!("silence {id} is ended, {} changes", records.len()));
        self.ended.extend(records.iter().map(|silence| silence.id.clone()));
        self.store_silences(records);
    }

    fn store_silences(&mut self, records: Vec<Silence>) {
        for record in &records {
            self.disk.silences.insert(record.id.clone(), record.clone());
        }
        self.dispatcher.silences.apply(records);
    }

    /// All that is not on disk is gone. What was under way has arrived or not; nobody knows.
    fn crash(&mut self) {
        // A first attempt under way is not on disk yet: that its alerts are told is up to their senders now.
        let first = self.flights.iter().chain(&self.queued).filter(|flight| flight.of.is_some());
        for flight in first {
            let entry = &flight.letter.entry;
            let seen = self.seen.entry(entry.key.clone()).or_default();
            seen.attempted.retain(|fingerprint| !entry.firing.contains(fingerprint));
        }
        for flight in std::mem::take(&mut self.flights) {
            if flight.mode != Mode::Fails && self.chance(2) {
                self.arrive(&flight.letter, false);
            }
        }
        self.queued.clear();
        self.dispatcher = fresh(&self.config);
        self.dispatcher.silences.apply(self.disk.silences.values().cloned().collect());
        for (key, seen) in &mut self.seen {
            seen.decided = self.disk.log.get(key).map(|entry| entry.firing.clone()).unwrap_or_default();
        }
        for entry in self.disk.log.values() {
            self.dispatcher.log.apply(entry.clone());
        }
        self.outbox = Outbox::default();
        let now = self.now();
        for parcel in self.disk.parcels.values_mut() {
            self.dispatcher.await_arrival(&parcel.letter.group_key, &parcel.letter.entry);
            self.outbox.put(parcel, now);
        }
        self.ready_since.clear();
        self.due_since.clear();
        self.send_all();
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            let Action::Notify(notification) = action else { continue };
            let letter = Letter::of(&notification);
            self.tell(|| {
                format!(
                    "decided {} {:?} {:?} {:?}",
                    letter.group_key, letter.reason, letter.entry.firing, letter.entry.resolved
                )
            });
            for alert in letter.alerts().iter().filter(|alert| !alert.is_resolved(letter.at)) {
                assert!(
                    !self.is_silenced(&alert.labels),
                    "{}s: {} is told though it is silenced",
                    self.second,
                    alert.labels
                );
            }
            let seen = self.seen.entry(letter.entry.key.clone()).or_default();
            seen.attempted.extend(&letter.entry.firing);
            seen.decided.clone_from(&letter.entry.firing);
            let of = Some((notification.group, notification.flush, notification.position));
            self.queued.push_back(Flight { letter, of, done_s: 0, mode: Mode::Works });
        }
    }

    /// One letter at a time for each key.
    fn take_off(&mut self) {
        let mut busy: HashSet<String> = self.flights.iter().map(|one| one.letter.entry.key.clone()).collect();
        for mut flight in std::mem::take(&mut self.queued) {
            let key = flight.letter.entry.key.clone();
            if !busy.insert(key.clone()) {
                self.queued.push_back(flight);
                continue;
            }
            if flight.of.is_none() {
                let Some(parcel) = self.outbox.get(&key) else {
                    busy.remove(&key);
                    self.outbox.finished(&lane(), true, self.now());
                    continue;
                };
                flight.letter = parcel.letter.clone();
            }
            // As the manager does: what a late letter has said already is not said again.
            let known = match flight.of {
                Some(_) => flight.letter.told_meanwhile(&self.dispatcher.log),
                None => None,
            };
            if let Some(known) = known {
                busy.remove(&key);
                // It says more than what was decided on since: that need not be told any more.
                self.seen.entry(key).or_default().decided.clone_from(&known.firing);
                self.answer(flight.of, Some(known));
                continue;
            }
            flight.mode = self.mode;
            self.tell(|| {
                format!(
                    "takes off {} {:?} outbox {} {:?}",
                    flight.letter.group_key,
                    flight.letter.entry.firing,
                    flight.of.is_none(),
                    flight.mode
                )
            });
            flight.done_s = self.second + self.rng.below(LATENCY_MAX_S as u64) as i64;
            self.flights.push(flight);
        }
    }

    fn answer(&mut self, of: Option<(GroupId, u64, usize)>, entry: Option<LogEntry>) {
        let (group, flush, position) = of.unwrap_or((GroupId(0), 0, 0));
        let delivered = Delivered { group, flush, position, entry };
        let actions = self.dispatcher.step(self.now(), Event::Delivered(delivered));
        self.carry_out(actions);
    }

    fn land(&mut self) {
        let second = self.second;
        let (done, under_way): (Vec<Flight>, Vec<Flight>) =
            std::mem::take(&mut self.flights).into_iter().partition(|flight| flight.done_s <= second);
        self.flights = under_way;
        for flight in done {
            let Flight { letter, of, mode, .. } = flight;
            let key = letter.entry.key.clone();
            let is_told = !letter.alerts.is_empty();
            if is_told && mode != Mode::Works {
                if mode == Mode::LosesAnswers {
                    self.arrive(&letter, false);
                }
                // From here a failure and a lost answer look the same.
                self.seen.entry(key.clone()).or_default().has_failed = true;
                self.keep(letter, of.is_none());
                if of.is_some() {
                    self.answer(of, None);
                }
                continue;
            }
            let mut entry = letter.entry.clone();
            if is_told {
                self.arrive(&letter, true);
                if of.is_none() {
                    self.arrived_late(&entry);
                    entry.expires_at += self.now() - entry.timestamp;
                    entry.timestamp = self.now();
                }
            }
            self.disk.log.insert(key.clone(), entry.clone());
            if is_told {
                self.supersede(&entry);
            }
            if is_told && self.outbox.remove(&key).is_some() {
                self.disk.parcels.remove(&key);
                self.dispatcher.settle(&key);
            }
            if of.is_none() {
                self.outbox.finished(&lane(), true, self.now());
            }
            self.answer(of, Some(entry));
        }
        self.take_off();
    }

    /// What comes late may be out of date: the group's next flush puts it right.
    fn arrived_late(&mut self, entry: &LogEntry) {
        self.ready_since.clear();
        let is_followed = self.queued.iter().any(|flight| flight.letter.entry.key == entry.key);
        if !is_followed {
            self.seen.entry(entry.key.clone()).or_default().decided.clone_from(&entry.firing);
            self.due_since.clear();
        }
    }

    fn keep(&mut self, letter: Letter, is_from_outbox: bool) {
        let now = self.now();
        let key = letter.entry.key.clone();
        if is_from_outbox {
            if let Some(changed) = self.outbox.failed(&key, "down") {
                self.disk.parcels.insert(key, changed);
            }
            self.outbox.finished(&lane(), false, now);
            return;
        }
        self.supersede(&letter.entry);
        let mut parcel = Parcel {
            letter,
            lane: lane(),
            since: now,
            attempts: 1,
            last_error: "down".to_owned(),
            fallback_told: false,
        };
        assert!(self.outbox.put(&mut parcel, now));
        self.dispatcher.await_arrival(&parcel.letter.group_key, &parcel.letter.entry);
        self.disk.parcels.insert(key, parcel);
    }

    /// What a newer letter does not say any more, as it is silenced, inhibited or forgotten, need not arrive.
    fn supersede(&mut self, entry: &LogEntry) {
        let Some(old) = self.outbox.get(&entry.key) else { return };
        let seen = self.seen.entry(entry.key.clone()).or_default();
        let said =
            |fingerprint: &u64| entry.firing.contains(fingerprint) || entry.resolved.contains(fingerprint);
        for gone in old.letter.entry.firing.iter().filter(|fingerprint| !said(fingerprint)) {
            seen.attempted.remove(gone);
        }
        // The same of a letter before it, whose resolved alerts this one has dropped.
        for gone in old.letter.entry.resolved.iter().filter(|fingerprint| !said(fingerprint)) {
            seen.attempted.remove(gone);
        }
    }

    fn post(&mut self) {
        let busy: HashSet<String> =
            self.flights.iter().chain(&self.queued).map(|one| one.letter.entry.key.clone()).collect();
        for parcel in self.outbox.take_due(self.now(), &busy) {
            self.queued.push_back(Flight { letter: parcel.letter, of: None, done_s: 0, mode: Mode::Works });
        }
        self.take_off();
    }

    /// The receiver has got a message.
    fn arrive(&mut self, letter: &Letter, is_confirmed: bool) {
        self.arrivals += 1;
        let (second, now, entry) = (self.second, self.now(), &letter.entry);
        self.tell(|| {
            format!("arrives {} {:?} {:?} {is_confirmed}", letter.group_key, entry.firing, entry.resolved)
        });
        let seen = self.seen.entry(entry.key.clone()).or_default();
        let starts: Vec<i64> = letter.alerts.iter().map(|alert| alert.starts_at).collect();
        let idempotency_key = letter.idempotency_key();
        if let Some(last) = &seen.last
            && (&last.firing, &last.resolved) == (&entry.firing, &entry.resolved)
            && letter.at - last.at < REPEAT_S * S
        {
            assert!(
                !last.is_confirmed || seen.has_failed,
                "{second}s {}: told twice within the repeat interval: {letter:?}",
                entry.key
            );
            // That it is the same is for the receiver to see.
            assert!(
                last.is_confirmed || last.starts != starts || last.idempotency_key == idempotency_key,
                "{second}s {}: told once more by another idempotency key",
                entry.key
            );
            self.duplicates += 1;
        }
        let fires = !entry.firing.is_empty();
        let is_unsure = seen.has_failed || seen.last.as_ref().is_some_and(|last| !last.is_confirmed);
        assert!(
            fires || seen.fires || (is_unsure && seen.last.is_some()),
            "{second}s {}: resolved before it fired",
            entry.key
        );
        seen.fires = fires;
        seen.has_failed = false;
        seen.ever.extend(&entry.firing);
        seen.ever.extend(&entry.resolved);
        // A letter of before the clock was set back counts as of now, as it does in the log.
        let (at, firing, resolved) = (letter.at.min(now), entry.firing.clone(), entry.resolved.clone());
        seen.last = Some(Got { at, firing, resolved, idempotency_key, starts, is_confirmed });
    }

    /// Whether something keeps an alert back, found in another way than the dispatcher's.
    fn is_kept_back(&self, labels: &Labels) -> bool {
        let inhibited = labels.value("sev") == "low"
            && self
                .firing
                .values()
                .any(|(other, _)| other.value("sev") == "high" && other.value("g") == labels.value("g"));
        inhibited || self.is_silenced(labels)
    }

    fn is_silenced(&self, labels: &Labels) -> bool {
        let now = self.now();
        self.disk.silences.values().any(|silence| {
            let matches = silence.matchers.iter().all(|one| labels.value(&one.name) == one.value);
            matches && silence.starts_at <= now && now < silence.ends_at && !self.ended.contains(&silence.id)
        })
    }

    fn check(&mut self) {
        let now = self.now();
        let all: Vec<(u64, Labels)> =
            self.firing.iter().map(|(fingerprint, (labels, _))| (*fingerprint, labels.clone())).collect();
        for (fingerprint, labels) in all {
            for id in self.dispatcher.silences.muting(&labels, now) {
                assert!(!self.ended.contains(&id), "{}s: silence {id} has come back", self.second);
            }
            if self.is_kept_back(&labels) || self.second < self.unsettled_until {
                self.ready_since.remove(&fingerprint);
                self.due_since.remove(&fingerprint);
                continue;
            }
            self.check_attempt(fingerprint, &labels);
            self.check_arrival(fingerprint, &labels);
        }
        let firing = &self.firing;
        self.ready_since.retain(|fingerprint, _| firing.contains_key(fingerprint));
        self.due_since.retain(|fingerprint, _| firing.contains_key(fingerprint));
    }

    /// A new group is attempted within its wait and a second, a changed one within its interval, whatever the receiver does.
    fn check_attempt(&mut self, fingerprint: u64, labels: &Labels) {
        if self.seen.get(&key_of(labels)).is_some_and(|seen| seen.decided.contains(&fingerprint)) {
            self.due_since.remove(&fingerprint);
            return;
        }
        let group_labels = Labels::from_pairs([("g", labels.value("g"))]);
        let id = self.dispatcher.by_labels.iter().find(|((_, labels), _)| *labels == group_labels);
        let is_old = id.is_some_and(|(_, id)| self.dispatcher.groups[id].has_flushed);
        let limit = if is_old { GROUP_INTERVAL_S } else { GROUP_WAIT_S + 1 };
        let (since, limit) = *self.due_since.entry(fingerprint).or_insert((self.second, limit));
        assert!(
            self.second - since <= limit,
            "{}s: {labels} is due since {since}s and no attempt was made",
            self.second
        );
    }

    /// While the receiver works it gets what fires. The group's next flush comes within its interval; by then one letter may
    /// be under way and one of the outbox, which was there first, may wait, each for as long as an answer takes; then ours goes.
    fn check_arrival(&mut self, fingerprint: u64, labels: &Labels) {
        if self.mode != Mode::Works {
            self.ready_since.remove(&fingerprint);
            return;
        }
        let since = *self.ready_since.entry(fingerprint).or_insert(self.second);
        let limit = GROUP_INTERVAL_S + 3 * (LATENCY_MAX_S - 1);
        let told = self.seen.get(&key_of(labels)).and_then(|seen| seen.last.as_ref());
        let is_told = told.is_some_and(|last| last.firing.contains(&fingerprint));
        assert!(
            is_told || self.second - since <= limit,
            "{}s: {labels} fires since {since}s and nobody was told: {told:?}",
            self.second
        );
    }

    /// All quiet, and the receiver works: what was ever to be told has arrived.
    fn settle(&mut self) {
        self.mode = Mode::Works;
        // The longest pause of the outbox, and then the group's flush.
        for quiet_s in 0..1500 {
            self.step(true);
            if quiet_s > 60 && self.outbox.iter().count() == 0 && self.flights.is_empty() {
                break;
            }
        }
        assert_eq!(self.outbox.iter().count(), 0, "something never arrived");
        assert!(self.disk.parcels.is_empty());
        for (key, seen) in &self.seen {
            let lost: Vec<&u64> = seen.attempted.difference(&seen.ever).collect();
            assert!(lost.is_empty(), "{key}: {lost:?} were never told");
        }
    }
}

pub(super) fn sim_config() -> Arc<Config> {
    Arc::new(Config::parse("am.yml", CONFIG, MatcherMode::Fallback).unwrap())
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// For how long the history of a seed is disturbed: most are short.
pub(super) fn disturbed_s(seed: u64) -> u64 {
    let is_long = seed < LONG_RUNS || FOUND.contains(&seed);
    variable("ALERT_SIM_SECONDS").unwrap_or(if is_long { LONG_S } else { SHORT_S })
}

/// Runs all seeds on all cores; each gives how many messages arrived and how many of them came twice.
pub(super) fn run_seeds(run: impl Fn(u64) -> (usize, usize) + Sync) {
    let seeds: Vec<u64> = match variable("ALERT_SIM_SEED") {
        Some(seed) => vec![seed],
        None => {
            let runs = variable("ALERT_SIM_RUNS").unwrap_or(RUNS);
            (0..runs).chain(FOUND.into_iter().filter(|seed| *seed >= runs)).collect()
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut arrivals, mut duplicates, mut failed) = (0, 0, Vec::new());
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed))) {
                Ok((told, twice)) => (arrivals, duplicates) = (arrivals + told, duplicates + twice),
                Err(_) => failed.push(seed),
            }
        }
        (arrivals, duplicates, failed)
    };
    let (mut arrivals, mut duplicates, mut failed) = (0, 0, Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (told, twice, seeds) = worker.join().unwrap();
            (arrivals, duplicates) = (arrivals + told, duplicates + twice);
            failed.extend(seeds);
        }
    });
    failed.sort_unstable();
    assert!(failed.is_empty(), "failed: {failed:?}; run one again with ALERT_SIM_SEED=…");
    // They are simulations of something, and what comes twice is the exception.
    if seeds.len() > 1 {
        assert!(arrivals > 2 * seeds.len(), "{arrivals} messages");
        assert!(duplicates * 3 < arrivals, "{duplicates} of {arrivals} came twice");
    }
}

pub(super) fn fresh(config: &Arc<Config>) -> Dispatcher {
    let options = DispatchOptions { retention_ns: 120 * 3600 * S, per_alertname_max: 0, not_before: 0 };
    Dispatcher::new(Arc::clone(config), options, Silences::default(), NotificationLog::default())
}

/// The key of the notifications that an alert with these labels comes in.
pub(super) fn key_of(labels: &Labels) -> String {
    format!("{{}}:{{g=\"{}\"}}:r/webhook/0", labels.value("g"))
}

fn lane() -> Lane {
    Lane { receiver: "r".to_owned(), kind: "webhook".to_owned(), idx: 0 }
}

#[test]
fn invariants_hold_in_random_histories() {
    let config = sim_config();
    run_seeds(|seed| {
        let mut world = World::new(seed, &config);
        for _ in 0..disturbed_s(seed) {
            world.step(false);
        }
        world.settle();
        (world.arrivals, world.duplicates)
    });
}
