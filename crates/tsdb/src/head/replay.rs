//! From the directory back into memory: head chunks, checkpoint, log, out-of-order log.

use std::path::Path;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use sys::Fs;

use super::chunk_files::{ChunkPlace, ClosedChunk, FoundChunk};
use super::ref_table::{RefEntry, RefTable};
use super::{Head, SeriesId, from_ref, slot_of};
use crate::metrics::{Count, Counters, ReplayProgress};
use crate::wal::reader::{SegmentReport, read_segment, read_segment_ahead};
use crate::wal::record::{self, Record, RefHistogram, RefSample};
use crate::wal::{list_segments, segment_path};
use crate::{Error, Result};
use lanes::{Lanes, PlacedHistogram, PlacedSample};

mod lanes;

const CHECKPOINT_PREFIX: &str = "checkpoint.";
/// The most bytes of a segment that is written anew because it was damaged.
const SEGMENT_BYTES_MAX: u64 = 512 << 20;
/// A shorter log is not worth threads.
const THREADS_BYTES_MIN: u64 = 1 << 20;
/// How often a long replay tells how far it is.
const PROGRESS_STEPS: usize = 20;

/// Chunks found in `chunks_head/`, by the series' WAL reference.
#[derive(Debug, Default)]
pub(crate) struct FoundChunks {
    in_order: HashMap<u64, Vec<ClosedChunk>>,
    late: HashMap<u64, Vec<ClosedChunk>>,
    max_ref: u64,
}

impl FoundChunks {
    /// The largest series reference seen: none of these may be given out again.
    pub(crate) fn max_ref(&self) -> u64 {
        self.max_ref
    }

    pub(crate) fn add(&mut self, found: FoundChunk) {
        self.max_ref = self.max_ref.max(found.series);
        let chunks = if found.out_of_order { &mut self.late } else { &mut self.in_order };
        chunks.entry(found.series).or_default().push(found.chunk);
    }
}

/// Where things lie and what to tell while replaying.
#[derive(Debug)]
pub(crate) struct ReplayContext<'a> {
    pub(crate) fs: &'a dyn Fs,
    /// The database's directory.
    pub(crate) dir: &'a Path,
    pub(crate) counters: &'a Counters,
    pub(crate) progress: &'a ReplayProgress,
    /// Damaged files are kept here.
    pub(crate) aside: &'a Path,
}

/// Fills a new head from a directory.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    head: &'a Head,
    ctx: &'a ReplayContext<'a>,
    chunks: FoundChunks,
    series: RefTable,
    lanes: Lanes<'a>,
    unknown_refs: u64,
    /// The samples of a record, kept for the next one.
    samples: Vec<RefSample>,
}

/// What the log turned out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReplaySummary {
    pub(crate) records: u64,
    pub(crate) samples: u64,
}

/// The newest whole checkpoint: the last segment that it stands for, and its directory's name.
pub(crate) fn last_checkpoint(fs: &dyn Fs, wal: &Path) -> Result<Option<(u64, String)>> {
    let entries = match fs.read_dir(wal) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(Error::io("list", wal))?,
    };
    let numbers = entries.into_iter().filter(|entry| entry.is_dir).filter_map(|entry| {
        let number = entry.name.strip_prefix(CHECKPOINT_PREFIX)?.parse::<u64>().ok()?;
        Some((number, entry.name))
    });
    Ok(numbers.max())
}

impl<'a> Replay<'a> {
    pub(crate) fn new(head: &'a Head, ctx: &'a ReplayContext<'a>, chunks: FoundChunks) -> Self {
        let (series, lanes) = (RefTable::default(), Lanes::inline(head));
        Self { head, ctx, chunks, series, lanes, unknown_refs: 0, samples: Vec::new() }
    }

    /// Reads everything. Damage is set aside and told; only what the operating system refuses is an error.
    pub(crate) fn run(self) -> Result<ReplaySummary> {
        let wal = self.ctx.dir.join("wal");
        if self.log_bytes(&wal)? < THREADS_BYTES_MIN {
            return self.read_all(&wal);
        }
        std::thread::scope(|scope| {
            let mut replay = self;
            replay.lanes =
                Lanes::start(replay.head, scope).map_err(Error::io("start threads to replay", &wal))?;
            replay.read_all(&wal)
        })
    }

    fn log_bytes(&self, wal: &Path) -> Result<u64> {
        let fs = self.ctx.fs;
        let mut bytes = 0;
        for segment in list_segments(fs, wal).map_err(Error::io("list", wal))? {
            let path = segment_path(wal, segment);
            bytes += fs.file_len(&path).map_err(Error::io("measure", &path))?;
        }
        Ok(bytes)
    }

    fn read_all(mut self, wal: &Path) -> Result<ReplaySummary> {
        let mut summary = ReplaySummary::default();
        let mut from = 0;
        if let Some((last, name)) = last_checkpoint(self.ctx.fs, wal)? {
            self.read_dir(&wal.join(name), 0, &mut summary, Log::Wal)?;
            from = last + 1;
        }
        self.read_dir(wal, from, &mut summary, Log::Wal)?;
        self.lanes.settle();
        self.read_dir(&self.ctx.dir.join("wbl"), 0, &mut summary, Log::Late)?;
        self.restore_late_chunks();
        if self.unknown_refs > 0 {
            self.ctx.counters.replay_unknown_refs.add(self.unknown_refs);
            tracing::warn!(count = self.unknown_refs, "log has samples of unknown series");
        }
        if let Err(error) = self.head.files.flush() {
            tracing::warn!(error = %error, "head chunks could not be written");
        }
        self.head.index.write().optimize();
        self.count_chunks();
        Ok(summary)
    }

    fn read_dir(&mut self, dir: &Path, from: u64, summary: &mut ReplaySummary, log: Log) -> Result<()> {
        let segments = list_segments(self.ctx.fs, dir).map_err(Error::io("list", dir))?;
        let segments: Vec<u64> = segments.into_iter().filter(|segment| *segment >= from).collect();
        let progress = self.ctx.progress;
        progress.min.store(segments.first().map_or(0, |first| *first as i64), Ordering::Relaxed);
        progress.max.store(segments.last().map_or(0, |last| *last as i64), Ordering::Relaxed);
        let count = segments.len();
        for (idx, segment) in segments.into_iter().enumerate() {
            progress.current.store(segment as i64, Ordering::Relaxed);
            if count >= 2 && (idx * PROGRESS_STEPS / count) != (idx + 1) * PROGRESS_STEPS / count {
                tracing::info!(dir = %dir.display(), segment, number = idx + 1, of = count, "replaying the log");
            }
            let path = segment_path(dir, segment);
            let mut broken_records = 0;
            let report = read_segment_ahead(self.ctx.fs, &path, |bytes| {
                summary.records += 1;
                if self.take_bytes(bytes, summary, log).is_err() {
                    broken_records += 1;
                }
            })?;
            if broken_records > 0 {
                self.ctx.counters.wal_corruptions.add(broken_records);
                tracing::error!(path = %path.display(), records = broken_records, "wal records do not decode");
            }
            self.mend(&path, &report)?;
            // A process that was killed may have acknowledged what it had not synced yet.
            let mut file = self.ctx.fs.open_append(&path).map_err(Error::io("open", &path))?;
            file.sync().map_err(Error::io("sync", &path))?;
        }
        Ok(())
    }

    /// Makes a segment whole again, so that every reader takes it: cuts a torn end, leaves out damage that lies before
    /// whole records (the original is kept aside).
    fn mend(&self, path: &Path, report: &SegmentReport) -> Result<()> {
        let fs = self.ctx.fs;
        if report.damaged.is_empty() {
            if let Some(at) = report.torn_at {
                tracing::warn!(path = %path.display(), offset = at, "wal segment ends within a record; cut there");
                let mut file = fs.open_append(path).map_err(Error::io("open", path))?;
                file.truncate(report.good_end).map_err(Error::io("truncate", path))?;
            }
            return Ok(());
        }
        self.ctx.counters.wal_corruptions.add(report.damaged.len() as u64);
        for (offset, reason) in &report.damaged {
            tracing::error!(path = %path.display(), offset, reason, "wal segment is damaged; the rest is served");
        }
        set_aside(fs, path, self.ctx.aside)?;
        let mut batch = crate::wal::writer::RecordBatch::default();
        read_segment(fs, path, |record| {
            batch.push(record, true);
            Ok(())
        })?;
        let mended = crate::wal::writer::frame_all(&batch);
        if mended.len() as u64 > SEGMENT_BYTES_MAX {
            return Ok(());
        }
        fs.write_atomic(path, &mended).map_err(Error::io("write", path))
    }

    fn take_bytes(
        &mut self,
        bytes: &[u8],
        summary: &mut ReplaySummary,
        log: Log,
    ) -> std::result::Result<(), chunk_encoding::DecodeError> {
        let mut samples = std::mem::take(&mut self.samples);
        let decoded = match log {
            Log::Wal => record::decode_samples_into(bytes, &mut samples),
            Log::Late => Ok(false),
        };
        if decoded == Ok(true) {
            summary.samples += samples.len() as u64;
            self.add_samples(&samples);
        }
        self.samples = samples;
        if !decoded? {
            self.take(record::decode(bytes)?, summary, log);
        }
        Ok(())
    }

    fn take(&mut self, record: Record, summary: &mut ReplaySummary, log: Log) {
        match record {
            Record::Series(series) => {
                for (wal_ref, labels) in series {
                    self.add_series(wal_ref, &labels);
                }
            }
            Record::Samples(samples) => {
                summary.samples += samples.len() as u64;
                match log {
                    Log::Wal => self.add_samples(&samples),
                    Log::Late => self.add_late(&samples),
                }
            }
            Record::Histograms(histograms) => {
                summary.samples += histograms.len() as u64;
                match log {
                    Log::Wal => histograms.into_iter().for_each(|item| self.add_histogram(item)),
                    Log::Late => histograms.iter().for_each(|item| self.add_late_histogram(item)),
                }
            }
            Record::Tombstones(stones) => {
                for stone in stones {
                    self.with_series(stone.series, |series| {
                        let range = (stone.min_time, stone.max_time);
                        crate::intervals::add(&mut series.extra.get_or_insert_default().tombstones, range);
                    });
                }
            }
            Record::Exemplars(exemplars) => {
                for (wal_ref, exemplar) in exemplars {
                    let Some(labels) = self.labels(wal_ref) else { continue };
                    let mut ring = self.head.exemplars.lock();
                    if ring.check(&labels, &exemplar) == Ok(true) {
                        ring.add(labels, exemplar);
                    }
                }
            }
            Record::Metadata(items) => {
                for (wal_ref, metadata) in items {
                    self.with_series(wal_ref, |series| {
                        series.extra.get_or_insert_default().metadata = Some(metadata);
                    });
                }
            }
            Record::MmapMarkers(markers) => {
                for (wal_ref, place) in markers {
                    self.take_marker(wal_ref, ChunkPlace(place));
                }
            }
            Record::Unknown(_) => {}
        }
    }

    fn add_series(&mut self, wal_ref: u64, labels: &model::Labels) {
        if self.series.get(wal_ref).is_some() || labels.is_empty() {
            return;
        }
        let Ok((series, created)) = self.head.get_or_create(labels, Some(wal_ref), |_| Ok(())) else {
            return;
        };
        let Some((id, generation)) = from_ref(series) else { return };
        if created {
            self.ctx.counters.series_created.add(1);
        } else {
            self.head.alias_refs.lock().insert(wal_ref);
            self.head.reserve_refs(wal_ref);
        }
        let restored_until = self.restore_chunks(wal_ref, id, generation, created);
        self.series.insert(wal_ref, RefEntry { id, generation, restored_until });
    }

    /// Gives a series the head chunks of one of its references. Returns the time up to which there are samples then.
    fn restore_chunks(&mut self, wal_ref: u64, id: SeriesId, generation: u32, is_new: bool) -> i64 {
        let Some(chunks) = self.chunks.in_order.remove(&wal_ref) else { return i64::MIN };
        if !is_new {
            // What the log has for it under another reference comes before.
            self.lanes.settle();
        }
        let valid_from = self.head.min_valid_time.load(Ordering::Relaxed);
        let mut times = (i64::MAX, i64::MIN);
        let mut shard = self.head.shard(id);
        let Some(series) = shard.get_mut(slot_of(id), generation) else { return i64::MIN };
        series.closed.reserve_exact(chunks.len());
        for chunk in chunks {
            if chunk.max_time >= valid_from && series.restore_closed(chunk) {
                times = (times.0.min(chunk.min_time), times.1.max(chunk.max_time));
            }
        }
        let restored_until = series.last_time;
        drop(shard);
        if times.0 <= times.1 {
            self.head.note_times(times.0, times.1);
        }
        restored_until
    }

    fn add_samples(&mut self, samples: &[RefSample]) {
        let valid_from = self.head.min_valid_time.load(Ordering::Relaxed);
        for sample in samples {
            let RefSample { series, timestamp, value } = *sample;
            if timestamp < valid_from {
                continue;
            }
            let Some(RefEntry { id, generation, restored_until }) = self.series.get(series) else {
                self.unknown_refs += 1;
                continue;
            };
            // What is in a head chunk already is not looked at.
            if timestamp > restored_until {
                self.lanes.push(PlacedSample { id, generation, timestamp, value });
            }
        }
    }

    fn add_late(&mut self, samples: &[RefSample]) {
        let head = self.head;
        let ctx = head.apply_context();
        for sample in samples {
            let Some((id, generation)) = self.find(sample.series) else { continue };
            let mut shard = head.shard(id);
            let Some(series) = shard.get_mut(slot_of(id), generation) else { continue };
            series.append_late(sample.timestamp, sample.value, &ctx);
            drop(shard);
            head.note_late(sample.timestamp, sample.timestamp);
        }
    }

    fn add_histogram(&mut self, item: RefHistogram) {
        if item.timestamp < self.head.min_valid_time.load(Ordering::Relaxed) {
            return;
        }
        let Some((id, generation)) = self.find(item.series) else { return };
        self.lanes.push_histogram(PlacedHistogram { id, generation, item });
    }

    fn add_late_histogram(&mut self, item: &RefHistogram) {
        let written = self.chunks.late.get(&item.series);
        // Its chunk is put back with the others.
        if written.is_some_and(|chunks| chunks.iter().any(|chunk| chunk.is_histogram_at(item.timestamp)))
            || super::validate::check_histogram(&item.histogram).is_err()
        {
            return;
        }
        let head = self.head;
        let mut added = false;
        self.with_series(item.series, |series| {
            let chunk = series.append_late_histogram(item.timestamp, &item.histogram, &head.apply_context());
            added = matches!(chunk, Ok(Some(_)));
        });
        if added {
            head.note_late(item.timestamp, item.timestamp);
        }
    }

    /// The late samples so far are in this chunk, if it was written before the process ended.
    fn take_marker(&mut self, wal_ref: u64, place: ChunkPlace) {
        let written = self.chunks.late.get(&wal_ref);
        if !written.is_some_and(|chunks| chunks.iter().any(|chunk| chunk.place == place)) {
            return;
        }
        self.with_series(wal_ref, |series| {
            series.extra.get_or_insert_default().late.clear();
        });
    }

    fn restore_late_chunks(&mut self) {
        let mut times = (i64::MAX, i64::MIN);
        for (wal_ref, chunks) in std::mem::take(&mut self.chunks.late) {
            for chunk in &chunks {
                times = (times.0.min(chunk.min_time), times.1.max(chunk.max_time));
            }
            self.with_series(wal_ref, |series| {
                series.extra.get_or_insert_default().late_closed.extend(chunks);
            });
        }
        if times.0 <= times.1 {
            self.head.note_late(times.0, times.1);
        }
    }

    fn find(&mut self, wal_ref: u64) -> Option<(SeriesId, u32)> {
        let found = self.series.get(wal_ref);
        self.unknown_refs += u64::from(found.is_none());
        found.map(|entry| (entry.id, entry.generation))
    }

    fn labels(&mut self, wal_ref: u64) -> Option<model::Labels> {
        let (id, _) = self.find(wal_ref)?;
        let index = self.head.index.read();
        let shard = self.head.shard(id);
        Some(index.labels(&shard.get(slot_of(id))?.pairs))
    }

    fn with_series(&mut self, wal_ref: u64, change: impl FnOnce(&mut super::series::Series)) {
        let Some((id, generation)) = self.find(wal_ref) else { return };
        if let Some(series) = self.head.shard(id).get_mut(slot_of(id), generation) {
            change(series);
        }
    }

    fn count_chunks(&self) {
        let chunks = |shard: &parking_lot::Mutex<super::shard::Shard>| -> usize {
            shard.lock().iter().map(|(_, series)| series.chunk_count()).sum()
        };
        let total: usize = self.head.shards().iter().map(chunks).sum();
        self.head.chunk_count.store(total as i64, Ordering::Relaxed);
    }
}

/// Which log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    Wal,
    Late,
}

/// Keeps a file that is damaged: a link under another directory, which no reader looks into.
pub(crate) fn set_aside(fs: &dyn Fs, path: &Path, aside: &Path) -> Result<()> {
    fs.create_dir_all(aside).map_err(Error::io("create", aside))?;
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for attempt in 0..10_000u32 {
        let to = aside.join(format!("{parent}-{name}.{attempt}"));
        match fs.hard_link(path, &to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("link", &to)(error)),
        }
    }
    Ok(())
}
