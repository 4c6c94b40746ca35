//! Two members of a cluster by seed on a virtual clock: both get the alerts, tell one another who was told over a link that
//! loses packets and is cut now and then, are told to be silent, and are killed and started again. Whatever happens somebody
//! is told; while nothing does, once; a silence that is over at one never comes back there.
//!
//! The variables are those of the simulation of one member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sys::{Rng, SeededRng};

use super::simulation::{
    GROUP_INTERVAL_S, REPEAT_S, RESEND_S, S, START, disturbed_s, fresh, key_of, run_seeds, sim_config,
};
use super::*;
use crate::alert::told_hash;
use crate::cluster::Change;
use crate::letter::Letter;
use crate::silences::{Silence, SilenceMatcher, SilenceState};

/// How long the second one waits for the first.
const PEER_TIMEOUT_S: i64 = 5;
/// After how long a member that is gone is no longer counted.
const DETECTION_S: i64 = 4;
/// How often everything is exchanged.
const EXCHANGE_S: i64 = 30;
/// How often a change goes out, a second apart, and how many of ten get lost.
const TRANSMISSIONS: i64 = 3;
const LOST_OF_TEN: u64 = 3;

struct Waiting {
    letter: Letter,
    of: (GroupId, u64, usize),
    goes_s: i64,
}

struct Node {
    dispatcher: Dispatcher,
    disk: BTreeMap<String, LogEntry>,
    silences: BTreeMap<String, Silence>,
    /// The silences that it has known as over.
    over: BTreeSet<String>,
    waiting: Vec<Waiting>,
    up_at: Option<i64>,
}

struct Got {
    second: i64,
    letter: Letter,
    firing: BTreeSet<u64>,
    resolved: BTreeSet<u64>,
}

struct Pair {
    rng: SeededRng,
    config: Arc<Config>,
    nodes: [Node; 2],
    second: i64,
    firing: BTreeMap<u64, (Labels, i64)>,
    over: BTreeMap<u64, (Labels, i64, i64)>,
    /// Changes under way: when they arrive, to whom, what.
    link: Vec<(i64, usize, Vec<u8>)>,
    cut_until: i64,
    /// When they last could not reach one another.
    apart_at: i64,
    /// When something last happened that may lead to the same being told twice.
    excused_at: i64,
    got: BTreeMap<String, Got>,
    ready_since: BTreeMap<u64, i64>,
    /// When an alert was last told as firing, by whichever message.
    told_at: BTreeMap<u64, i64>,
    /// Whether there are silences: then what is over may end untold.
    is_silent: bool,
    /// Whether it is told what happens.
    is_told: bool,
    silence_no: u64,
    arrivals: usize,
    duplicates: usize,
}

impl Pair {
    fn new(seed: u64, config: &Arc<Config>) -> Self {
        let node = || Node {
            dispatcher: fresh(config),
            disk: BTreeMap::new(),
            silences: BTreeMap::new(),
            over: BTreeSet::new(),
            waiting: Vec::new(),
            up_at: None,
        };
        Self {
            rng: SeededRng::new(seed),
            nodes: [node(), node()],
            config: Arc::clone(config),
            second: 0,
            firing: BTreeMap::new(),
            over: BTreeMap::new(),
            link: Vec::new(),
            cut_until: 0,
            apart_at: -100,
            excused_at: -100,
            got: BTreeMap::new(),
            ready_since: BTreeMap::new(),
            told_at: BTreeMap::new(),
            is_silent: seed % 2 == 1,
            is_told: std::env::var_os("ALERT_SIM_SEED").is_some(),
            silence_no: 0,
            arrivals: 0,
            duplicates: 0,
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>4}s {}", self.second, what());
        }
    }

    fn now(&self) -> i64 {
        START + self.second * S
    }

    fn chance(&self, one_in: u64) -> bool {
        self.rng.below(one_in) == 0
    }

    fn is_up(&self, no: usize) -> bool {
        self.nodes[no].up_at.is_none()
    }

    fn is_linked(&self) -> bool {
        self.second >= self.cut_until && self.is_up(0) && self.is_up(1)
    }

    fn step(&mut self, is_quiet: bool) {
        self.second += 1;
        if !is_quiet {
            self.disturb();
        }
        for no in 0..2 {
            if self.nodes[no].up_at.is_some_and(|at| at <= self.second) {
                self.start(no);
            }
        }
        if !self.is_linked() {
            (self.apart_at, self.excused_at) = (self.second, self.second);
        }
        if self.second % RESEND_S == 0 {
            self.send(&[0, 1]);
        }
        self.receive_changes();
        if self.is_linked() && self.second % EXCHANGE_S == 0 {
            self.exchange();
        }
        for no in 0..2 {
            if self.is_up(no) {
                let actions = self.nodes[no].dispatcher.step(self.now(), Event::Tick);
                self.carry_out(no, actions);
                self.post(no);
            }
        }
        self.check();
    }

    fn disturb(&mut self) {
        if self.chance(12) {
            self.flap();
        }
        if self.is_silent && self.chance(40) {
            self.silence();
        }
        if self.is_silent && self.chance(80) {
            self.expire_a_silence();
        }
        if self.chance(100) {
            self.cut_until = self.second + 1 + self.rng.below(60) as i64;
            self.tell(|| format!("apart until {}s", self.cut_until));
        }
        if self.chance(120) {
            let no = self.rng.below(2) as usize;
            // One of the two is always there.
            if self.is_up(1 - no) && self.is_up(no) {
                self.tell(|| format!("{no} is killed"));
                self.nodes[no].waiting.clear();
                self.nodes[no].up_at = Some(self.second + 1 + self.rng.below(40) as i64);
                self.ready_since.clear();
            }
        }
    }

    fn start(&mut self, no: usize) {
        let mut dispatcher = fresh(&self.config);
        for entry in self.nodes[no].disk.values() {
            dispatcher.log.apply(entry.clone());
        }
        dispatcher.silences.apply(self.nodes[no].silences.values().cloned().collect());
        self.nodes[no].dispatcher = dispatcher;
        self.nodes[no].up_at = None;
        self.tell(|| format!("{no} starts"));
        // Before it tells anybody it exchanges everything, if it can.
        if self.is_linked() {
            self.exchange();
        }
    }

    fn flap(&mut self) {
        let (group, alert) = (self.rng.below(2), self.rng.below(3));
        let labels =
            Labels::from_pairs([("a", alert.to_string().as_str()), ("g", group.to_string().as_str())]);
        let (fingerprint, now) = (told_hash(&labels), self.now());
        self.tell(|| {
            format!("flap {fingerprint} {labels}, fired {}", self.firing.contains_key(&fingerprint))
        });
        match self.firing.remove(&fingerprint) {
            Some((labels, since)) => drop(self.over.insert(fingerprint, (labels, since, now))),
            None => {
                self.over.remove(&fingerprint);
                self.firing.insert(fingerprint, (labels, now));
            }
        }
        self.ready_since.clear();
        // Now and then only one hears of it at once.
        match self.rng.below(4) {
            0 => self.send(&[0]),
            1 => self.send(&[1]),
            _ => self.send(&[0, 1]),
        }
    }

    fn send(&mut self, to: &[usize]) {
        let now = self.now();
        let alert = |labels: &Labels, starts_at: i64, ends_at: i64| Alert {
            labels: labels.clone(),
            annotations: Labels::empty(),
            starts_at,
            ends_at,
            updated_at: now,
            timeout: false,
            generator_url: String::new(),
            fingerprint: Fingerprint::of(labels),
        };
        let firing = self.firing.values().map(|(labels, since)| alert(labels, *since, now + 240 * S));
        let over = self.over.values().map(|(labels, since, end)| alert(labels, *since, *end));
        let alerts: Vec<Alert> = firing.chain(over).collect();
        for no in to.iter().copied().filter(|no| self.is_up(*no)).collect::<Vec<usize>>() {
            let actions = self.nodes[no].dispatcher.step(now, Event::Alerts(alerts.clone()));
            self.carry_out(no, actions);
        }
    }

    fn carry_out(&mut self, no: usize, actions: Vec<Action>) {
        // Alone, as far as it knows, it waits for nobody.
        let sees_other = self.second - self.apart_at < DETECTION_S || self.is_linked();
        let turn_s = if no == 1 && sees_other { PEER_TIMEOUT_S } else { 0 };
        for action in actions {
            if let Action::Notify(notification) = action {
                let of = (notification.group, notification.flush, notification.position);
                let letter = Letter::of(&notification);
                let (key, entry) = (&letter.group_key, &letter.entry);
                self.tell(|| format!("{no} decides {key} {:?} {:?}", entry.firing, entry.resolved));
                self.nodes[no].waiting.push(Waiting { letter, of, goes_s: self.second + turn_s });
            }
        }
    }

    fn post(&mut self, no: usize) {
        let (due, waiting): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut self.nodes[no].waiting)
            .into_iter()
            .partition(|one| one.goes_s <= self.second);
        self.nodes[no].waiting = waiting;
        for Waiting { mut letter, of: (group, flush, position), .. } in due {
            // As the manager does: logged as of when it is told. Within a second the first one goes first.
            letter.entry.timestamp = self.now() + no as i64;
            let entry = match letter.told_meanwhile(&self.nodes[no].dispatcher.log) {
                Some(known) => known,
                None => {
                    self.arrive(no, &letter);
                    self.nodes[no].disk.insert(letter.entry.key.clone(), letter.entry.clone());
                    self.gossip(1 - no, &Change::Told(letter.entry.clone()));
                    letter.entry
                }
            };
            let delivered = Delivered { group, flush, position, entry: Some(entry) };
            let actions = self.nodes[no].dispatcher.step(self.now(), Event::Delivered(delivered));
            self.carry_out(no, actions);
        }
    }

    fn gossip(&mut self, to: usize, change: &Change) {
        let before = self.link.len();
        for after in 0..TRANSMISSIONS {
            if self.rng.below(10) >= LOST_OF_TEN {
                self.link.push((self.second + 1 + after, to, change.encode()));
            }
        }
        if self.link.len() == before {
            self.excused_at = self.second;
        }
    }

    fn receive_changes(&mut self) {
        let second = self.second;
        let (due, under_way): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.link).into_iter().partition(|(at, ..)| *at <= second);
        self.link = under_way;
        if self.is_linked() {
            due.into_iter().for_each(|(_, to, bytes)| self.merge(to, Change::decode(&bytes).unwrap()));
        }
    }

    fn merge(&mut self, no: usize, change: Change) {
        let now = self.now();
        let node = &mut self.nodes[no];
        match change {
            Change::Told(entry) => {
                if entry.expires_at > now && node.dispatcher.log.merge(entry.clone()) {
                    node.disk.insert(entry.key.clone(), entry);
                }
            }
            Change::Silence(silence) => {
                if node.dispatcher.silences.merge(silence.clone()) {
                    node.silences.insert(silence.id.clone(), silence);
                }
            }
            Change::Ack(_) | Change::LinkKey(_) => {}
        }
    }

    /// One of the two is told to be silent about some alerts.
    fn silence(&mut self) {
        let (no, alert) = (self.rng.below(2) as usize, self.rng.below(3));
        if !self.is_up(no) {
            return;
        }
        self.silence_no += 1;
        let now = self.now();
        let matcher = SilenceMatcher {
            name: "a".to_owned(),
            value: alert.to_string(),
            is_regex: false,
            is_equal: true,
        };
        let silence = Silence {
            id: String::new(),
            matchers: vec![matcher],
            starts_at: now,
            ends_at: now + (20 + self.rng.below(40) as i64) * S,
            updated_at: now,
            created_by: String::new(),
            comment: String::new(),
            annotations: BTreeMap::new(),
        };
        let prepared = self.nodes[no].dispatcher.silences.prepare(silence, self.silence_no.to_string(), now);
        self.store_silences(no, prepared.unwrap());
    }

    fn expire_a_silence(&mut self) {
        let no = self.rng.below(2) as usize;
        let ids: Vec<String> = self.nodes[no].silences.keys().cloned().collect();
        if ids.is_empty() || !self.is_up(no) {
            return;
        }
        let id = &ids[self.rng.below(ids.len() as u64) as usize];
        let records = self.nodes[no].dispatcher.silences.prepare_expire(id, self.now()).unwrap();
        self.store_silences(no, records);
    }

    fn store_silences(&mut self, no: usize, records: Vec<Silence>) {
        for record in &records {
            self.tell(|| {
                format!(
                    "{no} is silent by {} about {:?} until {}",
                    record.id,
                    record.matchers[0].value,
                    (record.ends_at - START) / S
                )
            });
            self.nodes[no].silences.insert(record.id.clone(), record.clone());
            self.gossip(1 - no, &Change::Silence(record.clone()));
        }
        self.nodes[no].dispatcher.silences.apply(records);
    }

    /// Whether one of the two, running or not, is to be silent about it.
    fn is_silenced(&self, labels: &Labels) -> bool {
        let now = self.now();
        let is_silent = |silence: &Silence| {
            silence.state(now) == SilenceState::Active
                && silence.matchers.iter().all(|one| labels.value(&one.name) == one.value)
        };
        self.nodes.iter().any(|node| node.silences.values().any(is_silent))
    }

    fn exchange(&mut self) {
        for no in 0..2 {
            let entries: Vec<LogEntry> = self.nodes[no].dispatcher.log.iter().cloned().collect();
            entries.into_iter().for_each(|entry| self.merge(1 - no, Change::Told(entry)));
            let silences: Vec<Silence> = self.nodes[no].dispatcher.silences.iter().cloned().collect();
            silences.into_iter().for_each(|silence| self.merge(1 - no, Change::Silence(silence)));
        }
    }

    fn arrive(&mut self, no: usize, letter: &Letter) {
        self.arrivals += 1;
        // What is over is told to those who know that it fired.
        let is_known = self.got.contains_key(&letter.entry.key);
        assert!(is_known || !letter.entry.firing.is_empty(), "{}s: resolved before it fired", self.second);
        let (second, entry) = (self.second, &letter.entry);
        self.tell(|| format!("{no} tells {} {:?} {:?}", letter.group_key, entry.firing, entry.resolved));
        if let Some(got) = self.got.get(&entry.key)
            && (&got.firing, &got.resolved) == (&entry.firing, &entry.resolved)
            && second - got.second < REPEAT_S
        {
            // Only who could not know of it tells the same: it was lost, they were apart, or the news was under way.
            let known = self.nodes[no].dispatcher.log.get(&entry.key).map(|known| known.timestamp);
            let is_excused = self.excused_at >= got.second || second - got.second <= TRANSMISSIONS;
            assert!(
                is_excused && known != Some(got.letter.entry.timestamp),
                "{second}s: told twice: {letter:?}"
            );
            // Who decided by the same tells by the same key.
            let starts =
                |letter: &Letter| letter.alerts.iter().map(|alert| alert.starts_at).collect::<Vec<i64>>();
            if got.letter.known_at == letter.known_at && starts(&got.letter) == starts(letter) {
                assert_eq!(got.letter.idempotency_key(), letter.idempotency_key(), "{second}s");
            }
            self.duplicates += 1;
        }
        self.told_at.extend(entry.firing.iter().map(|fingerprint| (*fingerprint, second)));
        let (firing, resolved) = (entry.firing.clone(), entry.resolved.clone());
        self.got.insert(entry.key.clone(), Got { second, letter: letter.clone(), firing, resolved });
    }

    /// Somebody was told of all that fires: the senders have sent it once more, the group's next flush has come, and the
    /// second one's turn.
    fn check(&mut self) {
        let now = self.now();
        for node in self.nodes.iter_mut().filter(|node| node.up_at.is_none()) {
            for silence in node.dispatcher.silences.iter() {
                match silence.state(now) {
                    SilenceState::Expired => drop(node.over.insert(silence.id.clone())),
                    _ => {
                        let is_new = !node.over.contains(&silence.id);
                        assert!(is_new, "{}s: silence {} has come back", self.second, silence.id);
                    }
                }
            }
        }
        let silenced: BTreeSet<u64> = self
            .firing
            .iter()
            .filter(|(_, (labels, _))| self.is_silenced(labels))
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        for (fingerprint, (labels, starts_at)) in &self.firing {
            if silenced.contains(fingerprint) {
                self.ready_since.remove(fingerprint);
                continue;
            }
            let since = *self.ready_since.entry(*fingerprint).or_insert(self.second);
            let is_told = self.got.get(&key_of(labels)).is_some_and(|got| got.firing.contains(fingerprint));
            // One that is silent tells without it what the other has told with it: somebody was told since it fires.
            let is_told = is_told
                || (self.is_silent
                    && self.told_at.get(fingerprint).is_some_and(|at| at * S >= starts_at - START));
            let limit = RESEND_S + GROUP_INTERVAL_S + PEER_TIMEOUT_S + 1;
            assert!(
                is_told || self.second - since <= limit,
                "{}s: {labels} fires since {since}s and nobody was told",
                self.second
            );
        }
    }

    /// All quiet: both know the same, and so does the receiver.
    fn settle(&mut self) {
        for _ in 0..150 {
            self.step(true);
        }
        self.exchange();
        let logs: Vec<BTreeMap<String, LogEntry>> = self
            .nodes
            .iter()
            .map(|node| node.dispatcher.log.iter().map(|entry| (entry.key.clone(), entry.clone())).collect())
            .collect();
        assert_eq!(logs[0], logs[1], "they have not come to know the same");
        let silences = |no: usize| -> BTreeMap<String, Silence> {
            let all = self.nodes[no].dispatcher.silences.iter();
            all.map(|silence| (silence.id.clone(), silence.clone())).collect()
        };
        assert_eq!(silences(0), silences(1), "they have not come to know the same silences");
        // What ends while it is silenced is not told, as with the original.
        if self.is_silent {
            return;
        }
        for (key, got) in &self.got {
            let firing: BTreeSet<u64> = self
                .firing
                .iter()
                .filter(|(_, (labels, _))| key_of(labels) == *key)
                .map(|(fingerprint, _)| *fingerprint)
                .collect();
            assert_eq!(got.firing, firing, "{key}: the receiver was told otherwise last");
        }
    }
}

#[test]
fn two_members_tell_once_and_apart_at_least_once() {
    let config = sim_config();
    run_seeds(|seed| {
        let mut pair = Pair::new(seed, &config);
        for _ in 0..disturbed_s(seed) {
            pair.step(false);
        }
        pair.settle();
        (pair.arrivals, pair.duplicates)
    });
}
