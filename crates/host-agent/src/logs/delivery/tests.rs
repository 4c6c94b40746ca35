//! The machine in a simulated world: a server that drops what it has, a link that breaks, a disk that fills up, an agent
//! that is killed. Seeds are in the failure's text; a seed replays.

use std::collections::BTreeMap;

use wire::delivery::{Label, Line};

use super::*;

fn lines(source: &str, from: u64, count: u64) -> SourceLines {
    SourceLines {
        labels: vec![Label { name: "source".to_owned(), value: source.to_owned() }],
        source: source.to_owned(),
        generation: 1,
        lines: (from..from + count)
            .map(|offset| Line {
                timestamp_ns: offset as i64,
                text: format!("line {offset}"),
                offset,
                ordinal: 0,
                structured_metadata: Vec::new(),
            })
            .collect(),
    }
}

fn limits() -> DeliveryLimits {
    DeliveryLimits {
        batch_bytes: 400,
        batch_lines: 6,
        memory_bytes: 2_000,
        disk_bytes: 20_000,
        ..DeliveryLimits::default()
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn lines_wait_a_little_then_go_out_one_batch_at_a_time() {
    let mut delivery = Delivery::new(limits(), 0, 1);
    assert_eq!(delivery.step(ms(0), Event::Lines(lines("a", 1, 2))), []);
    assert_eq!(delivery.next_timer(), Some(ms(250)));
    assert_eq!(delivery.step(ms(250), Event::Tick), [Action::Connect]);
    let sent = delivery.step(ms(251), Event::LinkUp);
    assert!(matches!(&sent[..], [Action::Send { sequence: 1, batch }] if batch.lines == 2), "{sent:?}");
    assert_eq!(delivery.step(ms(252), Event::Lines(lines("a", 3, 6))), []);
    let actions = delivery.step(ms(1_300), Event::Acked { sequence: 1, rejected: 0 });
    assert!(matches!(&actions[0], Action::Send { sequence: 2, batch } if batch.lines == 6), "{actions:?}");
    let place = Place { offset: 2, ordinal: 0 };
    let expected = vec![("a".into(), Position { generation: 1, place })];
    assert_eq!(actions[1], Action::Save { positions: expected, acked_seq: None, disk_empty: true });
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let mut delivery = Delivery::new(limits(), 0, 1);
    delivery.step(ms(0), Event::Lines(lines("a", 1, 6)));
    delivery.step(ms(0), Event::LinkUp);
    delivery.step(ms(1), Event::SlowDown { sequence: 1, after: ms(700) });
    assert_eq!(delivery.next_timer(), Some(ms(701)));
    assert_eq!(delivery.step(ms(700), Event::Tick), []);
    let again = delivery.step(ms(701), Event::Tick);
    assert!(matches!(&again[..], [Action::Send { sequence: 2, batch }] if batch.lines == 6), "{again:?}");
}

#[test]
fn pauses_grow_and_idle_links_are_left_alone() {
    let mut delivery = Delivery::new(limits(), 0, 1);
    assert_eq!(delivery.next_timer(), None);
    delivery.step(ms(0), Event::Lines(lines("a", 1, 6)));
    let mut now = ms(0);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        delivery.step(now, Event::LinkDown);
        let Link::Down { retry_at } = delivery.link else { panic!("{:?}", delivery.link) };
        pauses.push(retry_at - now);
        now = retry_at;
        delivery.step(now, Event::Tick);
    }
    assert!(pauses[0] >= ms(250) && pauses[0] <= ms(500), "{pauses:?}");
    assert!(pauses[9] >= ms(15_000) && pauses[9] <= ms(30_000), "{pauses:?}");
}

#[test]
fn refused_lines_are_counted_and_do_not_block() {
    let mut delivery = Delivery::new(limits(), 0, 1);
    delivery.step(ms(0), Event::Lines(lines("a", 1, 6)));
    delivery.step(ms(0), Event::LinkUp);
    delivery.step(ms(1), Event::Refused { sequence: 1 });
    assert_eq!(delivery.counts().refused_lines, 6);
    assert!(delivery.queue_is_empty());
}

/// What survives a kill, and what is outside.
#[derive(Default)]
struct World {
    seed: u64,
    now: Duration,
    disk: Vec<(u64, Batch)>,
    next_seq: u64,
    saved: BTreeMap<String, u64>,
    saved_seq: u64,
    server: BTreeMap<String, u64>,
    read: BTreeMap<String, u64>,
    /// How many lines the sources have at all; after a kill they are read again from where the positions say.
    written: BTreeMap<String, u64>,
    link_up: bool,
    /// Whether everything works: no failure is drawn.
    calm: bool,
    peak_memory: usize,
}

const SOURCES: [&str; 3] = ["a", "b", "c"];

impl World {
    fn draw(&mut self, bound: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % bound
    }

    fn fails(&mut self, one_in: u64) -> bool {
        !self.calm && self.draw(one_in) == 0
    }

    /// The server takes what is new; a gap is a loss.
    fn receive(&mut self, batch: &Batch) {
        for lines in &batch.sources {
            let high = self.server.entry(lines.source.clone()).or_default();
            for line in &lines.lines {
                if line.offset > *high {
                    assert_eq!(line.offset, *high + 1, "a line of {} is lost", lines.source);
                    *high = line.offset;
                }
            }
        }
    }

    /// Does what was asked for and says what came of it; `None` where the agent is killed in the middle of it.
    fn perform(&mut self, action: Action) -> Option<Vec<Event>> {
        Some(match action {
            Action::Connect => {
                self.link_up = !self.fails(3);
                vec![if self.link_up { Event::LinkUp } else { Event::LinkDown }]
            }
            Action::Send { sequence, batch } => match if self.calm { 9 } else { self.draw(10) } {
                0 => vec![Event::LinkDown],
                1 => {
                    // Stored, and the answer is lost.
                    self.receive(&batch);
                    vec![Event::LinkDown]
                }
                2 => vec![Event::SlowDown { sequence, after: ms(300) }],
                _ => {
                    self.receive(&batch);
                    vec![Event::Acked { sequence, rejected: 0 }]
                }
            },
            Action::Spill(batches) => {
                let mut seqs = Vec::new();
                for batch in batches {
                    if self.fails(20) {
                        return None;
                    }
                    if self.fails(10) {
                        break;
                    }
                    seqs.push(self.next_seq);
                    self.disk.push((self.next_seq, (*batch).clone()));
                    self.next_seq += 1;
                }
                vec![if seqs.is_empty() { Event::SpillFailed } else { Event::Spilled(seqs) }]
            }
            Action::Load { from, bytes_max } => {
                if self.fails(5) {
                    return Some(vec![Event::Loaded {
                        batches: Vec::new(),
                        next_seq: from,
                        exhausted: false,
                    }]);
                }
                let mut bytes = 0;
                let waiting = self.disk.iter().filter(|(seq, _)| *seq >= from);
                let batches: Vec<(u64, Batch)> = waiting
                    .take_while(|(_, batch)| {
                        let fits = bytes < bytes_max;
                        bytes += batch.bytes;
                        fits
                    })
                    .cloned()
                    .collect();
                let next_seq = batches.last().map_or(from, |(seq, _)| seq + 1);
                let exhausted = !self.disk.iter().any(|(seq, _)| *seq >= next_seq);
                vec![Event::Loaded { batches, next_seq, exhausted }]
            }
            Action::Save { positions, acked_seq, disk_empty } => {
                if self.fails(30) {
                    return None;
                }
                for (source, position) in positions {
                    self.saved.insert(source.to_string(), position.place.offset);
                }
                self.saved_seq = acked_seq.unwrap_or(self.saved_seq).max(self.saved_seq);
                let saved_seq = self.saved_seq;
                self.disk.retain(|(seq, _)| *seq > saved_seq);
                assert!(!disk_empty || self.disk.is_empty(), "the disk was called empty");
                Vec::new()
            }
        })
    }

    /// A new agent from what is left.
    fn restart(&mut self) -> Delivery {
        self.link_up = false;
        self.read = self.saved.clone();
        let mut bytes = 0;
        for (seq, batch) in &self.disk {
            assert!(*seq > self.saved_seq);
            bytes += batch.bytes as u64;
            for (source, position) in batch.positions() {
                self.read.insert(source.to_owned(), position.place.offset);
            }
        }
        Delivery::new(limits(), bytes, self.saved_seq + 1)
    }

    fn read_lines(&mut self, source: &str, count: u64) -> Event {
        let read = self.read.entry(source.to_owned()).or_default();
        let from = *read + 1;
        *read += count;
        let written = self.written.entry(source.to_owned()).or_default();
        *written = (*written).max(*read);
        Event::Lines(lines(source, from, count))
    }

    fn run(&mut self, steps: u64) {
        let mut delivery = self.restart();
        let mut pending: VecDeque<Action> = VecDeque::new();
        let mut step = 0;
        loop {
            step += 1;
            self.calm = step > steps;
            let behind =
                SOURCES.into_iter().find(|source| self.read.get(*source) < self.written.get(*source));
            if self.calm && behind.is_none() && delivery.is_drained() && pending.is_empty() {
                break;
            }
            assert!(step < steps + 100_000, "it does not come to an end: {delivery:?}");
            let events = if !pending.is_empty() && self.draw(3) > 0 {
                match pending.pop_front().map(|action| self.perform(action)) {
                    Some(Some(events)) => events,
                    _ => {
                        delivery = self.restart();
                        pending.clear();
                        continue;
                    }
                }
            } else if !self.calm && delivery.accepts_lines() && self.draw(2) == 0 {
                let source = SOURCES[self.draw(3) as usize];
                let count = 1 + self.draw(9);
                vec![self.read_lines(source, count)]
            } else if let Some(source) = behind.filter(|_| self.calm && delivery.accepts_lines()) {
                let missing = self.written[source] - self.read.get(source).copied().unwrap_or(0);
                vec![self.read_lines(source, missing.min(5))]
            } else if self.fails(40) {
                delivery = self.restart();
                pending.clear();
                continue;
            } else {
                let pause = self.draw(400);
                self.now += ms(pause);
                vec![Event::Tick]
            };
            for event in events {
                pending.extend(delivery.step(self.now, event));
            }
            self.peak_memory = self.peak_memory.max(delivery.memory_bytes());
        }
    }
}

#[test]
fn every_line_arrives_in_order_whatever_happens() {
    let seeds = if std::env::var_os("SLOW_TESTS").is_some() { 2_000 } else { 60 };
    for seed in 1..=seeds {
        let mut world =
            World { seed: u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15), next_seq: 1, ..World::default() };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run(600)));
        assert!(outcome.is_ok(), "seed {seed}");
        assert_eq!(world.server, world.written, "seed {seed}");
        assert!(world.server.values().all(|high| *high > 0) && world.disk.is_empty(), "seed {seed}");
        assert!(world.peak_memory < 12_000, "seed {seed}: {} bytes in memory", world.peak_memory);
    }
}

#[test]
fn a_long_outage_goes_to_disk_and_stops_at_the_bound() {
    let mut world = World { seed: 7, next_seq: 1, ..World::default() };
    let mut delivery = world.restart();
    let mut offset = 1;
    for _ in 0..100_000 {
        if !delivery.accepts_lines() {
            break;
        }
        let mut events = vec![Event::Lines(lines("a", offset, 5)), Event::Tick];
        offset += 5;
        while let Some(event) = events.pop() {
            world.now += ms(100);
            for action in delivery.step(world.now, event) {
                match action {
                    Action::Connect => events.push(Event::LinkDown),
                    other => {
                        world.calm = true;
                        events.extend(world.perform(other).unwrap_or_default());
                    }
                }
            }
        }
    }
    assert!(!delivery.accepts_lines() && delivery.disk_bytes() >= limits().disk_bytes);
    assert!(delivery.memory_bytes() < 3 * limits().memory_bytes, "{}", delivery.memory_bytes());
}
