//! Merging small segments of a partition into larger ones, and rewriting segments without what has to go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Labels, TimestampNs};

use super::DiskLogStore;
use super::maintain::MaintainReport;
use crate::block::OwnedRow;
use crate::error::{BlockError, Result, io_error};
use crate::options::{LogLimits, as_ns};
use crate::page::Row;
use crate::segment::{Segment, SegmentBlock, SegmentIndex, SegmentWriter};
use crate::tenant::Tenant;

/// Segments are of one size when the larger has at most so many times the bytes of the smaller.
const SIZE_RATIO: u64 = 8;
/// The most segments of one merge.
const SEGMENTS_MAX: usize = 32;

impl DiskLogStore {
    /// Merges one group of segments, if any is due.
    pub(super) fn merge_step(&self, report: &mut MaintainReport) -> Result<()> {
        for tenant in self.all_tenants() {
            let Some(group) = self.merge_group(&tenant) else { continue };
            let merged = self.rewrite(&tenant, &group, &Everything);
            let count = if merged.is_ok() { &self.counts.merges } else { &self.counts.merge_failures };
            count.fetch_add(1, Ordering::Relaxed);
            merged?;
            report.segments_merged += group.len() as u64;
            report.more = true;
            return Ok(());
        }
        Ok(())
    }

    /// Segments of one partition and of about one size, enough of them to be worth it.
    fn merge_group(&self, tenant: &Tenant) -> Option<Vec<Arc<Segment>>> {
        let mut partitions: BTreeMap<i64, Vec<Arc<Segment>>> = BTreeMap::new();
        for segment in tenant.segments().iter() {
            partitions.entry(segment.partition).or_default().push(Arc::clone(segment));
        }
        for segments in partitions.values_mut() {
            segments.sort_by_key(|segment| segment.len);
            let mut from = 0;
            while from < segments.len() {
                let smallest = segments[from].len.max(1);
                let mut total = 0;
                let same = segments[from..].iter().take(SEGMENTS_MAX).take_while(|segment| {
                    total += segment.len;
                    segment.len <= smallest * SIZE_RATIO && total <= self.options.segment_bytes_max
                });
                let count = same.count();
                if count >= self.options.merge_segments_min.max(2) {
                    return Some(segments[from..from + count].to_vec());
                }
                from += 1;
            }
        }
        None
    }

    /// Removes segments whose time is over, and rewrites those that hold streams of several periods.
    pub(super) fn expire(&self, report: &mut MaintainReport) -> Result<()> {
        let now = self.clock.now_ns();
        for tenant in self.all_tenants() {
            let limits = self.limits.limits(&tenant.id);
            if limits.retention.is_none() && limits.stream_retention.is_empty() {
                continue;
            }
            for segment in tenant.segments().iter() {
                self.expire_segment(&tenant, &limits, segment, now, report)?;
            }
        }
        Ok(())
    }

    fn expire_segment(
        &self,
        tenant: &Tenant,
        limits: &LogLimits,
        segment: &Arc<Segment>,
        now: TimestampNs,
        report: &mut MaintainReport,
    ) -> Result<()> {
        let (mut expired, mut rows) = (0, 0);
        for stream in &segment.streams {
            let oldest = oldest_kept(limits, &stream.info.labels, now);
            for block in &stream.blocks {
                rows += block.meta.rows;
                expired += if block.meta.max < oldest { block.meta.rows } else { 0 };
            }
        }
        if expired == rows {
            self.replace_segments(tenant, std::slice::from_ref(segment), None)?;
            self.counts.segments_expired.fetch_add(1, Ordering::Relaxed);
            report.segments_expired += 1;
        } else if expired * 4 >= rows {
            // Only once whole blocks are a quarter of it: each rewrite costs as much as a merge.
            self.rewrite(tenant, std::slice::from_ref(segment), &Unexpired { limits, now })?;
            report.segments_rewritten += 1;
        }
        Ok(())
    }

    /// Writes the entries of segments of one partition that `keep` accepts to a new segment, which takes their place.
    pub(super) fn rewrite(&self, tenant: &Tenant, segments: &[Arc<Segment>], keep: &dyn Keep) -> Result<()> {
        tenant.remove_orphans(&*self.fs)?;
        let Some(first) = segments.first() else { return Ok(()) };
        let index = SegmentIndex {
            id: self.new_segment_id(),
            partition: first.partition,
            flushed_seq: segments.iter().map(|segment| segment.flushed_seq).max().unwrap_or(0),
            replaces: segments.iter().map(|segment| segment.id).collect(),
            ..SegmentIndex::default()
        };
        let mut writer = SegmentWriter::create(&self.fs, &tenant.dir, index)?;
        let mut streams: BTreeMap<&Labels, Vec<(&Segment, &SegmentBlock)>> = BTreeMap::new();
        for segment in segments {
            for stream in &segment.streams {
                let blocks = streams.entry(&stream.info.labels).or_default();
                blocks.extend(stream.blocks.iter().map(|block| (&**segment, block)));
            }
        }
        for (labels, mut blocks) in streams {
            // Stable, so that of entries with the same time those that came first stay first.
            blocks.sort_by_key(|(segment, block)| (block.meta.min, segment.flushed_seq, segment.id));
            self.rewrite_stream(&mut writer, labels, &blocks, keep)?;
        }
        if writer.is_empty() {
            drop(writer);
            return self.replace_segments(tenant, segments, None);
        }
        let merged = self.finish_segment(tenant, writer)?;
        self.replace_segments(tenant, segments, Some(merged))
    }

    /// Copies blocks that are large enough and stand alone; puts others together.
    fn rewrite_stream(
        &self,
        writer: &mut SegmentWriter,
        labels: &Labels,
        blocks: &[(&Segment, &SegmentBlock)],
        keep: &dyn Keep,
    ) -> Result<()> {
        let mut pending: Vec<OwnedRow> = Vec::new();
        for (idx, (segment, block)) in blocks.iter().enumerate() {
            let meta = &block.meta;
            let overlaps = |other: &SegmentBlock| other.meta.min <= meta.max && meta.min <= other.meta.max;
            let alone = !blocks.iter().enumerate().any(|(other, (_, block))| other != idx && overlaps(block));
            let large = meta.rows * 2 >= self.options.block_rows_max
                || meta.line_bytes * 2 >= self.options.block_bytes_max as u64;
            let kept = keep.block(labels, meta.min, meta.max);
            if kept == Some(true) && alone && large {
                self.write_rows(writer, labels, &mut pending)?;
                let data = segment.raw_block(block)?;
                writer.push(labels, (**meta).clone(), &data)?;
                continue;
            }
            if kept == Some(false) {
                continue;
            }
            match segment.open_block_once(block).owned_rows() {
                Ok(rows) => pending.extend(rows.into_iter().filter(|row| keep.row(labels, row.as_row()))),
                Err(BlockError::Io(error)) => return Err(io_error("read", &segment.path, error)),
                Err(BlockError::Damaged(reason)) => self.report_damage(segment, block, reason),
            }
            let reached = pending.iter().map(|row| row.as_row().timestamp).max().unwrap_or(TimestampNs::MIN);
            let settled = blocks[idx + 1..].iter().all(|(_, later)| later.meta.min > reached);
            if settled && pending.len() >= self.options.block_rows_max * 2 {
                self.write_rows(writer, labels, &mut pending)?;
            }
        }
        self.write_rows(writer, labels, &mut pending)
    }

    fn write_rows(
        &self,
        writer: &mut SegmentWriter,
        labels: &Labels,
        pending: &mut Vec<OwnedRow>,
    ) -> Result<()> {
        let mut rows: Vec<_> = pending.iter().map(OwnedRow::as_row).collect();
        rows.sort_by_key(|row| row.timestamp);
        for rows in self.cut_into_blocks(&rows) {
            let block = self.encoders.encode(rows);
            writer.push(labels, block.meta, &block.data)?;
        }
        pending.clear();
        Ok(())
    }

    /// Lets a segment take the place of others, for all who read and on disk.
    pub(super) fn replace_segments(
        &self,
        tenant: &Tenant,
        old: &[Arc<Segment>],
        new: Option<Arc<Segment>>,
    ) -> Result<()> {
        {
            let _gate = self.gate.write();
            let gone = |segment: &Arc<Segment>| old.iter().any(|old| old.id == segment.id);
            let mut segments: Vec<_> =
                tenant.segments().iter().filter(|segment| !gone(segment)).cloned().collect();
            segments.extend(new);
            tenant.set_segments(segments);
        }
        // Readers that hold the old ones keep their open files.
        for segment in old {
            let blocks = segment.streams.iter().flat_map(|stream| &stream.blocks);
            let removed = if blocks.into_iter().any(SegmentBlock::is_damaged) {
                self.fs.rename(&segment.path, &segment.path.with_extension("damaged"))
            } else {
                self.fs.remove_file(&segment.path)
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    // Removed by the next write for this tenant, or at the next start.
                    tracing::warn!(segment = %segment.path.display(), %error, "replaced segment cannot be removed yet");
                    tenant.orphans.lock().push(segment.path.clone());
                }
                _ => {}
            }
        }
        self.fs.sync_dir(&tenant.dir).map_err(|error| io_error("sync", &tenant.dir, error))
    }

    /// Takes note of a block that failed a check; says so once.
    pub(crate) fn report_damage(&self, segment: &Segment, block: &SegmentBlock, reason: &str) {
        if block.set_damaged() {
            self.counts.blocks_damaged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                segment = %segment.path.display(),
                offset = block.offset,
                rows = block.meta.rows,
                reason,
                "damaged block: its entries are missing from answers"
            );
        }
    }
}

/// Which entries a rewritten segment keeps.
pub(super) trait Keep {
    /// Whether entries between two times, both included, are kept: all, none, or `None` where each has to be looked at.
    fn block(&self, labels: &Labels, min: TimestampNs, max: TimestampNs) -> Option<bool>;

    /// Whether an entry is kept.
    fn row(&self, labels: &Labels, row: Row<'_>) -> bool;
}

struct Everything;

impl Keep for Everything {
    fn block(&self, _labels: &Labels, _min: TimestampNs, _max: TimestampNs) -> Option<bool> {
        Some(true)
    }

    fn row(&self, _labels: &Labels, _row: Row<'_>) -> bool {
        true
    }
}

/// Entries whose time is not over.
struct Unexpired<'a> {
    limits: &'a LogLimits,
    now: TimestampNs,
}

impl Keep for Unexpired<'_> {
    fn block(&self, labels: &Labels, min: TimestampNs, max: TimestampNs) -> Option<bool> {
        let oldest = oldest_kept(self.limits, labels, self.now);
        if min >= oldest {
            return Some(true);
        }
        (max < oldest).then_some(false)
    }

    fn row(&self, labels: &Labels, row: Row<'_>) -> bool {
        row.timestamp >= oldest_kept(self.limits, labels, self.now)
    }
}

/// The oldest time that the limits keep of a stream.
fn oldest_kept(limits: &LogLimits, labels: &Labels, now: TimestampNs) -> TimestampNs {
    let rules = limits
        .stream_retention
        .iter()
        .filter(|rule| rule.matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name()))));
    let winner = rules.min_by_key(|rule| (std::cmp::Reverse(rule.priority), rule.period));
    let period = winner.map(|rule| rule.period).or(limits.retention);
    match period.filter(|period| !period.is_zero()) {
        Some(period) => now.saturating_sub(as_ns(period)),
        None => TimestampNs::MIN,
    }
}
