//! Moving entries from memory into segments.
//!
//! A flush sets aside all entries that are in memory, for all tenants at once, so that one sequence number says which log
//! records are in segments. It writes one segment for each tenant and partition. When all are on disk they take the place of
//! the entries in memory in one step. A flush that fails half-way goes on where it stopped; what it had finished counts even
//! after a crash, as each segment says up to which record it covers its partition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::TimestampNs;

use super::DiskLogStore;
use crate::checkpoint::Checkpoint;
use crate::error::{Result, io_error, wal_error};
use crate::page::{RawPage, Row};
use crate::segment::{OpenError, Segment, SegmentIndex, SegmentWriter};
use crate::stream::{Generation, Stream};
use crate::tenant::Tenant;

/// A flush under way.
#[derive(Debug)]
pub(super) struct FlushJob {
    /// Entries of records up to here have been set aside.
    seq: u64,
    tenants: Vec<TenantFlush>,
}

#[derive(Debug)]
struct TenantFlush {
    tenant: Arc<Tenant>,
    /// The streams with entries set aside, in order of labels.
    streams: Vec<Arc<Stream>>,
    /// Partitions that are still to be written.
    partitions: Vec<i64>,
    written: Vec<Arc<Segment>>,
}

impl DiskLogStore {
    /// Writes all entries that are in memory to segments. Appends and scans go on meanwhile. After an error the entries stay
    /// in memory and in the log, and the next call goes on.
    pub fn flush(&self) -> Result<()> {
        self.flush_locked(&mut self.flush_job.lock())
    }

    pub(super) fn flush_locked(&self, slot: &mut Option<FlushJob>) -> Result<()> {
        let flushed = self.run_flush(slot);
        let count = if flushed.is_ok() { &self.counts.flushes } else { &self.counts.flush_failures };
        count.fetch_add(1, Ordering::Relaxed);
        flushed
    }

    fn run_flush(&self, slot: &mut Option<FlushJob>) -> Result<()> {
        let job = match slot {
            Some(job) => job,
            None => slot.insert(self.freeze()),
        };
        // No segment may claim records that a power loss could still take: their numbers would be given out again.
        self.sync()?;
        for tenant in &mut job.tenants {
            self.write_tenant(tenant, job.seq)?;
        }
        let seq = job.seq;
        self.publish(job);
        *slot = None;
        // So that the segment with what was flushed can go.
        self.wal.rotate().map_err(|error| wal_error(&error))?;
        self.write_checkpoint(seq)?;
        self.wal.truncate_before(seq + 1).map_err(|error| wal_error(&error))?;
        Ok(())
    }

    /// Sets all entries in memory aside.
    fn freeze(&self) -> FlushJob {
        let _gate = self.gate.write();
        let seq = self.wal.next_seq() - 1;
        let mut tenants = Vec::new();
        for tenant in self.all_tenants() {
            let mut streams: Vec<Arc<Stream>> = tenant.streams.read().values().cloned().collect();
            streams.sort_by(|a, b| a.info.labels.cmp(&b.info.labels));
            let mut partitions = BTreeSet::new();
            for stream in &streams {
                let mut head = stream.head.lock();
                self.raw_bytes.fetch_sub(head.freeze(), Ordering::Relaxed);
                self.add_partitions(&head.frozen, &mut partitions);
            }
            let partitions = partitions.into_iter().collect();
            tenants.push(TenantFlush { tenant, streams, partitions, written: Vec::new() });
        }
        self.oldest_arrival_ns.store(u64::MAX, Ordering::Relaxed);
        FlushJob { seq, tenants }
    }

    fn add_partitions(&self, generation: &Generation, partitions: &mut BTreeSet<i64>) {
        partitions.extend(generation.blocks.iter().map(|block| self.partition_of(block.meta.min)));
        for page in &generation.pages {
            if self.partition_of(page.min) == self.partition_of(page.max) {
                partitions.insert(self.partition_of(page.min));
            } else {
                partitions.extend(page.timestamps.iter().map(|ts| self.partition_of(*ts)));
            }
        }
    }

    fn write_tenant(&self, flush: &mut TenantFlush, seq: u64) -> Result<()> {
        let tenant = &flush.tenant;
        tenant.remove_orphans(&*self.fs)?;
        while let Some(partition) = flush.partitions.last() {
            let index = SegmentIndex {
                id: self.new_segment_id(),
                partition: *partition,
                flushed_seq: seq,
                ..SegmentIndex::default()
            };
            self.fs
                .create_dir_durable(&tenant.dir)
                .map_err(|error| io_error("create", &tenant.dir, error))?;
            let mut writer = SegmentWriter::create(&self.fs, &tenant.dir, index)?;
            for stream in &flush.streams {
                self.write_stream(&mut writer, stream, *partition)?;
            }
            flush.written.push(self.finish_segment(tenant, writer)?);
            flush.partitions.pop();
        }
        Ok(())
    }

    fn write_stream(&self, writer: &mut SegmentWriter, stream: &Stream, partition: i64) -> Result<()> {
        let frozen = stream.head.lock().frozen.clone();
        let labels = &stream.info.labels;
        for block in &frozen.blocks {
            if self.partition_of(block.meta.min) == partition {
                writer.push(labels, block.encoded.meta.clone(), &block.encoded.data)?;
            }
        }
        let rows = rows_of(&frozen.pages, |ts| self.partition_of(ts) == partition);
        for rows in self.cut_into_blocks(&rows) {
            let block = self.encoders.encode(rows);
            writer.push(labels, block.meta, &block.data)?;
        }
        Ok(())
    }

    /// Gives a segment its name and opens it.
    pub(super) fn finish_segment(&self, tenant: &Tenant, writer: SegmentWriter) -> Result<Arc<Segment>> {
        let path = writer.finish(&mut tenant.orphans.lock())?;
        match Segment::open(&*self.fs, &path, &tenant.registry) {
            Ok(segment) => Ok(Arc::new(segment)),
            Err(error) => {
                // On disk and whole, but not of use to this process: written again, so this one has to go.
                tenant.orphans.lock().push(path.clone());
                Err(match error {
                    OpenError::Damaged(reason) => crate::error::corrupt(path.display().to_string(), reason),
                    OpenError::Other(error) => error,
                })
            }
        }
    }

    /// Cuts rows, which are in order of time, at the limits of a block.
    pub(super) fn cut_into_blocks<'a, 'b>(&self, rows: &'a [Row<'b>]) -> Vec<&'a [Row<'b>]> {
        let mut blocks = Vec::new();
        let (mut from, mut bytes) = (0, 0);
        for (idx, row) in rows.iter().enumerate() {
            let full = idx - from >= self.options.block_rows_max
                || bytes + row.line.len() > self.options.block_bytes_max;
            if full && idx > from {
                blocks.push(&rows[from..idx]);
                (from, bytes) = (idx, 0);
            }
            bytes += row.line.len();
        }
        if from < rows.len() {
            blocks.push(&rows[from..]);
        }
        blocks
    }

    /// Lets segments take the place of the entries in memory, in one step for all who read.
    fn publish(&self, job: &mut FlushJob) {
        let _gate = self.gate.write();
        for flush in &mut job.tenants {
            let tenant = &flush.tenant;
            let mut segments = tenant.segments().to_vec();
            segments.append(&mut flush.written);
            tenant.set_segments(segments);
            for stream in &flush.streams {
                let bytes = stream.head.lock().thaw();
                self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            self.has_room.notify_all();
            tenant.streams.write().retain(|_, stream| !stream.head.lock().is_empty());
        }
    }

    pub(super) fn write_checkpoint(&self, flushed_seq: u64) -> Result<()> {
        let oldest = self.clock.now_ms().saturating_sub(self.options.position_retention.as_millis() as i64);
        let mut marks = Vec::new();
        for tenant in self.all_tenants() {
            tenant.positions.forget_before(oldest);
            marks.push((tenant.id.clone(), tenant.positions.all()));
        }
        // A mark must not be safer than the lines that it stands for.
        self.sync()?;
        Checkpoint { flushed_seq, marks }.write(&*self.fs, &self.dir)
    }
}

/// The rows of pages in order of time; those of the same time in the order in which they came.
pub(super) fn rows_of(pages: &[Arc<RawPage>], keep: impl Fn(TimestampNs) -> bool) -> Vec<Row<'_>> {
    let rows = pages.iter().flat_map(|page| page.rows());
    let mut rows: Vec<Row<'_>> = rows.filter(|row| keep(row.timestamp)).collect();
    rows.sort_by_key(|row| row.timestamp);
    rows
}
