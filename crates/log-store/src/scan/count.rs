//! Counting entries into buckets: blocks that lie in one bucket are counted unread.

use std::borrow::Cow;

use log_storage_api::{CountBuckets, LogStorageError, ScanLines, ScanSink, SinkFlow};
use model::TimestampNs;

use super::source::Source;
use super::{Plan, counts_batch};
use crate::error::{BlockError, Result, corrupt};

/// Counts of one stream.
struct Counts {
    counts: Vec<u64>,
    bytes: Vec<u64>,
}

pub(super) fn count(
    plan: &mut Plan<'_>,
    sources: &[Source],
    buckets: CountBuckets,
    sink: &mut dyn ScanSink,
) -> Result<()> {
    if buckets.width <= 0 {
        return Err(corrupt("count buckets", "the width must be positive"));
    }
    let bytes = buckets.buckets as u64 * 16;
    let _memory = plan.ctx.memory.reserve(bytes)?;
    for of_stream in sources.chunk_by(|a, b| a.stream_idx == b.stream_idx) {
        let bytes = if buckets.bytes { buckets.buckets } else { 0 };
        let mut counts = Counts { counts: vec![0; buckets.buckets], bytes: vec![0; bytes] };
        for source in of_stream {
            count_source(plan, source, buckets, &mut counts)?;
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

fn count_source(
    plan: &mut Plan<'_>,
    source: &Source,
    buckets: CountBuckets,
    counts: &mut Counts,
) -> Result<()> {
    let labels = &source.stream.labels;
    let hidden = plan.deletions.iter().any(|deletion| deletion.touches(labels, source.min, source.max));
    let unfiltered = plan.filters.is_empty() && plan.scan.metadata_filters.is_empty() && !hidden;
    let whole = source.min >= plan.scan.start && source.max < plan.scan.end;
    let one_bucket = bucket_number(source.min, buckets) == bucket_number(source.max, buckets);
    if unfiltered && whole && one_bucket {
        plan.stats.blocks_skipped += 1;
        plan.stats.entries_scanned += source.rows;
        if let Some(idx) = bucket_of(source.min, buckets) {
            counts.add(idx, source.rows, source.line_bytes);
        }
        return Ok(());
    }
    let Some((open, rows)) = plan.select(source)? else { return Ok(()) };
    // Into a copy first: a block that turns out to be damaged must not leave half of its counts behind.
    let mut found: Vec<(usize, u64)> = Vec::with_capacity(rows.len());
    let counted = (|| {
        let times = open.times()?;
        for row in &rows {
            if let Some(idx) = bucket_of(times[*row as usize], buckets) {
                let bytes = if buckets.bytes { open.line_len(*row as usize)? } else { 0 };
                found.push((idx, bytes));
            }
        }
        Ok::<(), BlockError>(())
    })();
    match counted {
        Ok(()) => {
            for (idx, bytes) in found {
                counts.add(idx, 1, bytes);
            }
            Ok(())
        }
        Err(error) => plan.forgive(source, error),
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
    fn add(&mut self, idx: usize, entries: u64, bytes: u64) {
        self.counts[idx] += entries;
        if let Some(slot) = self.bytes.get_mut(idx) {
            *slot += bytes;
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
