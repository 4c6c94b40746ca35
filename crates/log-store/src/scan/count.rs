//! Counting entries into buckets: blocks that lie in one bucket are counted unread.

use std::borrow::Cow;
use std::ops::Range;

use log_storage_api::{CountBuckets, LogStorageError, ScanLines, ScanSink, ScanStats, SinkFlow};
use model::TimestampNs;

use super::source::{OpenSource, Source};
use super::{Plan, Selected, counts_batch};
use crate::block::BYTES_GROUP;
use crate::error::{BlockError, Result, corrupt};

/// Counts of one stream.
struct Counts {
    counts: Vec<u64>,
    bytes: Vec<u64>,
}

pub(super) fn count(
    plan: &Plan<'_>,
    sources: &[Source],
    buckets: CountBuckets,
    sink: &mut dyn ScanSink,
    stats: &mut ScanStats,
) -> Result<()> {
    if buckets.width <= 0 {
        return Err(corrupt("count buckets", "the width must be positive"));
    }
    let bytes = buckets.buckets as u64 * 16;
    let _memory = plan.ctx.memory.reserve(bytes)?;
    let found = plan.each(sources, stats, |source, stats| count_source(plan, source, buckets, stats))?;
    let mut found = found.into_iter();
    for of_stream in sources.chunk_by(|a, b| a.stream_idx == b.stream_idx) {
        let bytes = if buckets.bytes { buckets.buckets } else { 0 };
        let mut counts = Counts { counts: vec![0; buckets.buckets], bytes: vec![0; bytes] };
        for of_source in found.by_ref().take(of_stream.len()) {
            of_source.iter().for_each(|one| counts.add(one));
        }
        if counts.counts.iter().all(|count| *count == 0) {
            continue;
        }
        let batch = counts_batch(&of_stream[0].stream, &counts.counts, &counts.bytes, &NoLines);
        if sink.batch(&batch)? == SinkFlow::Stop {
            break;
        }
    }
    Ok(())
}

/// Entries of a source in one bucket.
struct Counted {
    bucket: usize,
    entries: u64,
    bytes: u64,
}

fn count_source(
    plan: &Plan<'_>,
    source: &Source,
    buckets: CountBuckets,
    stats: &mut ScanStats,
) -> Result<Vec<Counted>> {
    let labels = &source.stream.labels;
    let hidden = plan.deletions.iter().any(|deletion| deletion.touches(labels, source.min, source.max));
    let unfiltered = plan.filters.is_empty() && plan.scan.metadata_filters.is_empty() && !hidden;
    let whole = source.min >= plan.scan.start && source.max < plan.scan.end;
    let one_bucket = bucket_number(source.min, buckets) == bucket_number(source.max, buckets);
    if unfiltered && whole && one_bucket {
        stats.blocks_skipped += 1;
        stats.entries_scanned += source.rows;
        let bucket = bucket_of(source.min, buckets);
        let one = |bucket| Counted { bucket, entries: source.rows, bytes: source.line_bytes };
        return Ok(bucket.map(one).into_iter().collect());
    }
    // Into a list of its own: a block that turns out to be damaged must not leave half of its counts behind.
    let mut found = Found::new(buckets);
    let counted = if unfiltered && whole {
        let Some((open, rows)) = plan.open(source, stats)? else { return Ok(Vec::new()) };
        stats.entries_scanned += rows.len() as u64;
        stats.bytes_scanned += open.line_bytes_of(rows.len());
        if open.groups().is_some() { found.groups(&open) } else { found.rows(&open, rows) }
    } else {
        let Some(Selected { open, rows, .. }) = plan.select(source, stats)? else { return Ok(Vec::new()) };
        found.rows(&open, rows.iter().map(|row| *row as usize))
    };
    match counted {
        Ok(()) => Ok(found.counted),
        Err(error) => plan.forgive(source, error, stats).map(|()| Vec::new()),
    }
}

/// What has been counted of a source.
struct Found {
    buckets: CountBuckets,
    counted: Vec<Counted>,
    /// The bucket of the last time, and from when to when it is.
    bucket: Option<usize>,
    from: i128,
    to: i128,
}

impl Found {
    fn new(buckets: CountBuckets) -> Self {
        Self { buckets, counted: Vec::new(), bucket: None, from: 0, to: 0 }
    }

    /// Finds the bucket of a time: that of its neighbour mostly.
    fn enter(&mut self, timestamp: TimestampNs) {
        if (self.from..self.to).contains(&i128::from(timestamp)) {
            return;
        }
        let number = bucket_number(timestamp, self.buckets);
        let width = i128::from(self.buckets.width);
        self.from = i128::from(self.buckets.start) + number * width;
        self.to = self.from + width;
        self.bucket = bucket_of(timestamp, self.buckets);
    }

    fn add(&mut self, timestamp: TimestampNs, entries: u64, bytes: u64) {
        self.enter(timestamp);
        let Some(bucket) = self.bucket else { return };
        match self.counted.last_mut() {
            Some(last) if last.bucket == bucket => {
                last.entries += entries;
                last.bytes += bytes;
            }
            _ => self.counted.push(Counted { bucket, entries, bytes }),
        }
    }

    fn rows(
        &mut self,
        open: &OpenSource,
        rows: impl Iterator<Item = usize>,
    ) -> std::result::Result<(), BlockError> {
        let times = open.times()?;
        for row in rows {
            let bytes = if self.buckets.bytes { open.line_len(row)? } else { 0 };
            self.add(times[row], 1, bytes);
        }
        Ok(())
    }

    /// Counts groups of rows as wholes; only those that lie in several buckets are looked into.
    fn groups(&mut self, open: &OpenSource) -> std::result::Result<(), BlockError> {
        let Some(block) = open.groups() else { return Ok(()) };
        let times = block.times()?;
        let sums = if self.buckets.bytes { block.group_bytes()? } else { &[] };
        let mut decoded = Vec::new();
        for group in 0..times.groups() {
            let rows = times.rows_of(group);
            let first = times.first(group);
            // A group ends before the next one begins.
            let last = if group + 1 < times.groups() { times.first(group + 1) } else { block.meta().max };
            self.enter(first);
            if i128::from(last) < self.to {
                let bytes = self.bytes_between(open, sums, rows.clone())?;
                self.add(first, rows.len() as u64, bytes);
                continue;
            }
            decoded.clear();
            times.append_group(group, &mut decoded)?;
            let mut from = 0;
            while from < decoded.len() {
                self.enter(decoded[from]);
                let to = decoded.partition_point(|ts| i128::from(*ts) < self.to).max(from + 1);
                let bytes = self.bytes_between(open, sums, rows.start + from..rows.start + to)?;
                self.add(decoded[from], (to - from) as u64, bytes);
                from = to;
            }
        }
        Ok(())
    }

    /// The bytes of rows' lines, by the sums of whole groups as far as those go.
    fn bytes_between(
        &self,
        open: &OpenSource,
        sums: &[u64],
        rows: Range<usize>,
    ) -> std::result::Result<u64, BlockError> {
        if !self.buckets.bytes {
            return Ok(0);
        }
        let (mut row, mut bytes) = (rows.start, 0);
        while row < rows.end {
            if row % BYTES_GROUP == 0
                && (row + BYTES_GROUP <= rows.end || rows.end == open.rows())
                && let Some(sum) = sums.get(row / BYTES_GROUP)
            {
                bytes += sum;
                row += BYTES_GROUP;
            } else {
                bytes += open.line_len(row)?;
                row += 1;
            }
        }
        Ok(bytes)
    }
}

fn bucket_of(timestamp: TimestampNs, buckets: CountBuckets) -> Option<usize> {
    usize::try_from(bucket_number(timestamp, buckets)).ok().filter(|idx| *idx < buckets.buckets)
}

/// Which bucket a time would be in if there were buckets before the first and after the last.
fn bucket_number(timestamp: TimestampNs, buckets: CountBuckets) -> i128 {
    (i128::from(timestamp) - i128::from(buckets.start)).div_euclid(i128::from(buckets.width))
}

impl Counts {
    fn add(&mut self, one: &Counted) {
        self.counts[one.bucket] += one.entries;
        if let Some(slot) = self.bytes.get_mut(one.bucket) {
            *slot += one.bytes;
        }
    }
}

/// A batch of counts has no lines.
struct NoLines;

impl ScanLines for NoLines {
    fn line(&self, _idx: usize) -> std::result::Result<Cow<'_, str>, LogStorageError> {
        Err(corrupt("a batch of counts", "it has no lines"))
    }

    fn metadata(&self, _idx: usize) -> std::result::Result<Cow<'_, [(String, String)]>, LogStorageError> {
        Err(corrupt("a batch of counts", "it has no metadata"))
    }
}
