//! What decides when lines are sent, kept, written to disk and forgotten: a state machine without I/O.
//!
//! The queue, oldest first: `front` (in memory, may also be on disk), then what is on disk only, then `back` (in memory only).
//! One batch is under way at a time, so a batch that has to be sent again never comes after a later one of the same source.
//! Invariants: what is on disk is an unbroken piece of the queue beginning at its head, so that after a crash the sources go
//! on right after it; positions are saved only up to what the server has acknowledged; a place in the queue is given up only
//! for an acknowledgement or a final refusal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wire::delivery::SourceLines;

use super::line::{Place, Position};

/// The bounds of a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryLimits {
    /// A batch that has reached this size is closed.
    pub(crate) batch_bytes: usize,
    /// A batch that has reached this many lines is closed.
    pub(crate) batch_lines: usize,
    /// How long a batch waits for more lines.
    pub(crate) batch_wait: Duration,
    /// Bytes that may be in memory alone; over it they are written to disk.
    pub(crate) memory_bytes: usize,
    /// Lines that were not acknowledged for so long are written to disk.
    pub(crate) spill_after: Duration,
    /// Bytes that may wait on disk; over it the sources wait.
    pub(crate) disk_bytes: u64,
    /// The first and the longest pause between attempts.
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    /// Positions are saved at most this often.
    pub(crate) save_interval: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            batch_bytes: 512 << 10,
            batch_lines: 5_000,
            batch_wait: Duration::from_millis(250),
            memory_bytes: 4 << 20,
            spill_after: Duration::from_secs(5),
            disk_bytes: 1 << 30,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            save_interval: Duration::from_secs(1),
        }
    }
}

/// Lines that are sent together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) sources: Vec<SourceLines>,
    pub(crate) lines: u64,
    pub(crate) bytes: usize,
}

impl Batch {
    /// A batch of these lines.
    pub(crate) fn new(sources: Vec<SourceLines>) -> Self {
        let mut batch = Self::default();
        for lines in sources {
            batch.push(lines);
        }
        batch
    }

    fn push(&mut self, lines: SourceLines) {
        self.lines += lines.lines.len() as u64;
        self.bytes += weight(&lines);
        let same = |known: &&mut SourceLines| {
            known.source == lines.source
                && known.generation == lines.generation
                && known.labels == lines.labels
        };
        match self.sources.iter_mut().find(same) {
            Some(known) => known.lines.extend(lines.lines),
            None => self.sources.push(lines),
        }
    }

    /// The last place of each source in the batch.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&str, Position)> {
        self.sources.iter().filter_map(|lines| {
            let last =
                lines.lines.iter().map(|line| Place { offset: line.offset, ordinal: line.ordinal }).max()?;
            Some((lines.source.as_str(), Position { generation: lines.generation, place: last }))
        })
    }
}

/// What lines take in memory and on the wire, about.
fn weight(lines: &SourceLines) -> usize {
    let labels: usize = lines.labels.iter().map(|label| label.name.len() + label.value.len() + 8).sum();
    let metadata = |line: &wire::delivery::Line| -> usize {
        line.structured_metadata.iter().map(|label| label.name.len() + label.value.len() + 8).sum()
    };
    labels
        + lines.source.len()
        + lines.lines.iter().map(|line| line.text.len() + 40 + metadata(line)).sum::<usize>()
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A source has lines.
    Lines(SourceLines),
    /// The server takes batches.
    LinkUp,
    /// The server is away, or the attempt failed.
    LinkDown,
    /// The server has the batch.
    Acked { sequence: u64, rejected: u64 },
    /// The server wants the batch later.
    SlowDown { sequence: u64, after: Duration },
    /// The server will never take the batch.
    Refused { sequence: u64 },
    /// Batches are on disk, with their numbers there.
    Spilled(Vec<u64>),
    /// They are not: the disk is full or broken.
    SpillFailed,
    /// Batches that were read back. Fewer than asked for where records are damaged.
    Loaded { batches: Vec<(u64, Batch)>, next_seq: u64, exhausted: bool },
    /// Time has passed.
    Tick,
    /// Close what is open: the agent stops.
    Flush,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Connect to the server.
    Connect,
    /// Send a batch.
    Send { sequence: u64, batch: Arc<Batch> },
    /// Write batches to disk, in this order.
    Spill(Vec<Arc<Batch>>),
    /// Read batches back from this number on.
    Load { from: u64, bytes_max: usize },
    /// Save positions; then forget what is on disk up to and with a number.
    Save { positions: Vec<(Arc<str>, Position)>, acked_seq: Option<u64>, disk_empty: bool },
}

/// The connection as the machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down { retry_at: Duration },
    Connecting,
    Ready,
    Sending { sequence: u64 },
    Slow { until: Duration },
}

/// What the disk is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskWork {
    Idle,
    /// Batches are written; the oldest `gone` of them have been acknowledged meanwhile.
    Writing {
        gone: usize,
    },
    Reading,
}

#[derive(Debug)]
struct Queued {
    batch: Arc<Batch>,
    /// Its number on disk, if it is there.
    seq: Option<u64>,
    closed_at: Duration,
}

/// What has been done so far, for metrics and status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryCounts {
    pub(crate) acked_lines: u64,
    pub(crate) acked_batches: u64,
    pub(crate) rejected_lines: u64,
    pub(crate) refused_lines: u64,
    pub(crate) spilled_batches: u64,
    pub(crate) failed_attempts: u64,
    pub(crate) slow_downs: u64,
}

/// The state of a delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    limits: DeliveryLimits,
    open: Batch,
    open_since: Option<Duration>,
    front: VecDeque<Queued>,
    unloaded: bool,
    next_load: u64,
    back: VecDeque<Queued>,
    disk_work: DiskWork,
    disk_retry_at: Duration,
    disk_bytes: u64,
    link: Link,
    attempts: u32,
    sequence: u64,
    unsaved: BTreeMap<Arc<str>, Position>,
    saved_at: Duration,
    acked_seq: Option<u64>,
    acked_seq_saved: bool,
    jitter: u64,
    counts: DeliveryCounts,
}

impl Delivery {
    /// A delivery that begins with what is on disk: `disk_bytes` from number `next_load` on, if there is any.
    pub(crate) fn new(limits: DeliveryLimits, disk_bytes: u64, next_load: u64) -> Self {
        Self {
            limits,
            open: Batch::default(),
            open_since: None,
            front: VecDeque::new(),
            unloaded: disk_bytes > 0,
            next_load,
            back: VecDeque::new(),
            disk_work: DiskWork::Idle,
            disk_retry_at: Duration::ZERO,
            disk_bytes,
            link: Link::Down { retry_at: Duration::ZERO },
            attempts: 0,
            sequence: 0,
            unsaved: BTreeMap::new(),
            saved_at: Duration::ZERO,
            acked_seq: None,
            acked_seq_saved: true,
            jitter: 0x9e37_79b9_7f4a_7c15,
            counts: DeliveryCounts::default(),
        }
    }

    /// Whether sources may hand over more.
    pub(crate) fn accepts_lines(&self) -> bool {
        let waiting = self.unstored_bytes() + self.open.bytes;
        waiting < self.limits.memory_bytes * 2 && self.disk_bytes < self.limits.disk_bytes
    }

    /// Whether everything was acknowledged and saved.
    pub(crate) fn is_drained(&self) -> bool {
        self.open.lines == 0 && self.queue_is_empty() && self.is_saved()
    }

    /// Whether nothing would be lost or sent twice if the agent ended now: all is acknowledged or on disk, and saved.
    pub(crate) fn is_safe(&self) -> bool {
        self.open.lines == 0
            && self.unstored_bytes() == 0
            && self.is_saved()
            && self.disk_work == DiskWork::Idle
    }

    /// What has been done.
    pub(crate) fn counts(&self) -> DeliveryCounts {
        self.counts
    }

    /// Bytes that wait on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// Bytes that wait in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.open.bytes + self.front.iter().chain(&self.back).map(|queued| queued.batch.bytes).sum::<usize>()
    }

    /// Whether the server was there at the last attempt.
    pub(crate) fn is_connected(&self) -> bool {
        !matches!(self.link, Link::Down { .. } | Link::Connecting)
    }

    /// When `Tick` is due, at the latest.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let mut due: Vec<Duration> = Vec::new();
        due.extend(self.open_since.map(|since| since + self.limits.batch_wait));
        match self.link {
            Link::Down { retry_at } if !self.front.is_empty() || self.unloaded => due.push(retry_at),
            Link::Slow { until } => due.push(until),
            Link::Down { .. } | Link::Connecting | Link::Ready | Link::Sending { .. } => {}
        }
        if self.disk_work == DiskWork::Idle {
            let oldest = self.unstored().map(|queued| queued.closed_at + self.limits.spill_after).next();
            due.extend(oldest.map(|at| at.max(self.disk_retry_at)));
        }
        if !self.is_saved() {
            due.push(self.saved_at + self.limits.save_interval);
        }
        due.into_iter().min()
    }

    /// Takes what happened at `now` and says what is to be done.
    pub(crate) fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut flush = false;
        match event {
            Event::Lines(lines) => {
                self.open_since.get_or_insert(now);
                self.open.push(lines);
            }
            Event::LinkUp => self.link = Link::Ready,
            Event::LinkDown => self.link_down(now),
            Event::Acked { sequence, rejected } => self.finish(sequence, Ok(rejected)),
            Event::Refused { sequence } => self.finish(sequence, Err(())),
            Event::SlowDown { sequence, after } => {
                if self.link == (Link::Sending { sequence }) {
                    self.counts.slow_downs += 1;
                    self.link = Link::Slow { until: now + after.min(self.limits.backoff_max) };
                }
            }
            Event::Spilled(seqs) => self.spilled(&seqs),
            Event::SpillFailed => {
                self.disk_work = DiskWork::Idle;
                self.disk_retry_at = now + self.limits.spill_after;
            }
            Event::Loaded { batches, next_seq, exhausted } => self.loaded(now, batches, next_seq, exhausted),
            Event::Tick => {}
            Event::Flush => flush = true,
        }
        self.close_open(now, flush);
        self.connect_and_send(now, &mut actions);
        self.use_disk(now, flush, &mut actions);
        self.save(now, flush, &mut actions);
        actions
    }

    fn queue_is_empty(&self) -> bool {
        self.front.is_empty() && self.back.is_empty() && !self.unloaded
    }

    fn is_saved(&self) -> bool {
        self.unsaved.is_empty() && self.acked_seq_saved
    }

    /// What is in memory alone, oldest first.
    fn unstored(&self) -> impl Iterator<Item = &Queued> {
        self.front.iter().chain(&self.back).filter(|queued| queued.seq.is_none())
    }

    fn unstored_bytes(&self) -> usize {
        self.unstored().map(|queued| queued.batch.bytes).sum()
    }

    fn close_open(&mut self, now: Duration, flush: bool) {
        let Some(since) = self.open_since else { return };
        let full =
            self.open.bytes >= self.limits.batch_bytes || self.open.lines >= self.limits.batch_lines as u64;
        if !full && !flush && now < since + self.limits.batch_wait {
            return;
        }
        self.open_since = None;
        let batch = std::mem::take(&mut self.open);
        let queued = Queued { batch: Arc::new(batch), seq: None, closed_at: now };
        if self.unloaded || !self.back.is_empty() {
            self.back.push_back(queued);
        } else {
            self.front.push_back(queued);
        }
    }

    fn connect_and_send(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if let Link::Slow { until } = self.link
            && now >= until
        {
            self.link = Link::Ready;
        }
        match self.link {
            Link::Down { retry_at } if now >= retry_at && (!self.front.is_empty() || self.unloaded) => {
                self.link = Link::Connecting;
                actions.push(Action::Connect);
            }
            Link::Ready => {
                if let Some(head) = self.front.front() {
                    self.sequence += 1;
                    self.link = Link::Sending { sequence: self.sequence };
                    actions.push(Action::Send { sequence: self.sequence, batch: Arc::clone(&head.batch) });
                }
            }
            Link::Down { .. } | Link::Connecting | Link::Sending { .. } | Link::Slow { .. } => {}
        }
    }

    fn link_down(&mut self, now: Duration) {
        self.counts.failed_attempts += 1;
        // A batch's number counts within one stream.
        self.sequence = 0;
        let doubled = self.limits.backoff_min * 2_u32.saturating_pow(self.attempts.min(16));
        let pause = doubled.min(self.limits.backoff_max);
        self.attempts += 1;
        // Between half and the whole of it, so that many agents do not come back at once.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let part = (self.jitter % 512) as u32;
        self.link = Link::Down { retry_at: now + pause / 2 + pause / 1024 * part };
    }

    /// The batch under way is done: acknowledged (with so many lines rejected) or refused as a whole.
    fn finish(&mut self, sequence: u64, outcome: Result<u64, ()>) {
        if self.link != (Link::Sending { sequence }) {
            return;
        }
        self.link = Link::Ready;
        self.attempts = 0;
        let Some(done) = self.front.pop_front() else { return };
        match outcome {
            Ok(rejected) => {
                self.counts.acked_batches += 1;
                self.counts.acked_lines += done.batch.lines.saturating_sub(rejected);
                self.counts.rejected_lines += rejected;
            }
            Err(()) => self.counts.refused_lines += done.batch.lines,
        }
        for (source, position) in done.batch.positions() {
            match self.unsaved.get_mut(source) {
                Some(known) => *known = position,
                None => {
                    self.unsaved.insert(source.into(), position);
                }
            }
        }
        if let Some(seq) = done.seq {
            self.acked_seq = Some(seq);
            self.acked_seq_saved = false;
            self.disk_bytes = self.disk_bytes.saturating_sub(done.batch.bytes as u64);
        } else if let DiskWork::Writing { gone } = &mut self.disk_work {
            *gone += 1;
        }
        self.refill_front();
    }

    /// What waits behind an empty disk comes forward.
    fn refill_front(&mut self) {
        if !self.unloaded && self.disk_work == DiskWork::Idle {
            self.front.append(&mut self.back);
        }
    }

    fn use_disk(&mut self, now: Duration, flush: bool, actions: &mut Vec<Action>) {
        if self.disk_work != DiskWork::Idle {
            return;
        }
        let aged =
            self.unstored().next().is_some_and(|oldest| now >= oldest.closed_at + self.limits.spill_after);
        let too_much = self.unstored_bytes() > self.limits.memory_bytes;
        let may_write = now >= self.disk_retry_at && self.disk_bytes < self.limits.disk_bytes;
        if (aged || too_much || (flush && self.unstored().next().is_some())) && may_write {
            let batches: Vec<Arc<Batch>> = self.unstored().map(|queued| Arc::clone(&queued.batch)).collect();
            self.disk_work = DiskWork::Writing { gone: 0 };
            actions.push(Action::Spill(batches));
        } else if self.unloaded && self.front.is_empty() && now >= self.disk_retry_at {
            self.disk_work = DiskWork::Reading;
            actions.push(Action::Load { from: self.next_load, bytes_max: self.limits.memory_bytes / 2 });
        }
    }

    fn spilled(&mut self, seqs: &[u64]) {
        let DiskWork::Writing { gone } = self.disk_work else { return };
        self.disk_work = DiskWork::Idle;
        self.counts.spilled_batches += seqs.len() as u64;
        let mut newest_gone = None;
        let mut numbers = seqs.iter().copied();
        for seq in numbers.by_ref().take(gone) {
            newest_gone = Some(seq);
        }
        for queued in self.front.iter_mut().filter(|queued| queued.seq.is_none()) {
            let Some(seq) = numbers.next() else { break };
            queued.seq = Some(seq);
            self.disk_bytes += queued.batch.bytes as u64;
        }
        for seq in numbers {
            let Some(queued) = self.back.pop_front() else { break };
            self.disk_bytes += queued.batch.bytes as u64;
            if !self.unloaded {
                self.unloaded = true;
                self.next_load = seq;
            }
        }
        if let Some(seq) = newest_gone {
            self.acked_seq = Some(self.acked_seq.map_or(seq, |known| known.max(seq)));
            self.acked_seq_saved = false;
        }
        self.trim_front();
        self.refill_front();
    }

    /// Lets go of what is on disk and not sent soon. What is in memory alone behind it goes to the back.
    fn trim_front(&mut self) {
        let mut kept_bytes = 0;
        let keep = self.front.iter().position(|queued| {
            kept_bytes += queued.batch.bytes;
            kept_bytes > self.limits.memory_bytes / 2
        });
        // The first one may be under way.
        let Some(keep) = keep.map(|keep| keep.max(1)) else { return };
        let first = self.front.get(keep).and_then(|queued| queued.seq);
        let Some(first) = first.filter(|_| !self.unloaded) else { return };
        self.unloaded = true;
        self.next_load = first;
        let rest = self.front.split_off(keep);
        for queued in rest.into_iter().rev().filter(|queued| queued.seq.is_none()) {
            self.back.push_front(queued);
        }
    }

    fn loaded(&mut self, now: Duration, batches: Vec<(u64, Batch)>, next_seq: u64, exhausted: bool) {
        self.disk_work = DiskWork::Idle;
        if batches.is_empty() && !exhausted {
            self.disk_retry_at = now + self.limits.spill_after;
            return;
        }
        for (seq, batch) in batches {
            self.front.push_back(Queued { batch: Arc::new(batch), seq: Some(seq), closed_at: now });
        }
        self.next_load = next_seq;
        self.unloaded = !exhausted;
        if exhausted && self.front.is_empty() {
            self.disk_bytes = 0;
        }
        self.refill_front();
    }

    fn save(&mut self, now: Duration, flush: bool, actions: &mut Vec<Action>) {
        if self.is_saved() || (!flush && now < self.saved_at + self.limits.save_interval) {
            return;
        }
        self.saved_at = now;
        let positions = std::mem::take(&mut self.unsaved).into_iter().collect();
        let stored = self.front.iter().any(|queued| queued.seq.is_some());
        let disk_empty = !self.unloaded && !stored && self.disk_work == DiskWork::Idle;
        if disk_empty {
            self.disk_bytes = 0;
        }
        self.acked_seq_saved = true;
        actions.push(Action::Save { positions, acked_seq: self.acked_seq, disk_empty });
    }
}

#[cfg(test)]
mod tests;
