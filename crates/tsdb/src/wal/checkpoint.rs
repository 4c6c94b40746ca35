//! Folding old segments into a checkpoint: what is still needed of them, and nothing else.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use model::MetricMetadata;
use sys::Fs;

use super::reader::read_segment;
use super::record::{self, Record, RefHistogram, RefSample};
use super::writer::{RecordBatch, WalWriter};
use super::{list_segments, segment_path};
use crate::head::replay::last_checkpoint;
use crate::{Error, Result};

/// Records are handed to the file system in batches of about this.
const BATCH_BYTES: usize = 1 << 20;

/// What a checkpoint is made of.
pub(crate) struct CheckpointPlan<'a> {
    /// The log's directory.
    pub(crate) wal: &'a Path,
    /// The last segment that goes into it.
    pub(crate) last: u64,
    /// Samples before it are in blocks.
    pub(crate) from: i64,
    pub(crate) segment_bytes: u64,
    pub(crate) compress: bool,
    /// Whether a series is still needed, by its WAL reference.
    pub(crate) keep: &'a dyn Fn(u64) -> bool,
}

/// Writes a checkpoint, then removes the segments and checkpoints that it stands for.
pub(crate) fn checkpoint(fs: &Arc<dyn Fs>, plan: &CheckpointPlan<'_>) -> Result<()> {
    let name = format!("checkpoint.{:08}", plan.last);
    let dir = plan.wal.join(&name);
    let temporary = plan.wal.join(format!("{name}.tmp"));
    if fs.exists(&temporary) {
        fs.remove_dir_all(&temporary).map_err(Error::io("remove", &temporary))?;
    }
    let previous = last_checkpoint(&**fs, plan.wal)?;
    let mut writer = WalWriter::open(Arc::clone(fs), &temporary, plan.segment_bytes)?;
    let mut fold = Fold { plan, batch: RecordBatch::default(), metadata: HashMap::new(), buf: Vec::new() };
    let mut from = 0;
    if let Some((covered, name)) = &previous {
        fold.read(&**fs, &plan.wal.join(name), 0, u64::MAX, &mut writer)?;
        from = covered + 1;
    }
    fold.read(&**fs, plan.wal, from, plan.last, &mut writer)?;
    fold.finish(&mut writer)?;
    writer.sync_all()?;
    drop(writer);
    fs.sync_dir(&temporary).map_err(Error::io("sync", &temporary))?;
    fs.rename(&temporary, &dir).map_err(Error::io("rename", &temporary))?;
    fs.sync_dir(plan.wal).map_err(Error::io("sync", plan.wal))?;
    remove_covered(&**fs, plan.wal, plan.last)
}

/// Removes segments and older checkpoints that the newest checkpoint stands for.
fn remove_covered(fs: &dyn Fs, wal: &Path, last: u64) -> Result<()> {
    for segment in list_segments(fs, wal).map_err(Error::io("list", wal))? {
        if segment <= last {
            let path = segment_path(wal, segment);
            fs.remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    for entry in fs.read_dir(wal).map_err(Error::io("list", wal))? {
        let number = entry.name.strip_prefix("checkpoint.").and_then(|number| number.parse::<u64>().ok());
        if entry.is_dir && number.is_some_and(|number| number < last) {
            let path = wal.join(&entry.name);
            fs.remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

struct Fold<'a> {
    plan: &'a CheckpointPlan<'a>,
    batch: RecordBatch,
    /// Only the newest of each series is kept.
    metadata: HashMap<u64, MetricMetadata>,
    buf: Vec<u8>,
}

impl Fold<'_> {
    fn read(&mut self, fs: &dyn Fs, dir: &Path, first: u64, last: u64, writer: &mut WalWriter) -> Result<()> {
        for segment in list_segments(fs, dir).map_err(Error::io("list", dir))? {
            if !(first..=last).contains(&segment) {
                continue;
            }
            read_segment(fs, &segment_path(dir, segment), |bytes| {
                // What does not decode was told when the log was replayed.
                if let Ok(record) = record::decode(bytes) {
                    self.take(record);
                }
                if self.batch.bytes() >= BATCH_BYTES { self.flush(writer) } else { Ok(()) }
            })?;
        }
        self.flush(writer)
    }

    fn take(&mut self, record: Record) {
        let (keep, from, compress) = (self.plan.keep, self.plan.from, self.plan.compress);
        self.buf.clear();
        match record {
            Record::Series(series) => {
                self.buf.push(record::SERIES);
                for (wal_ref, labels) in series.iter().filter(|(wal_ref, _)| keep(*wal_ref)) {
                    record::put_series(&mut self.buf, *wal_ref, labels.iter());
                }
                if self.buf.len() > 1 {
                    self.batch.push(&self.buf, compress);
                }
            }
            Record::Samples(samples) => {
                let kept: Vec<RefSample> =
                    samples.into_iter().filter(|s| s.timestamp >= from && keep(s.series)).collect();
                if !kept.is_empty() {
                    record::put_samples(&mut self.buf, kept);
                    self.batch.push(&self.buf, compress);
                }
            }
            Record::Histograms(histograms) => {
                let kept: Vec<RefHistogram> =
                    histograms.into_iter().filter(|h| h.timestamp >= from && keep(h.series)).collect();
                let batch = &mut self.batch;
                record::put_histograms(&kept, |record| batch.push(record, compress));
            }
            Record::Tombstones(mut stones) => {
                stones.retain(|stone| stone.max_time >= from && keep(stone.series));
                if !stones.is_empty() {
                    record::put_tombstones(&mut self.buf, &stones);
                    self.batch.push(&self.buf, compress);
                }
            }
            Record::Exemplars(mut exemplars) => {
                exemplars.retain(|(series, exemplar)| exemplar.timestamp >= from && keep(*series));
                if !exemplars.is_empty() {
                    record::put_exemplars(&mut self.buf, &exemplars);
                    self.batch.push(&self.buf, compress);
                }
            }
            Record::Metadata(items) => {
                self.metadata.extend(items.into_iter().filter(|(series, _)| keep(*series)));
            }
            Record::MmapMarkers(_) | Record::Unknown(_) => {}
        }
    }

    fn finish(&mut self, writer: &mut WalWriter) -> Result<()> {
        let mut items: Vec<_> = std::mem::take(&mut self.metadata).into_iter().collect();
        items.sort_unstable_by_key(|(series, _)| *series);
        if !items.is_empty() {
            self.buf.clear();
            record::put_metadata(&mut self.buf, &items);
            self.batch.push(&self.buf, self.plan.compress);
        }
        self.flush(writer)
    }

    fn flush(&mut self, writer: &mut WalWriter) -> Result<()> {
        if !self.batch.is_empty() {
            writer.write(&[&self.batch])?;
            self.batch = RecordBatch::default();
        }
        Ok(())
    }
}
