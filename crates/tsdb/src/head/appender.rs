//! A batch on its way into the head: checked as it comes, logged and applied at commit.

use std::sync::atomic::Ordering;

use metric_storage_api::{
    AppendRejection, Appender, CommitSummary, KeyedSample, KeyedStop, SeriesRef, SeriesSample, StorageError,
};
use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, TimestampMs};

use super::append_buffers::{AppendBuffers, PendingSample};
use super::chunk_files::ClosedChunk;
use super::key_table::KeyHash;
use super::series::{Applied, check_float};
use super::validate::{check_histogram, check_labels};
use super::{KEYS_AT_ONCE, Resolved, SeriesId, ShardCursor, from_ref, slot_of};
use crate::Db;
use crate::metrics::Count;
use crate::options::SyncPolicy;
use crate::wal::record::{self, RefHistogram, RefSample};

/// Of so many equal failures one is logged.
const WARN_EVERY: u64 = 1000;
/// So many samples ahead, what their series need is fetched from memory.
const WARM_AHEAD: usize = 16;

/// A batch of samples for one database.
#[derive(Debug)]
pub(crate) struct HeadAppender<'a> {
    db: &'a Db,
    buffers: AppendBuffers,
    histograms: Vec<PendingHistogram>,
    exemplars: Vec<(Labels, u64, Exemplar)>,
    metadata: Vec<(SeriesId, u32, u64, MetricMetadata)>,
    series_created: u64,
    /// The series that was resolved last: its sample mostly comes next.
    resolved: Option<Resolved>,
}

#[derive(Debug)]
struct PendingHistogram {
    series: SeriesId,
    generation: u32,
    wal_ref: u64,
    timestamp: i64,
    histogram: FloatHistogram,
}

/// What applying a batch has done.
#[derive(Debug, Default)]
struct Outcome {
    summary: CommitSummary,
    late: Vec<RefSample>,
    late_histograms: Vec<RefHistogram>,
    /// Late chunks that were closed: the samples in them are no longer needed in the out-of-order log.
    markers: Vec<(u64, u64)>,
    late_range: Option<(i64, i64)>,
    out_of_order: u64,
    chunks: u64,
    min_time: i64,
    max_time: i64,
}

impl Outcome {
    fn note_late(&mut self, sample: &PendingSample, closed: Option<ClosedChunk>) {
        if let Some(chunk) = closed {
            self.markers.push((sample.wal_ref, chunk.place.0));
            self.chunks += 1;
        }
        self.summary.samples += 1;
        self.extend_late_range(sample.timestamp);
        self.late.push(RefSample {
            series: sample.wal_ref,
            timestamp: sample.timestamp,
            value: sample.value,
        });
    }

    fn note_late_histogram(&mut self, item: &PendingHistogram) {
        self.summary.histograms += 1;
        self.chunks += 1;
        self.extend_late_range(item.timestamp);
        self.late_histograms.push(item.to_record());
    }

    fn extend_late_range(&mut self, timestamp: i64) {
        self.late_range = match self.late_range {
            None => Some((timestamp, timestamp)),
            Some((min, max)) => Some((min.min(timestamp), max.max(timestamp))),
        };
    }
}

impl PendingHistogram {
    fn to_record(&self) -> RefHistogram {
        RefHistogram { series: self.wal_ref, timestamp: self.timestamp, histogram: self.histogram.clone() }
    }
}

impl<'a> HeadAppender<'a> {
    pub(crate) fn new(db: &'a Db) -> Self {
        db.head.active_appenders.fetch_add(1, Ordering::Relaxed);
        Self {
            db,
            buffers: db.append_buffers.take(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            metadata: Vec::new(),
            series_created: 0,
            resolved: None,
        }
    }

    fn create(&mut self, labels: &Labels) -> Result<SeriesRef, AppendRejection> {
        let (head, limits) = (&self.db.head, &self.db.options.limits);
        let (series, created) = head
            .get_or_create(labels, None, |index| {
                check_labels(labels, limits)?;
                let name = labels.metric_name();
                let over = |limit: &str, detail: String, setting: &str| AppendRejection::LimitReached {
                    limit: limit.into(),
                    detail: detail.into(),
                    setting: setting.into(),
                };
                if limits.series_max > 0 && index.all().len() >= limits.series_max {
                    let detail = format!("{} series, next of {name}", index.all().len());
                    return Err(over("series", detail, "limits.series_max"));
                }
                let most = limits.series_per_metric_max;
                if most > 0 && index.series_of_metric(name) >= most {
                    let detail = format!("metric {name} has {most} series");
                    return Err(over("series per metric", detail, "limits.series_per_metric_max"));
                }
                Ok(())
            })
            .inspect_err(|rejection| {
                if matches!(rejection, AppendRejection::LimitReached { .. }) {
                    self.db.counters.limited_series.add(1);
                }
            })?;
        if created {
            self.series_created += 1;
            self.db.counters.series_created.add(1);
        }
        Ok(series)
    }

    /// The series of a key that was not known a moment ago.
    #[cold]
    fn resolve_new(
        &mut self,
        key: &[u8],
        hash: KeyHash,
        make_labels: &mut dyn FnMut() -> Result<Option<Labels>, AppendRejection>,
    ) -> Result<Resolved, KeyedStop> {
        let head = &self.db.head;
        // A sample before this one, or another appender, may have brought it.
        if let Some(found) = head.find_key(hash) {
            return Ok(found);
        }
        let labels = make_labels().map_err(KeyedStop::Rejected)?.ok_or(KeyedStop::UnknownKey)?;
        let series = self.create(&labels).map_err(KeyedStop::Rejected)?;
        if !key.is_empty() {
            head.remember_key(hash, series);
        }
        let found = from_ref(series).and_then(|(id, generation)| head.look_up(id, Some(generation)));
        found.ok_or(KeyedStop::Rejected(AppendRejection::UnknownSeries))
    }

    /// Checks a sample against its series and what the batch has for it already, and adds it to the batch.
    #[inline]
    fn add(
        &mut self,
        resolved: Resolved,
        timestamp: TimestampMs,
        value: f64,
        from: TimestampMs,
    ) -> Result<(), AppendRejection> {
        let Resolved { id, generation, wal_ref, last_time, last_value } = resolved;
        match check_float(last_time, last_value, timestamp, value) {
            Ok(false) => return Ok(()),
            Ok(true) if timestamp >= from => {}
            Err(AppendRejection::DuplicateTimestamp) => {
                self.db.counters.duplicate_samples.add(1);
                return Err(AppendRejection::DuplicateTimestamp);
            }
            Ok(true) | Err(_) => self.late(timestamp, from)?,
        }
        // The series' own state does not know yet what the same batch has brought for it.
        if let Some(last) = self.buffers.samples.last()
            && last.series == id
            && timestamp <= last.timestamp
        {
            if timestamp == last.timestamp {
                let same = last.value.to_bits() == value.to_bits();
                return if same { Ok(()) } else { Err(AppendRejection::DuplicateTimestamp) };
            }
            self.late(timestamp, from)?;
        }
        self.buffers.samples.push(PendingSample { series: id, generation, wal_ref, timestamp, value });
        Ok(())
    }

    /// Whether a sample that its series cannot take in order may be taken late.
    fn late(&self, timestamp: i64, in_order_from: i64) -> Result<(), AppendRejection> {
        let (counters, window) = (&self.db.counters, self.db.out_of_order_window_ms());
        let newest = self.db.head.max_time.load(Ordering::Relaxed);
        if window > 0 {
            if timestamp >= newest.saturating_sub(window) {
                return Ok(());
            }
            counters.too_old_samples.add(1);
            return Err(AppendRejection::TooOld);
        }
        if timestamp < in_order_from {
            counters.out_of_bound_samples.add(1);
            return Err(AppendRejection::OutOfBounds);
        }
        counters.out_of_order_samples.add(1);
        Err(AppendRejection::OutOfOrder)
    }

    /// Encodes the batch for the log, into the buffers.
    fn log_records(&mut self) {
        let compress = self.db.options.wal_compression;
        let AppendBuffers { samples, record: buf, records: batch, .. } = &mut self.buffers;
        batch.clear();
        if !self.metadata.is_empty() {
            buf.clear();
            let items: Vec<_> =
                self.metadata.iter().map(|(.., wal_ref, item)| (*wal_ref, item.clone())).collect();
            record::put_metadata(buf, &items);
            batch.push(buf, compress);
        }
        if !samples.is_empty() {
            buf.clear();
            let samples = samples.iter().map(|sample| RefSample {
                series: sample.wal_ref,
                timestamp: sample.timestamp,
                value: sample.value,
            });
            record::put_samples(buf, samples);
            batch.push(buf, compress);
        }
        if !self.histograms.is_empty() {
            let items: Vec<_> = self.histograms.iter().map(PendingHistogram::to_record).collect();
            record::put_histograms(&items, |record| batch.push(record, compress));
        }
        if !self.exemplars.is_empty() {
            buf.clear();
            let items: Vec<_> =
                self.exemplars.iter().map(|(_, wal_ref, exemplar)| (*wal_ref, exemplar.clone())).collect();
            record::put_exemplars(buf, &items);
            batch.push(buf, compress);
        }
    }

    fn apply(&mut self) -> Outcome {
        let mut outcome = Outcome { min_time: i64::MAX, max_time: i64::MIN, ..Outcome::default() };
        self.apply_samples(&mut outcome);
        for item in &self.histograms {
            self.apply_histogram(item, &mut outcome);
        }
        for (series, generation, _, metadata) in self.metadata.drain(..) {
            let mut shard = self.db.head.shard(series);
            if let Some(series) = shard.get_mut(slot_of(series), generation) {
                series.extra.get_or_insert_default().metadata = Some(metadata);
            }
        }
        let mut ring = self.db.head.exemplars.lock();
        for (labels, _, exemplar) in self.exemplars.drain(..) {
            if ring.check(&labels, &exemplar) == Ok(true) {
                ring.add(labels, exemplar);
                outcome.summary.exemplars += 1;
            }
        }
        outcome
    }

    fn apply_samples(&self, outcome: &mut Outcome) {
        let head = &self.db.head;
        let (ctx, from) = (head.apply_context(), head.appendable_from());
        let late_allowed = self.db.out_of_order_window_ms() > 0;
        let mut shards = ShardCursor::new(head);
        let samples = &self.buffers.samples;
        for (idx, sample) in samples.iter().enumerate() {
            if idx % WARM_AHEAD == 0 {
                let next = &samples[idx..samples.len().min(idx + WARM_AHEAD)];
                warm(&mut shards, next);
            }
            let found = shards.of(sample.series).get_mut(slot_of(sample.series), sample.generation);
            let Some(series) = found else {
                outcome.out_of_order += 1;
                continue;
            };
            let applied = if sample.timestamp < from {
                Applied::OutOfOrder
            } else {
                series.append(sample.timestamp, sample.value, &ctx)
            };
            match applied {
                Applied::Stored { cut } => outcome.chunks += u64::from(cut),
                Applied::Same => continue,
                Applied::OutOfOrder if late_allowed => {
                    let Some(closed) = series.append_late(sample.timestamp, sample.value, &ctx) else {
                        continue;
                    };
                    outcome.note_late(sample, closed);
                    continue;
                }
                Applied::OutOfOrder => {
                    outcome.out_of_order += 1;
                    continue;
                }
            }
            outcome.summary.samples += 1;
            outcome.min_time = outcome.min_time.min(sample.timestamp);
            outcome.max_time = outcome.max_time.max(sample.timestamp);
        }
    }

    fn apply_histogram(&self, item: &PendingHistogram, outcome: &mut Outcome) {
        let head = &self.db.head;
        let late_allowed = self.db.out_of_order_window_ms() > 0;
        let (ctx, from) = (head.apply_context(), head.appendable_from());
        let mut shard = head.shard(item.series);
        let Some(series) = shard.get_mut(slot_of(item.series), item.generation) else { return };
        let applied = if item.timestamp < from {
            Ok(Applied::OutOfOrder)
        } else {
            series.append_histogram(item.timestamp, &item.histogram, &ctx)
        };
        match applied {
            Ok(Applied::Stored { cut }) => {
                outcome.chunks += u64::from(cut);
                outcome.summary.histograms += 1;
                outcome.min_time = outcome.min_time.min(item.timestamp);
                outcome.max_time = outcome.max_time.max(item.timestamp);
            }
            Ok(Applied::Same) => {}
            Ok(Applied::OutOfOrder) if late_allowed => {
                match series.append_late_histogram(item.timestamp, &item.histogram, &ctx) {
                    Ok(Some(_)) => outcome.note_late_histogram(item),
                    Ok(None) => {}
                    Err(_) => outcome.out_of_order += 1,
                }
            }
            Ok(Applied::OutOfOrder) | Err(_) => outcome.out_of_order += 1,
        }
    }

    fn count(&self, outcome: &Outcome) {
        let (counters, head) = (&self.db.counters, &self.db.head);
        if outcome.min_time <= outcome.max_time {
            head.note_times(outcome.min_time, outcome.max_time);
        }
        if let Some((min, max)) = outcome.late_range {
            head.note_late(min, max);
        }
        head.chunk_count.fetch_add(outcome.chunks as i64, Ordering::Relaxed);
        counters.chunks_created.add(outcome.chunks);
        counters.float_samples_appended.add(outcome.summary.samples);
        counters.histogram_samples_appended.add(outcome.summary.histograms);
        counters.exemplars_appended.add(outcome.summary.exemplars);
        counters.out_of_order_samples.add(outcome.out_of_order);
        let late = outcome.late.len() + outcome.late_histograms.len();
        counters.out_of_order_samples_appended.add(late as u64);
    }
}

/// Touches the ends of the open chunks of these samples' series: they are fetched from memory side by side, not one behind the
/// other as appending does.
fn warm(shards: &mut ShardCursor<'_>, samples: &[PendingSample]) {
    let mut seen = 0;
    for sample in samples {
        if let Some(series) = shards.of(sample.series).get(slot_of(sample.series)) {
            seen ^= series.open_ends();
        }
    }
    std::hint::black_box(seen);
}

impl Drop for HeadAppender<'_> {
    fn drop(&mut self) {
        self.db.head.active_appenders.fetch_sub(1, Ordering::Relaxed);
        self.db.append_buffers.give_back(std::mem::take(&mut self.buffers));
    }
}

impl Appender for HeadAppender<'_> {
    fn resolve(
        &mut self,
        key: &[u8],
        make_labels: &mut dyn FnMut() -> Result<Labels, AppendRejection>,
    ) -> Result<SeriesRef, AppendRejection> {
        if key.is_empty() {
            return self.create(&make_labels()?);
        }
        let hash = self.db.head.hash_key(key);
        let found = self.db.head.find_key(hash);
        if let Some(resolved) = found {
            self.resolved = found;
            return Ok(resolved.series_ref());
        }
        let series = self.create(&make_labels()?)?;
        self.db.head.remember_key(hash, series);
        Ok(series)
    }

    fn append_keyed(
        &mut self,
        samples: &[KeyedSample<'_>],
        make_labels: &mut dyn FnMut(usize) -> Result<Option<Labels>, AppendRejection>,
    ) -> Result<(), (usize, KeyedStop)> {
        let head = &self.db.head;
        let from = head.appendable_from();
        for (nth, block) in samples.chunks(KEYS_AT_ONCE).enumerate() {
            let (mut hashes, mut found) = ([KeyHash::default(); KEYS_AT_ONCE], [None; KEYS_AT_ONCE]);
            for (hash, sample) in hashes.iter_mut().zip(block) {
                *hash = head.hash_key(sample.key);
            }
            head.find_keys(&hashes[..block.len()], &mut found[..block.len()]);
            for (idx, sample) in block.iter().enumerate() {
                let at = nth * KEYS_AT_ONCE + idx;
                let resolved = match found[idx] {
                    Some(resolved) => resolved,
                    None => self
                        .resolve_new(sample.key, hashes[idx], &mut || make_labels(at))
                        .map_err(|stop| (at, stop))?,
                };
                self.add(resolved, sample.timestamp, sample.value, from)
                    .map_err(|rejection| (at, KeyedStop::Rejected(rejection)))?;
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        series: SeriesRef,
        timestamp: TimestampMs,
        value: f64,
    ) -> Result<(), AppendRejection> {
        let head = &self.db.head;
        let resolved = match self.resolved {
            Some(resolved) if resolved.series_ref() == series => resolved,
            _ => {
                let (id, generation) = from_ref(series).ok_or(AppendRejection::UnknownSeries)?;
                head.look_up(id, Some(generation)).ok_or(AppendRejection::UnknownSeries)?
            }
        };
        self.add(resolved, timestamp, value, head.appendable_from())
    }

    fn append_many(&mut self, samples: &[SeriesSample], refused: &mut dyn FnMut(usize, AppendRejection)) {
        let head = &self.db.head;
        let from = head.appendable_from();
        for (nth, block) in samples.chunks(KEYS_AT_ONCE).enumerate() {
            let mut found = [None; KEYS_AT_ONCE];
            head.look_up_many(block, &mut found);
            for (idx, (sample, resolved)) in block.iter().zip(found).enumerate() {
                let added = match resolved {
                    Some(resolved) => self.add(resolved, sample.timestamp, sample.value, from),
                    None => Err(AppendRejection::UnknownSeries),
                };
                if let Err(rejection) = added {
                    refused(nth * KEYS_AT_ONCE + idx, rejection);
                }
            }
        }
    }

    fn append_histogram(
        &mut self,
        series: SeriesRef,
        timestamp: TimestampMs,
        histogram: &FloatHistogram,
    ) -> Result<(), AppendRejection> {
        check_histogram(histogram)?;
        let head = &self.db.head;
        let (id, generation) = from_ref(series).ok_or(AppendRejection::UnknownSeries)?;
        let from = head.appendable_from();
        let (wal_ref, checked) = {
            let mut shard = head.shard(id);
            let series = shard.get_mut(slot_of(id), generation).ok_or(AppendRejection::UnknownSeries)?;
            series.touched = head.epoch.load(Ordering::Relaxed);
            (series.wal_ref, series.check_histogram(timestamp, histogram))
        };
        match checked {
            Ok(true) if timestamp >= from => {}
            Ok(false) => return Ok(()),
            Err(AppendRejection::DuplicateTimestamp) => {
                self.db.counters.duplicate_samples.add(1);
                return Err(AppendRejection::DuplicateTimestamp);
            }
            Ok(true) | Err(_) => self.late(timestamp, from)?,
        }
        let histogram = histogram.clone();
        self.histograms.push(PendingHistogram { series: id, generation, wal_ref, timestamp, histogram });
        Ok(())
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendRejection> {
        let head = &self.db.head;
        if !head.exemplars.lock().is_enabled() {
            return Ok(());
        }
        let (wal_ref, labels) = self.series_labels(series)?;
        match head.exemplars.lock().check(&labels, &exemplar) {
            Ok(true) => self.exemplars.push((labels, wal_ref, exemplar)),
            Ok(false) => {}
            Err(rejection) => {
                self.db.counters.exemplars_out_of_order.add(1);
                return Err(rejection);
            }
        }
        Ok(())
    }

    fn update_metadata(
        &mut self,
        series: SeriesRef,
        metadata: &MetricMetadata,
    ) -> Result<(), AppendRejection> {
        let (id, generation) = from_ref(series).ok_or(AppendRejection::UnknownSeries)?;
        let mut shard = self.db.head.shard(id);
        let found = shard.get_mut(slot_of(id), generation).ok_or(AppendRejection::UnknownSeries)?;
        let known = found.extra.as_ref().and_then(|extra| extra.metadata.as_ref());
        if known != Some(metadata) {
            self.metadata.push((id, generation, found.wal_ref, metadata.clone()));
        }
        Ok(())
    }

    fn append_start(&mut self, series: SeriesRef, start: TimestampMs) -> Result<(), AppendRejection> {
        let head = &self.db.head;
        let (id, generation) = from_ref(series).ok_or(AppendRejection::UnknownSeries)?;
        let (wal_ref, last_time) = {
            let mut shard = head.shard(id);
            let series = shard.get_mut(slot_of(id), generation).ok_or(AppendRejection::UnknownSeries)?;
            (series.wal_ref, series.last_time)
        };
        let pending = self.buffers.samples.last().filter(|last| last.series == id).map(|last| last.timestamp);
        if start <= last_time.max(pending.unwrap_or(i64::MIN)) || start < head.appendable_from() {
            return Ok(());
        }
        let sample = PendingSample { series: id, generation, wal_ref, timestamp: start, value: 0.0 };
        self.buffers.samples.push(sample);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<CommitSummary, StorageError> {
        let db = self.db;
        self.log_records();
        if self.buffers.records.is_empty() && db.head.unlogged.lock().is_empty() {
            // Nothing new: but what was there already may have come with a batch that could not be acknowledged.
            db.write_late_log(&[], &[], &[])?;
            if db.options.sync == SyncPolicy::Always {
                let number = db.wal.lock().written();
                db.sync_commit(number)?;
            }
            return Ok(CommitSummary { series_created: self.series_created, ..CommitSummary::default() });
        }
        let (outcome, number, must_sync) = {
            // Held until the batch is applied: a series' samples are applied in the order in which they are logged.
            let mut log = db.wal.lock();
            let number = db.write_log(&mut log, &self.buffers.records)?;
            let _no_reader = db.head.visibility.write();
            let outcome = self.apply();
            self.count(&outcome);
            (outcome, number, log.must_sync())
        };
        if let Err(error) = db.head.files.flush() {
            // The log has the samples, the buffer has the chunks: nothing is lost, and the next flush tries again.
            let failed = db.counters.head_chunk_writes_failed.fetch_add(1, Ordering::Relaxed);
            if failed.is_multiple_of(WARN_EVERY) {
                tracing::warn!(error = %error, "head chunks could not be written");
            }
        }
        db.write_late_log(&outcome.late, &outcome.late_histograms, &outcome.markers)?;
        if must_sync || db.options.sync == SyncPolicy::Always {
            db.sync_commit(number)?;
        }
        Ok(CommitSummary { series_created: self.series_created, ..outcome.summary })
    }
}

impl HeadAppender<'_> {
    fn series_labels(&self, series: SeriesRef) -> Result<(u64, Labels), AppendRejection> {
        let head = &self.db.head;
        let (id, generation) = from_ref(series).ok_or(AppendRejection::UnknownSeries)?;
        let index = head.index.read();
        let mut shard = head.shard(id);
        let found = shard.get_mut(slot_of(id), generation).ok_or(AppendRejection::UnknownSeries)?;
        Ok((found.wal_ref, index.labels(&found.pairs)))
    }
}
