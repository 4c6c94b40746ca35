//! The newest sample of many series at one point in time, mostly without decoding.

use chunk_encoding::newest_xor;
use go_regex::CompiledMatcher;
use metric_storage_api::{NewestRequest, NewestSet, SampleColumns, StorageError};
use model::{TimeRange, is_stale_nan};
use resources::{RequestContext, Reservation};

use super::group_numbers::GroupNumbers;
use super::series::Series;
use super::{Head, slot_of};
use crate::select::SourceSeries;

/// Series between two looks at whether the request still wants them.
const CHECK_EVERY: usize = 256;
/// More series than this that have to be decoded are better decoded by many threads.
const DECODED_MAX: u64 = 16_384;
/// The same for series whose sample lies in a closed chunk.
const READ_MAX: usize = 2048;

/// What is known of a series while its shard is locked.
enum Newest {
    /// No sample, or a staleness marker.
    Absent,
    /// There is a sample; its value where that was asked for.
    Present(f64),
    /// Its chunks have to be read.
    InChunks,
}

impl Head {
    /// The newest samples of the series that match. `None` where they are better read one by one: histograms, or many
    /// that have to be decoded.
    pub(crate) fn newest(
        &self,
        ctx: &RequestContext,
        matchers: &[CompiledMatcher],
        request: &NewestRequest<'_>,
        mut held: Reservation,
    ) -> Result<Option<NewestSet>, StorageError> {
        let range = TimeRange::new(request.after.saturating_add(1), request.until);
        let visible = self.visibility.read();
        let index = self.index.read();
        let matching = index.select(matchers);
        let mut groups = GroupNumbers::new(&index, request.grouping);
        let (mut values, mut decoded, mut samples_read) = (Vec::new(), 0, 0);
        let mut unread: Vec<(usize, SourceSeries)> = Vec::new();
        let mut count = 0;
        for (idx, id) in matching.iter().enumerate() {
            if idx % CHECK_EVERY == 0 {
                ctx.check()?;
            }
            let shard = self.shard(id);
            let Some(series) = shard.get(slot_of(id)) else { continue };
            let mut read = 0;
            let value = match newest_of(series, request, &mut read) {
                Newest::Absent => continue,
                Newest::Present(value) => value,
                Newest::InChunks => {
                    let mut source = SourceSeries::default();
                    self.collect_chunks(series, range, &mut source);
                    if source.chunks.is_empty() {
                        continue;
                    }
                    if source.has_histograms() || unread.len() == READ_MAX {
                        return Ok(None);
                    }
                    held.grow(source.heap_bytes() as u64)?;
                    unread.push((count, source));
                    f64::NAN
                }
            };
            samples_read += read;
            decoded += u64::from(read > 0);
            if decoded > DECODED_MAX {
                return Ok(None);
            }
            groups.add(&series.pairs);
            values.push(value);
            count += 1;
        }
        drop(visible);
        let (groups, group_bytes) = groups.finish();
        drop(index);
        held.grow(group_bytes + values.len() as u64 * 8)?;
        let mut set = NewestSet { groups, values, samples_read, held: Some(held) };
        read_chunks(ctx, request, unread, &mut set)?;
        if !request.with_values {
            set.values = Vec::new();
        }
        Ok(Some(set))
    }
}

fn newest_of(series: &Series, request: &NewestRequest<'_>, read: &mut u64) -> Newest {
    let NewestRequest { after, until, .. } = *request;
    if let Some(extra) = &series.extra
        && (extra.histogram.is_some()
            || !extra.late.is_empty()
            || !extra.late_closed.is_empty()
            || !extra.tombstones.is_empty())
    {
        return Newest::InChunks;
    }
    let Some((open_min, is_even)) = series.open_xor_span(until.saturating_sub(after)) else {
        return Newest::InChunks;
    };
    let present = |time: i64, value: f64| {
        if time <= after || is_stale_nan(value) { Newest::Absent } else { Newest::Present(value) }
    };
    if series.last_time <= until {
        return series.last_float().map_or(Newest::InChunks, |value| present(series.last_time, value));
    }
    if open_min > until {
        return Newest::InChunks;
    }
    if is_even && !request.with_values {
        return Newest::Present(f64::NAN);
    }
    let Some((_, _, _, chunk)) = series.open_chunk() else { return Newest::InChunks };
    match newest_xor(chunk, until) {
        Ok((Some((time, value)), samples)) => {
            *read = samples;
            present(time, value)
        }
        // The reader of chunks finds out what is wrong.
        Ok((None, _)) | Err(_) => Newest::InChunks,
    }
}

/// Reads the series that had to wait, and takes those out that turn out to have no sample.
fn read_chunks(
    ctx: &RequestContext,
    request: &NewestRequest<'_>,
    unread: Vec<(usize, SourceSeries)>,
    set: &mut NewestSet,
) -> Result<(), StorageError> {
    let range = TimeRange::new(request.after.saturating_add(1), request.until);
    let mut absent = Vec::new();
    let mut columns = SampleColumns::default();
    for (at, source) in unread {
        columns.clear();
        source.read(ctx, range, &mut columns)?;
        set.samples_read += columns.len() as u64;
        match columns.values.last() {
            Some(value) if !is_stale_nan(*value) => set.values[at] = *value,
            _ => absent.push(at),
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    let mut gone = absent.into_iter().peekable();
    let mut keep: Vec<bool> = Vec::with_capacity(set.values.len());
    keep.extend((0..set.values.len()).map(|at| gone.next_if_eq(&at).is_none()));
    let mut kept = keep.iter();
    set.values.retain(|_| kept.next().copied().unwrap_or(true));
    let mut kept = keep.iter();
    set.groups.of.retain(|_| kept.next().copied().unwrap_or(true));
    Ok(())
}
