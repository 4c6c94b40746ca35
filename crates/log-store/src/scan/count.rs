//! Counting entries into buckets: blocks that lie in one bucket are counted unread.

use std::borrow::Cow;

use log_storage_api::{CountBuckets, LogStorageError, ScanLines, ScanSink, ScanStats, SinkFlow};
use model::TimestampNs;

use super::source::{OpenSource, Source};
use super::{Plan, counts_batch};
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
    let mut found = Found { buckets, counted: Vec::new() };
    let counted = if unfiltered && whole {
        let Some((open, rows)) = plan.open(source, stats)? else { return Ok(Vec::new()) };
        stats.entries_scanned += rows.len() as u64;
        stats.bytes_scanned += open.line_bytes_of(rows.len());
        if open.groups().is_some() { found.groups(&open) } else { found.rows(&open, rows) }
    } else {
        let Some((open, rows)) = plan.select(source, stats)? else { return Ok(Vec::new()) };
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
}

impl Found {
    fn add(&mut self, timestamp: TimestampNs, entries: u64, bytes: u64) {
        let Some(bucket) = bucket_of(timestamp, self.buckets) else { return };
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
            let (first, sum) = (times.first(group), sums.get(group).copied().unwrap_or(0));
            // A group ends before the next one begins.
            let last = if group + 1 < times.groups() { times.first(group + 1) } else { block.meta().max };
            if bucket_number(first, self.buckets) == bucket_number(last, self.buckets) {
                self.add(first, rows.len() as u64, sum);
                continue;
            }
            decoded.clear();
            times.append_group(group, &mut decoded)?;
            self.runs(open, rows.start, &decoded, sum)?;
        }
        Ok(())
    }

    /// Counts rows from `start` on, whose lines have `sum` bytes; lines of the last bucket have what the others leave.
    fn runs(
        &mut self,
        open: &OpenSource,
        start: usize,
        times: &[TimestampNs],
        sum: u64,
    ) -> std::result::Result<(), BlockError> {
        let buckets = self.buckets;
        let bucket = |ts: &TimestampNs| bucket_number(*ts, buckets);
        let (mut from, mut left) = (0, sum);
        for run in times.chunk_by(|a, b| bucket(a) == bucket(b)) {
            let to = from + run.len();
            let bytes = match (buckets.bytes, to == times.len()) {
                (false, _) => 0,
                (true, true) => left,
                (true, false) => {
                    let rows = start + from..start + to;
                    rows.map(|row| open.line_len(row)).sum::<std::result::Result<u64, BlockError>>()?
                }
            };
            left = left.saturating_sub(bytes);
            self.add(times[from], run.len() as u64, bytes);
            from = to;
        }
        Ok(())
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

    fn field(&self, _idx: usize, _field: usize) -> Option<Option<Cow<'_, str>>> {
        None
    }
}
