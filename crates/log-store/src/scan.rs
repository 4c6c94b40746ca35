//! Reading: what a scan has to look at, then counting it, handing it out in any order, or merging it in order of time.

mod count;
mod ordered;
mod source;
mod templates;

use std::ops::Range;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use log_storage_api::{
    Direction, FieldColumn, LogScan, LogStorageError, MetadataFilter, ScanBatch, ScanSink, ScanStats,
    SinkFlow, StreamInfo, StreamStats,
};
use model::TimestampNs;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use resources::RequestContext;

use crate::deletes::Deletion;
use crate::error::{BlockError, Result};
use crate::fields::FieldLookup;
use crate::filter::LineFilters;
use crate::store::DiskLogStore;
use source::{OpenSource, RowsBatch, Source};
pub use templates::{TemplateCount, TemplateCounts, TemplateQuery};

/// What to look at and how.
struct Plan<'a> {
    store: &'a DiskLogStore,
    ctx: &'a RequestContext,
    scan: &'a LogScan,
    filters: LineFilters,
    fields: Option<FieldLookup>,
    /// Delete requests that hide entries of the streams.
    deletions: Vec<Arc<Deletion>>,
}

/// Sources that are looked at at once, for each thread.
const SOURCES_PER_THREAD: usize = 4;

pub(crate) fn scan(
    store: &DiskLogStore,
    ctx: &RequestContext,
    scan: &LogScan,
    sink: &mut dyn ScanSink,
) -> Result<ScanStats> {
    ctx.check()?;
    let (sources, deletions) = find_sources(store, ctx, &[&scan.matchers], scan.start, scan.end)?;
    let filters = LineFilters::new(&scan.line_filters);
    let fields = scan.fields.as_ref().map(FieldLookup::new);
    let plan = Plan { store, ctx, scan, filters, fields, deletions };
    let mut stats = ScanStats::default();
    match (scan.count, scan.limit) {
        (Some(buckets), _) => count::count(&plan, &sources, buckets, sink, &mut stats)?,
        (None, Some(limit)) => ordered::merge(&plan, sources, limit, sink, &mut stats)?,
        (None, None) => unordered(&plan, &sources, sink, &mut stats)?,
    }
    Ok(stats)
}

/// Hands out source by source; several are looked at at once.
fn unordered(
    plan: &Plan<'_>,
    sources: &[Source],
    sink: &mut dyn ScanSink,
    stats: &mut ScanStats,
) -> Result<()> {
    for sources in sources.chunks(plan.at_once()) {
        for selected in plan.each(sources, stats, |source, stats| plan.select(source, stats))? {
            let Some(Selected { open, rows, fields }) = selected else { continue };
            let batch = RowsBatch::new(&open, &rows, &fields);
            if batch.hand_out(sink)? == SinkFlow::Stop {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Rows of a source that pass, and the columns of their fields.
struct Selected {
    open: OpenSource,
    rows: Vec<u32>,
    fields: Vec<FieldColumn>,
}

fn add(stats: &mut ScanStats, more: &ScanStats) {
    stats.entries_scanned += more.entries_scanned;
    stats.bytes_scanned += more.bytes_scanned;
    stats.lines_decoded += more.lines_decoded;
    stats.blocks_skipped += more.blocks_skipped;
    stats.blocks_read += more.blocks_read;
    stats.blocks_damaged += more.blocks_damaged;
}

impl Plan<'_> {
    /// How many sources are looked at at once.
    fn at_once(&self) -> usize {
        self.ctx.cpu.threads(self.ctx.cpu_class) * SOURCES_PER_THREAD
    }

    /// Does work on each of some things, on the threads that the request may use; results in their order.
    fn each<T: Sync, R: Send>(
        &self,
        things: &[T],
        stats: &mut ScanStats,
        work: impl Fn(&T, &mut ScanStats) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let (cpu, class) = (&self.ctx.cpu, self.ctx.cpu_class);
        if cpu.threads(class) < 2 || things.len() < 2 {
            return things.iter().map(|thing| work(thing, stats)).collect();
        }
        let one = |thing: &T| {
            let mut stats = ScanStats::default();
            work(thing, &mut stats).map(|done| (done, stats))
        };
        let done: Result<Vec<(R, ScanStats)>> =
            cpu.install(class, || things.par_iter().with_max_len(1).map(one).collect());
        let (results, of_each): (Vec<R>, Vec<ScanStats>) = done?.into_iter().unzip();
        of_each.iter().for_each(|more| add(stats, more));
        Ok(results)
    }

    /// Opens a source and finds the rows that pass, in the scan's direction; `None` where none does.
    fn select(&self, source: &Source, stats: &mut ScanStats) -> Result<Option<Selected>> {
        let Some((open, range)) = self.open(source, stats)? else { return Ok(None) };
        match self.select_rows(&open, range, stats) {
            Ok((rows, _)) if rows.is_empty() => Ok(None),
            Ok((rows, fields)) => Ok(Some(Selected { open, rows, fields })),
            Err(error) => self.forgive(source, error, stats).map(|()| None),
        }
    }

    /// Opens a source; `None` where it has no row in the scan's range.
    fn open(&self, source: &Source, stats: &mut ScanStats) -> Result<Option<(OpenSource, Range<usize>)>> {
        self.ctx.check()?;
        let reservation = self.ctx.memory.reserve(source.open_bytes())?;
        let open = source.open(reservation);
        match open.rows_between(self.scan.start, self.scan.end) {
            Ok(range) if range.is_empty() => Ok(None),
            Ok(range) => {
                stats.blocks_read += 1;
                Ok(Some((open, range)))
            }
            Err(error) => self.forgive(source, error, stats).map(|()| None),
        }
    }

    /// The rows of a range that pass, in the scan's direction, and the columns of their fields where those are wanted.
    fn select_rows(
        &self,
        open: &OpenSource,
        range: Range<usize>,
        stats: &mut ScanStats,
    ) -> std::result::Result<(Vec<u32>, Vec<FieldColumn>), BlockError> {
        stats.entries_scanned += range.len() as u64;
        stats.bytes_scanned += open.line_bytes_of(range.len());
        let mut rows = open.filter(range, &self.filters, stats)?;
        if !self.scan.metadata_filters.is_empty() && !rows.is_empty() {
            open.filter_metadata(&mut rows, &self.scan.metadata_filters)?;
        }
        for deletion in &self.deletions {
            if !rows.is_empty() {
                open.remove_deleted(&mut rows, deletion)?;
            }
        }
        let mut fields = Vec::new();
        if let Some(lookup) = &self.fields
            && !rows.is_empty()
        {
            if self.scan.wants_fields {
                fields = open.fields(&rows, lookup)?;
                lookup.filter(&mut rows, &mut fields);
            } else {
                open.filter_fields(&mut rows, lookup)?;
            }
        }
        if !rows.is_empty() && self.scan.count.is_none() {
            // Loaded now, so that damage is found while the block can still be left out.
            open.load(self.scan.wants_lines, self.scan.wants_metadata)?;
        }
        if self.scan.direction == Direction::Backward {
            rows.reverse();
            fields.iter_mut().for_each(|column| column.idx.reverse());
        }
        Ok((rows, fields))
    }

    /// Goes on without a damaged block; an error of the file system ends the scan.
    fn forgive(&self, source: &Source, error: BlockError, stats: &mut ScanStats) -> Result<()> {
        match error {
            BlockError::Damaged(reason) => {
                stats.blocks_damaged += 1;
                source.report_damage(self.store, reason);
                Ok(())
            }
            BlockError::Io(error) => {
                Err(LogStorageError::Io { action: "read", path: source.place(), source: error })
            }
        }
    }
}

/// Everything that may hold entries of matching streams in the range, stream by stream in order of labels, each stream's in
/// the order in which the entries came.
fn find_sources(
    store: &DiskLogStore,
    ctx: &RequestContext,
    selectors: &[&Vec<CompiledMatcher>],
    start: TimestampNs,
    end: TimestampNs,
) -> Result<(Vec<Source>, Vec<Arc<Deletion>>)> {
    let Some(tenant) = store.tenant(&ctx.tenant) else { return Ok((Vec::new(), Vec::new())) };
    let enforced = compile_enforced(ctx)?;
    let holds = |matchers: &[CompiledMatcher], info: &StreamInfo| {
        matchers.iter().all(|matcher| matcher.matches(info.labels.value(matcher.name())))
    };
    let infos = tenant
        .registry
        .select(|info| holds(&enforced, info) && selectors.iter().any(|matchers| holds(matchers, info)));
    ctx.check()?;
    // Before the snapshot: a request that is done by then hides nothing that is left.
    let deletions = tenant.deletes.pending(&infos);
    Ok((store.with_stable_view(|| source::snapshot(&tenant, &infos, start, end)), deletions))
}

fn compile_enforced(ctx: &RequestContext) -> Result<Vec<CompiledMatcher>> {
    let compile = |matcher: &model::Matcher| {
        CompiledMatcher::new(matcher.clone()).map_err(|error| LogStorageError::Unavailable {
            reason: format!("the matchers that this user may not go beyond cannot be used: {error}"),
        })
    };
    ctx.enforced_matchers.iter().map(compile).collect()
}

pub(crate) fn streams(
    store: &DiskLogStore,
    ctx: &RequestContext,
    selectors: &[Vec<CompiledMatcher>],
    start: TimestampNs,
    end: TimestampNs,
) -> Result<Vec<StreamStats>> {
    ctx.check()?;
    let selectors: Vec<&Vec<CompiledMatcher>> = selectors.iter().collect();
    let (sources, _) = find_sources(store, ctx, &selectors, start, end)?;
    let mut found: Vec<StreamStats> = Vec::new();
    for source in &sources {
        let stats = match found.last_mut() {
            Some(last) if last.stream.id == source.stream.id => last,
            _ => {
                let stream = source.stream.clone();
                found.push(StreamStats { stream, chunks: 0, entries: 0, bytes: 0 });
                let Some(last) = found.last_mut() else { continue };
                last
            }
        };
        stats.chunks += 1;
        stats.entries += source.rows;
        stats.bytes += source.line_bytes;
    }
    Ok(found)
}

fn matches_metadata(filter: &MetadataFilter, value: &str) -> bool {
    filter.matcher.matches(value)
}

/// A batch of counts.
fn counts_batch<'a>(
    stream: &'a Arc<StreamInfo>,
    counts: &'a [u64],
    bytes: &'a [u64],
    lines: &'a dyn log_storage_api::ScanLines,
) -> ScanBatch<'a> {
    let (timestamps, fields) = (&[], &[]);
    ScanBatch {
        stream,
        timestamps,
        lines,
        residual_filters: 0,
        metadata_filtered: true,
        counts,
        bytes,
        fields,
    }
}
