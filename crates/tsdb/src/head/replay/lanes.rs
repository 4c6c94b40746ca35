//! Applying the log by several threads. Each series belongs to one of them, by its shard, so that what the log has for it is
//! applied in the order in which it was written.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope};

use crate::head::series::Applied;
use crate::head::validate::check_histogram;
use crate::head::{Head, SeriesId, ShardCursor, shard_of, slot_of};
use crate::wal::record::RefHistogram;

/// More threads would wait for the one that reads.
const LANES_MAX: usize = 4;
/// Samples that are handed over together, and how often they may wait for their thread.
const BATCH: usize = 2048;
const BATCHES_AHEAD: usize = 4;
/// Samples whose series are fetched from memory side by side.
const AT_ONCE: usize = 16;

/// A sample and its series.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedSample {
    pub(super) id: SeriesId,
    pub(super) generation: u32,
    pub(super) timestamp: i64,
    pub(super) value: f64,
}

/// A histogram and its series.
#[derive(Debug)]
pub(super) struct PlacedHistogram {
    pub(super) id: SeriesId,
    pub(super) generation: u32,
    pub(super) item: RefHistogram,
}

enum Work {
    Samples(Vec<PlacedSample>),
    Histogram(Box<PlacedHistogram>),
    /// Tells that all before it is done.
    Tell(Sender<()>),
}

/// All lanes.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    head: &'a Head,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    filling: Vec<PlacedSample>,
    /// Without one the work is done by the caller.
    thread: Option<LaneThread>,
}

#[derive(Debug)]
struct LaneThread {
    work: SyncSender<Work>,
    empty: Receiver<Vec<PlacedSample>>,
}

impl<'a> Lanes<'a> {
    /// One lane, whose work is done by the caller.
    pub(super) fn inline(head: &'a Head) -> Self {
        Self { head, lanes: vec![Lane::default()] }
    }

    /// A lane with a thread of its own for each core, as long as the scope lasts.
    pub(super) fn start<'scope>(head: &'a Head, scope: &'scope Scope<'scope, '_>) -> std::io::Result<Self>
    where
        'a: 'scope,
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut lanes = Vec::new();
        for idx in 0..cores.min(LANES_MAX) {
            let (work, todo) = sync_channel::<Work>(BATCHES_AHEAD);
            let (give_back, empty) = channel();
            Builder::new()
                .name(format!("wal-apply-{idx}"))
                .spawn_scoped(scope, move || work_through(head, todo, &give_back))?;
            lanes.push(Lane { filling: Vec::with_capacity(BATCH), thread: Some(LaneThread { work, empty }) });
        }
        Ok(Self { head, lanes })
    }

    /// Adds a sample to what is to be applied.
    #[inline]
    pub(super) fn push(&mut self, sample: PlacedSample) {
        let count = self.lanes.len();
        let lane = &mut self.lanes[shard_of(sample.id) % count];
        lane.filling.push(sample);
        if lane.filling.len() >= BATCH {
            lane.hand_over(self.head);
        }
    }

    /// Applies a histogram behind what was pushed for its series.
    pub(super) fn push_histogram(&mut self, histogram: PlacedHistogram) {
        let count = self.lanes.len();
        let lane = &mut self.lanes[shard_of(histogram.id) % count];
        lane.hand_over(self.head);
        match &lane.thread {
            Some(thread) => {
                thread.work.send(Work::Histogram(Box::new(histogram))).ok();
            }
            None => apply_histogram(self.head, &histogram),
        }
    }

    /// Returns once all that was pushed is applied.
    pub(super) fn settle(&mut self) {
        let (tell, done) = channel::<()>();
        for lane in &mut self.lanes {
            lane.hand_over(self.head);
            if let Some(thread) = &lane.thread {
                thread.work.send(Work::Tell(tell.clone())).ok();
            }
        }
        drop(tell);
        // Nothing is sent: it ends when the last one has let go.
        done.recv().ok();
    }
}

impl Lane {
    fn hand_over(&mut self, head: &Head) {
        if self.filling.is_empty() {
            return;
        }
        let Some(thread) = &self.thread else {
            apply_samples(head, &self.filling);
            self.filling.clear();
            return;
        };
        let next = thread.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        let full = std::mem::replace(&mut self.filling, next);
        // A thread ends early only by a panic, which ends the scope, too.
        thread.work.send(Work::Samples(full)).ok();
    }
}

/// What a lane's thread does, until the lane is gone.
fn work_through(head: &Head, todo: Receiver<Work>, give_back: &Sender<Vec<PlacedSample>>) {
    for work in todo {
        match work {
            Work::Samples(mut samples) => {
                apply_samples(head, &samples);
                samples.clear();
                give_back.send(samples).ok();
            }
            Work::Histogram(histogram) => apply_histogram(head, &histogram),
            Work::Tell(done) => drop(done),
        }
    }
}

fn apply_samples(head: &Head, samples: &[PlacedSample]) {
    let ctx = head.apply_context();
    let mut times = (i64::MAX, i64::MIN);
    let mut shards = ShardCursor::new(head);
    for samples in samples.chunks(AT_ONCE) {
        let mut seen = 0;
        for sample in samples {
            if let Some(series) = shards.of(sample.id).get(slot_of(sample.id)) {
                seen ^= series.open_ends();
            }
        }
        std::hint::black_box(seen);
        for sample in samples {
            let found = shards.of(sample.id).get_mut(slot_of(sample.id), sample.generation);
            let Some(series) = found else { continue };
            if let Applied::Stored { .. } = series.append(sample.timestamp, sample.value, &ctx) {
                times = (times.0.min(sample.timestamp), times.1.max(sample.timestamp));
            }
        }
    }
    drop(shards);
    if times.0 <= times.1 {
        head.note_times(times.0, times.1);
    }
}

fn apply_histogram(head: &Head, placed: &PlacedHistogram) {
    let PlacedHistogram { id, generation, item } = placed;
    if check_histogram(&item.histogram).is_err() {
        return;
    }
    let mut shard = head.shard(*id);
    let Some(series) = shard.get_mut(slot_of(*id), *generation) else { return };
    let applied = series.append_histogram(item.timestamp, &item.histogram, &head.apply_context());
    drop(shard);
    if let Ok(Applied::Stored { .. }) = applied {
        head.note_times(item.timestamp, item.timestamp);
    }
}
