//! Appending: check, log, keep in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use log_storage_api::{
    AppendOutcome, BatchEntry, EntryRejection, LogBatch, LogStorageError, SourcePlace, StreamEntries,
};
use model::TimestampNs;
use resources::RequestContext;

use super::DiskLogStore;
use crate::error::{BlockError, Result, corrupt, wal_error};
use crate::options::{LogLimits, as_ns};
use crate::page::Row;
use crate::positions::Mark;
use crate::record::RecordBuilder;
use crate::segment::Segment;
use crate::stream::{Head, Stream};
use crate::tenant::Tenant;

/// How many refused entries are listed.
const REJECTIONS_LISTED: usize = 100;

/// Structured metadata, sorted and unique.
type Metadata<'a> = Cow<'a, [(String, String)]>;

/// The entries of a stream in a batch that are to be stored.
struct Accepted<'a> {
    stream: Arc<Stream>,
    entries: Vec<(&'a BatchEntry<'a>, Metadata<'a>)>,
    /// How far the batch brings the stream's source.
    mark: Option<(Arc<str>, Mark)>,
}

pub(super) fn append(
    store: &DiskLogStore,
    ctx: &RequestContext,
    batch: &LogBatch<'_>,
) -> Result<AppendOutcome> {
    ctx.check()?;
    wait_for_room(store, ctx)?;
    let tenant = store.tenant_or_new(&ctx.tenant);
    let limits = store.limits.limits(&ctx.tenant);
    let mut outcome = AppendOutcome::default();
    let sources = tenant.positions.lock_sources(batch);
    let gate = store.gate.read();
    check_stopped(store)?;
    check_streams(&tenant, &limits, batch)?;
    let now = store.clock.now_ns();
    let segments = tenant.segments();
    let mut accepted = Vec::with_capacity(batch.streams.len());
    for (stream_idx, entries) in batch.streams.iter().enumerate() {
        ctx.check()?;
        let check = Check { limits: &limits, now, stream_idx, segments: &segments };
        accepted.extend(check.stream(&tenant, entries, &mut outcome)?);
    }
    write_log(store, &tenant, &accepted)?;
    let mut full = Vec::new();
    for stream in &accepted {
        if keep(store, &tenant, stream, &mut outcome) {
            full.push(Arc::clone(&stream.stream));
        }
    }
    drop(gate);
    drop(sources);
    // Who fills a block encodes it: nobody sends faster than that, and what waits to be encoded stays bounded.
    for stream in full {
        store.encode_full_stream(&stream);
    }
    store.relieve();
    let counts = &store.counts;
    counts.entries_stored.fetch_add(outcome.stored, Ordering::Relaxed);
    counts.entries_duplicate.fetch_add(outcome.duplicates, Ordering::Relaxed);
    counts.entries_rejected.fetch_add(outcome.rejected, Ordering::Relaxed);
    Ok(outcome)
}

fn check_stopped(store: &DiskLogStore) -> Result<()> {
    if store.stopped.load(Ordering::SeqCst) {
        return Err(LogStorageError::Unavailable { reason: "the store is stopping".to_owned() });
    }
    Ok(())
}

/// Waits until entries may come, for as long as the request and the settings allow.
fn wait_for_room(store: &DiskLogStore, ctx: &RequestContext) -> Result<()> {
    /// How often a request that waits is asked whether it has ended.
    const CHECK_EVERY: Duration = Duration::from_millis(20);
    let limit = store.options.memory_bytes_max;
    let mut left = store.options.append_wait;
    loop {
        check_stopped(store)?;
        let used = store.memory_bytes.load(Ordering::Relaxed);
        if used <= limit {
            return Ok(());
        }
        ctx.check()?;
        if left.is_zero() {
            return Err(LogStorageError::Unavailable {
                reason: format!(
                    "{used} bytes of entries wait to be written to segments, the limit is {limit}"
                ),
            });
        }
        let mut waiting = store.waiting.lock();
        store.has_room.wait_for(&mut waiting, left.min(CHECK_EVERY));
        left = left.saturating_sub(CHECK_EVERY);
    }
}

fn check_streams(tenant: &Tenant, limits: &LogLimits, batch: &LogBatch<'_>) -> Result<()> {
    let Some(limit) = limits.streams_max else { return Ok(()) };
    let streams = tenant.streams.read();
    if streams.len() + batch.streams.len() <= limit {
        return Ok(());
    }
    let mut new: Vec<_> =
        batch.streams.iter().map(|s| &s.labels).filter(|labels| !streams.contains_key(*labels)).collect();
    new.sort_unstable();
    new.dedup();
    if streams.len() + new.len() <= limit {
        return Ok(());
    }
    Err(LogStorageError::LimitReached {
        limit: "active streams",
        detail: format!("{} active streams and {} new ones, the limit is {limit}", streams.len(), new.len()),
        setting: "max_global_streams_per_user",
    })
}

/// What the entries of one stream are held against.
struct Check<'a> {
    limits: &'a LogLimits,
    now: TimestampNs,
    stream_idx: usize,
    segments: &'a [Arc<Segment>],
}

impl Check<'_> {
    fn stream<'a>(
        &self,
        tenant: &Tenant,
        entries: &'a StreamEntries<'a>,
        outcome: &mut AppendOutcome,
    ) -> Result<Option<Accepted<'a>>> {
        if entries.entries.is_empty() {
            return Ok(None);
        }
        let stream = tenant.stream(&entries.labels);
        let source = entries.source.as_ref();
        let known = source.and_then(|s| tenant.positions.get(&s.source, s.generation));
        let mut accepted = Vec::with_capacity(entries.entries.len());
        {
            let mut head = stream.head.lock();
            let mut newest = head.newest;
            for (entry_idx, entry) in entries.entries.iter().enumerate() {
                let place = source.and_then(|source| source.places.get(entry_idx));
                if place.is_some_and(|place| known.is_some_and(|known| *place <= known)) {
                    outcome.duplicates += 1;
                    continue;
                }
                if let Some(rejection) = self.rejection(entry, newest, entries.accept_late) {
                    reject(outcome, self.stream_idx, entry_idx, rejection);
                    continue;
                }
                let metadata = normalized(&entry.structured_metadata);
                let row = Row { timestamp: entry.timestamp, line: &entry.line, metadata: &metadata };
                if self.is_duplicate(&mut head, &stream, row)? {
                    outcome.duplicates += 1;
                    continue;
                }
                newest = newest.max(entry.timestamp);
                accepted.push((entry, metadata));
            }
        }
        let reached = source.and_then(|source| source.places.iter().max().copied());
        let mark = source.zip(reached).filter(|(_, reached)| known.is_none_or(|known| *reached > known));
        let mark =
            mark.map(|(source, place)| (Arc::clone(&source.source), self.mark(source.generation, place)));
        Ok(Some(Accepted { stream, entries: accepted, mark }))
    }

    fn mark(&self, generation: u64, place: SourcePlace) -> Mark {
        Mark { generation, place, updated_ms: self.now.div_euclid(1_000_000) }
    }

    fn is_duplicate(&self, head: &mut Head, stream: &Stream, row: Row<'_>) -> Result<bool> {
        head.contains(stream.info.id, self.segments, row).map_err(|error| match error {
            BlockError::Damaged(reason) => corrupt(stream.info.labels.to_string(), reason),
            BlockError::Io(source) => LogStorageError::Io {
                action: "look for duplicates in",
                path: stream.info.labels.to_string(),
                source,
            },
        })
    }

    fn rejection(
        &self,
        entry: &BatchEntry<'_>,
        newest: TimestampNs,
        accept_late: bool,
    ) -> Option<EntryRejection> {
        let limits = self.limits;
        if let Some(limit) = limits.line_bytes_max.filter(|limit| entry.line.len() as u64 > *limit) {
            return Some(EntryRejection::LineTooLong { limit });
        }
        let before = |from: TimestampNs, age| from.saturating_sub(as_ns(age));
        if let Some(grace) = limits.creation_grace
            && entry.timestamp > self.now.saturating_add(as_ns(grace))
        {
            return Some(EntryRejection::TooNew);
        }
        if accept_late {
            return None;
        }
        if let Some(age) = limits.reject_old_max_age
            && entry.timestamp < before(self.now, age)
        {
            return Some(EntryRejection::TooOld { oldest_accepted: before(self.now, age) });
        }
        if let Some(window) = limits.out_of_order_window
            && entry.timestamp < before(newest, window)
        {
            return Some(EntryRejection::TooFarBehind { oldest_accepted: before(newest, window) });
        }
        None
    }
}

fn reject(outcome: &mut AppendOutcome, stream_idx: usize, entry_idx: usize, rejection: EntryRejection) {
    outcome.rejected += 1;
    if outcome.rejections.len() < REJECTIONS_LISTED {
        outcome.rejections.push((stream_idx, entry_idx, rejection));
    }
}

/// Metadata sorted by name, each name once; the last value of a name wins.
fn normalized(metadata: &[(String, String)]) -> Metadata<'_> {
    if metadata.is_sorted_by(|a, b| a.0 < b.0) {
        return Cow::Borrowed(metadata);
    }
    let unique: BTreeMap<&String, &String> = metadata.iter().map(|(name, value)| (name, value)).collect();
    Cow::Owned(unique.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn write_log(store: &DiskLogStore, tenant: &Tenant, accepted: &[Accepted<'_>]) -> Result<()> {
    let bytes =
        accepted.iter().flat_map(|stream| &stream.entries).map(|(entry, _)| entry.line.len() + 16).sum();
    let mut record = RecordBuilder::new(&tenant.id, bytes);
    let write = |record: &mut RecordBuilder| match record.take() {
        Some(bytes) => store.wal.append(&bytes).map(drop).map_err(|error| wal_error(&error)),
        None => Ok(()),
    };
    for stream in accepted {
        let labels = &stream.stream.info.labels;
        if !stream.entries.is_empty() {
            record.stream(labels);
        }
        for (entry, metadata) in &stream.entries {
            record.entry(Row { timestamp: entry.timestamp, line: &entry.line, metadata });
            if record.is_full() {
                write(&mut record)?;
                record.stream(labels);
            }
        }
        if let Some((source, mark)) = &stream.mark {
            record.mark(source, mark);
        }
    }
    write(&mut record)
}

/// Takes entries into memory. Whether the stream has a block's worth of them now.
fn keep(store: &DiskLogStore, tenant: &Tenant, accepted: &Accepted<'_>, outcome: &mut AppendOutcome) -> bool {
    let (mut bytes, mut line_bytes) = (0, 0);
    let is_full = {
        let mut head = accepted.stream.head.lock();
        for (entry, metadata) in &accepted.entries {
            let row = Row { timestamp: entry.timestamp, line: &entry.line, metadata };
            // Looked at once more: the batch itself, or another one at the same time, may hold the entry twice.
            if matches!(head.memory_contains(row), Ok(true)) {
                outcome.duplicates += 1;
                continue;
            }
            bytes += head.push(row);
            line_bytes += entry.line.len() as u64;
            outcome.stored += 1;
        }
        head.raw_rows > store.options.block_rows_max || head.raw_bytes > store.options.block_bytes_max as u64
    };
    if let Some((source, mark)) = &accepted.mark {
        tenant.positions.advance(source, mark.clone());
    }
    store.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
    store.raw_bytes.fetch_add(bytes, Ordering::Relaxed);
    store.counts.bytes_stored.fetch_add(line_bytes, Ordering::Relaxed);
    let arrival = store.clock.monotonic().as_nanos() as u64;
    store.oldest_arrival_ns.fetch_min(arrival, Ordering::Relaxed);
    store.newest_arrival_ns.fetch_max(arrival, Ordering::Relaxed);
    is_full
}
