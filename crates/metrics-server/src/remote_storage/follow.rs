//! Reading the log for one sender.
//!
//! Every record gets a sequence number, and the sender says which of them are done; the position before the first that is
//! not is what is kept on disk. After a restart it goes on from there: what was sent and not noted is sent twice, nothing is
//! left out, as long as the log still has it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Labels, LabelsBuilder, MetricMetadata};
use remote_write::{Outgoing, OutgoingValue, PushError, RemoteWriter};
use tokio_util::sync::CancellationToken;
use tsdb::{WalEvent, WalPosition, WalTail};

use super::position::PositionFile;
use super::{Families, WatchMetrics};

/// Records that were in the log at the start have sequences below this one, those that came later begin here.
pub(super) const REPEATS_UNTIL: u64 = 1 << 40;
/// How often the end of the log is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How often the position is written.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);
/// How often series that are no longer in the log are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);
/// What a family's series are named beside it.
const SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_created"];

/// A series as it is sent.
#[derive(Debug)]
struct Series {
    /// `None` where relabelling drops it.
    labels: Option<Labels>,
    metadata: Option<Arc<MetricMetadata>>,
    /// The segment in which it was named last.
    segment: u64,
}

/// A reader.
#[derive(Debug)]
pub(super) struct Follow {
    writer: Arc<RemoteWriter>,
    external: Labels,
    families: Families,
    file: PositionFile,
    series: HashMap<u64, Series>,
    sequence: u64,
    /// Where the record after each sequence begins, from the oldest that is not done.
    marks: VecDeque<(u64, WalPosition)>,
    /// Where the log ended when the reader was made: what lies before may have been sent already.
    end: WalPosition,
    /// Where the next start goes on.
    done: Option<WalPosition>,
    saved: Option<WalPosition>,
    forgotten_up_to: Option<u64>,
}

impl Follow {
    /// Takes its place in the log: where the last reader came to, or the log's present end. Blocks.
    pub(super) fn new(
        writer: Arc<RemoteWriter>,
        external: Labels,
        families: Families,
        db: &tsdb::Db,
    ) -> Self {
        let file = PositionFile::new(db.dir(), &writer.config().name);
        let end = db.tail_wal(None).position();
        let from = file.load().filter(|position| *position <= end);
        let mut follow = Self {
            writer,
            external,
            families,
            file,
            series: HashMap::new(),
            sequence: 0,
            marks: VecDeque::new(),
            end,
            done: Some(from.unwrap_or(end)),
            saved: from,
            forgotten_up_to: None,
        };
        follow.save_position();
        follow
    }

    /// Reads until it is told to end. Blocks.
    pub(super) fn drive(mut self, db: &tsdb::Db, gone: &CancellationToken, metrics: &WatchMetrics) -> Self {
        let name = self.writer.config().name.clone();
        let (end, mut tail) = (self.end, db.tail_wal(self.done));
        let (segment, offset) = (tail.position().segment, tail.position().offset);
        tracing::info!(remote = name, segment, offset, "reading the log");
        let mut known = Vec::new();
        if let Err(error) = tail.read_series_before(|event| known.push(event)) {
            tracing::error!(remote = name, error = %error, "series of the log cannot be read");
        }
        known.into_iter().for_each(|event| self.note(event, tail.position().segment));
        let (mut saved_at, mut forgotten_at) = (Instant::now(), Instant::now());
        while !gone.is_cancelled() {
            if tail.position() >= end {
                self.sequence = self.sequence.max(REPEATS_UNTIL);
            }
            let event = tail.next_event();
            metrics.segment.with(&[&name]).set(tail.position().segment as f64);
            match event {
                Ok(Some(event)) => {
                    metrics.records.with(&[&name, type_name(&event)]).inc();
                    self.sequence += 1;
                    if !self.take(event, tail.position().segment, gone, (metrics, &name)) {
                        break;
                    }
                    self.marks.push_back((self.sequence, tail.position()));
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => {
                    tracing::error!(remote = name, error = %error, "the log cannot be read, it is tried again");
                    std::thread::sleep(POLL * 10);
                }
            }
            if saved_at.elapsed() >= SAVE_INTERVAL {
                saved_at = Instant::now();
                let failures = metrics.damaged.with(&[&name]);
                failures.add(tail.damaged().saturating_sub(failures.get()));
                self.save_position();
            }
            if forgotten_at.elapsed() >= FORGET_INTERVAL {
                forgotten_at = Instant::now();
                self.forget(&tail);
            }
        }
        self
    }

    /// Writes how far everything is done.
    pub(super) fn save_position(&mut self) {
        let oldest = self.writer.oldest_pending().unwrap_or(u64::MAX);
        while let Some((sequence, position)) = self.marks.front().copied().filter(|mark| mark.0 < oldest) {
            debug_assert!(sequence <= self.sequence, "marks are of records that were read");
            self.done = Some(position);
            self.marks.pop_front();
        }
        if let Some(done) = self.done.filter(|done| Some(*done) != self.saved) {
            match self.file.save(done) {
                Ok(()) => self.saved = Some(done),
                Err(error) => {
                    tracing::error!(remote = self.writer.config().name, error = %error, "position cannot be written");
                }
            }
        }
    }

    /// Hands a record's content to the sender; `false` where it is time to end.
    fn take(
        &mut self,
        event: WalEvent,
        segment: u64,
        gone: &CancellationToken,
        (metrics, name): (&WatchMetrics, &str),
    ) -> bool {
        match event {
            WalEvent::Samples(samples) => samples
                .into_iter()
                .all(|(series, at, value)| self.push(series, OutgoingValue::Sample(at, value), gone)),
            WalEvent::Histograms(histograms) => histograms.into_iter().all(|(series, at, histogram)| {
                self.push(series, OutgoingValue::Histogram(at, Arc::new(histogram)), gone)
            }),
            WalEvent::Exemplars(exemplars) => exemplars
                .into_iter()
                .all(|(series, exemplar)| self.push(series, OutgoingValue::Exemplar(exemplar), gone)),
            WalEvent::Skipped { from, to } => {
                metrics.skipped.with(&[name]).add(to.saturating_sub(from));
                tracing::error!(
                    remote = name,
                    from,
                    to,
                    "segments were folded before they were read: the server was away for too long, their samples are not sent"
                );
                true
            }
            event @ (WalEvent::Series(_) | WalEvent::Metadata(_)) => {
                self.note(event, segment);
                true
            }
        }
    }

    fn push(&self, series: u64, value: OutgoingValue, gone: &CancellationToken) -> bool {
        if !self.writer.wants(&value) {
            return true;
        }
        let known = self.series.get(&series);
        let Some(labels) = known.and_then(|known| known.labels.clone()) else {
            self.writer.count_dropped(&value, known.is_some());
            return true;
        };
        let metadata = known.and_then(|known| known.metadata.clone());
        let mut item = Outgoing { series, labels, metadata, value };
        loop {
            match self.writer.push(self.sequence, item) {
                Ok(()) => return true,
                Err(PushError::Full(back)) if !gone.is_cancelled() => item = *back,
                // What is left of the record is sent after the next start.
                Err(PushError::Full(_) | PushError::Stopped) => return false,
            }
        }
    }

    fn note(&mut self, event: WalEvent, segment: u64) {
        match event {
            WalEvent::Series(series) => {
                let families = Arc::clone(&self.families.read());
                for (number, labels) in series {
                    if let Some(known) = self.series.get_mut(&number) {
                        known.segment = known.segment.max(segment);
                        continue;
                    }
                    let metadata = family(&families, labels.metric_name());
                    let labels = self.outward(&labels);
                    self.series.insert(number, Series { labels, metadata, segment });
                }
            }
            WalEvent::Metadata(items) => {
                for (number, metadata) in items {
                    if let Some(series) = self.series.get_mut(&number) {
                        series.metadata = Some(Arc::new(metadata));
                    }
                }
            }
            WalEvent::Samples(_)
            | WalEvent::Histograms(_)
            | WalEvent::Exemplars(_)
            | WalEvent::Skipped { .. } => {}
        }
    }

    /// External labels where the series lacks them, then the entry's rules.
    fn outward(&self, labels: &Labels) -> Option<Labels> {
        let mut outward = LabelsBuilder::from_labels(labels);
        for (name, value) in self.external.iter() {
            if outward.get(name).is_none() {
                outward.set(name, value);
            }
        }
        let stays = relabel::apply(&self.writer.config().relabel, &mut outward);
        Some(outward.build()).filter(|labels| stays && !labels.is_empty())
    }

    /// Forgets series that neither the newest checkpoint nor a later segment has.
    fn forget(&mut self, tail: &WalTail) {
        let families = Arc::clone(&self.families.read());
        for series in self.series.values_mut().filter(|series| series.metadata.is_none()) {
            let name = series.labels.as_ref().map(Labels::metric_name);
            series.metadata = name.and_then(|name| family(&families, name));
        }
        let Ok(Some(covered)) = tail.checkpoint() else { return };
        // Records that still have to be read may name what the checkpoint has not.
        if self.forgotten_up_to >= Some(covered) || tail.position().segment <= covered {
            return;
        }
        let mut kept = std::collections::HashSet::new();
        let read = tail.read_checkpoint(|event| {
            if let WalEvent::Series(series) = event {
                kept.extend(series.into_iter().map(|(number, _)| number));
            }
        });
        if let Ok(Some(covered)) = read {
            self.series.retain(|number, series| series.segment > covered || kept.contains(number));
            self.forgotten_up_to = Some(covered);
        }
    }
}

/// What is known of a metric: by its own name, or by its family's.
fn family(
    families: &std::collections::BTreeMap<String, Arc<MetricMetadata>>,
    name: &str,
) -> Option<Arc<MetricMetadata>> {
    let by_suffix = || SUFFIXES.iter().find_map(|suffix| families.get(name.strip_suffix(suffix)?));
    families.get(name).or_else(by_suffix).cloned()
}

fn type_name(event: &WalEvent) -> &'static str {
    match event {
        WalEvent::Series(_) => "series",
        WalEvent::Samples(_) => "samples",
        WalEvent::Histograms(_) => "histogram_samples",
        WalEvent::Exemplars(_) => "exemplars",
        WalEvent::Metadata(_) => "metadata",
        WalEvent::Skipped { .. } => "skipped",
    }
}
