//! What of a query the store does, and what runs here on the entries that it hands over.

use std::borrow::Cow;

use go_regex::CompiledMatcher;
use log_storage_api::{
    LineFilter, LogReader, LogScan, LogStorageError, ScanBatch, ScanSink, ScanStats, SinkFlow,
};
use logql_syntax::{LogExpr, StageKind};
use model::{Labels, TimestampNs};
use resources::RequestContext;

use crate::LogqlError;
use crate::fields::Fields;
use crate::line_labels::LineLabels;
use crate::pipeline::{Pipeline, changes_line, matches_op, storage_filter, uses_labels};
use crate::selector::{compile_matchers, compile_selector};

/// How often a batch checks whether its request has ended, in entries.
const CHECK_EVERY: usize = 256;

/// What a query has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// What the store did.
    pub scan: ScanStats,
    /// Lines that passed every filter.
    pub lines_matched: u64,
    /// Entries in the answer.
    pub entries_returned: u64,
}

impl QueryStats {
    pub(crate) fn add_scan(&mut self, scan: ScanStats) {
        self.scan.entries_scanned += scan.entries_scanned;
        self.scan.bytes_scanned += scan.bytes_scanned;
        self.scan.lines_decoded += scan.lines_decoded;
        self.scan.blocks_skipped += scan.blocks_skipped;
        self.scan.blocks_read += scan.blocks_read;
        self.scan.blocks_damaged += scan.blocks_damaged;
    }
}

/// A log expression cut in two: what the store does and what is left to do.
#[derive(Debug)]
pub(crate) struct ScanPlan {
    pub(crate) matchers: Vec<CompiledMatcher>,
    pub(crate) line_filters: Vec<LineFilter>,
    pub(crate) pipeline: Pipeline,
    /// Whether a stage of the pipeline asks for labels.
    pub(crate) uses_labels: bool,
    /// What of the pipeline a store can answer from columns.
    pub(crate) fields: Option<Fields>,
}

impl ScanPlan {
    /// Cuts an expression for a request: what it may see is part of the matchers.
    pub(crate) fn new(ctx: &RequestContext, log: &LogExpr, now: TimestampNs) -> Result<Self, LogqlError> {
        let mut plan = Self::unbound(log, now)?;
        plan.matchers.extend(compile_matchers(&ctx.enforced_matchers)?);
        Ok(plan)
    }

    /// Cuts an expression: line filters go to the store as long as no stage before them changes the line.
    pub(crate) fn unbound(log: &LogExpr, now: TimestampNs) -> Result<Self, LogqlError> {
        let matchers = compile_selector(&log.matchers)?;
        let mut line_filters = Vec::new();
        let mut left = Vec::new();
        let mut line_is_stored = true;
        for stage in &log.stages {
            let pushed = match &stage.kind {
                StageKind::LineFilter(filter) if line_is_stored => storage_filter(filter)?,
                _ => None,
            };
            match pushed {
                Some(filter) => line_filters.push(filter),
                None => left.push(stage),
            }
            line_is_stored &= !changes_line(&stage.kind);
        }
        let uses_labels = left.iter().any(|stage| uses_labels(&stage.kind));
        let fields = Fields::of(&left)?;
        Ok(Self { matchers, line_filters, pipeline: Pipeline::new(left, now)?, uses_labels, fields })
    }

    /// Runs a scan and gives every line that passes to `visit`.
    pub(crate) fn run(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        scan: &LogScan,
        stats: &mut QueryStats,
        visit: &mut dyn LineVisitor,
    ) -> Result<(), LogqlError> {
        let mut sink = PipelineSink {
            ctx,
            plan: self,
            labels: LineLabels::default(),
            reads_lines: scan.wants_lines,
            reads_metadata: scan.wants_metadata,
            matched: 0,
            visit,
            error: None,
        };
        let outcome = reader.scan(ctx, scan, &mut sink);
        stats.lines_matched += sink.matched;
        if let Some(error) = sink.error {
            return Err(error);
        }
        stats.add_scan(outcome?);
        Ok(())
    }

    /// Whether a line passes the filters that were meant for the store.
    pub(crate) fn passes_line_filters(&self, line: &str) -> bool {
        self.line_filters.iter().all(|filter| passes(filter, line))
    }

    /// Whether the labels pass the selector.
    pub(crate) fn selects(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name())))
    }
}

fn passes(filter: &LineFilter, line: &str) -> bool {
    filter.any_of.iter().any(|op| matches_op(op, line)) != filter.negated
}

/// Takes what a scan finds.
pub(crate) trait LineVisitor {
    /// Takes a line that has passed the pipeline.
    fn line(
        &mut self,
        timestamp: TimestampNs,
        line: &str,
        labels: &mut LineLabels,
    ) -> Result<SinkFlow, LogqlError>;

    /// Takes what it can of a batch from the columns of its fields. Returns how many entries have passed, and the entries
    /// whose lines have to be looked at; `None` for all of them.
    fn columns(&mut self, _batch: &ScanBatch<'_>) -> Result<Option<(u64, Vec<u32>)>, LogqlError> {
        Ok(None)
    }
}

impl<F: FnMut(TimestampNs, &str, &mut LineLabels) -> Result<SinkFlow, LogqlError>> LineVisitor for F {
    fn line(
        &mut self,
        timestamp: TimestampNs,
        line: &str,
        labels: &mut LineLabels,
    ) -> Result<SinkFlow, LogqlError> {
        self(timestamp, line, labels)
    }
}

/// Runs the residual filters and the pipeline over batches.
struct PipelineSink<'a> {
    ctx: &'a RequestContext,
    plan: &'a ScanPlan,
    labels: LineLabels,
    reads_lines: bool,
    reads_metadata: bool,
    matched: u64,
    visit: &'a mut dyn LineVisitor,
    /// An error that is not the store's; the scan was stopped for it.
    error: Option<LogqlError>,
}

impl ScanSink for PipelineSink<'_> {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        let answered = if batch.residual_filters == 0 { self.visit.columns(batch) } else { Ok(None) };
        match answered {
            Ok(None) => self.lines(batch, 0..batch.timestamps.len()),
            Ok(Some((matched, left))) => {
                self.matched += matched;
                self.lines(batch, left.into_iter().map(|idx| idx as usize))
            }
            Err(error) => {
                self.error = Some(error);
                Ok(SinkFlow::Stop)
            }
        }
    }
}

impl PipelineSink<'_> {
    fn lines(
        &mut self,
        batch: &ScanBatch<'_>,
        entries: impl Iterator<Item = usize>,
    ) -> Result<SinkFlow, LogStorageError> {
        let filters = &self.plan.line_filters;
        let residual = &filters[filters.len() - batch.residual_filters.min(filters.len())..];
        for (count, idx) in entries.enumerate() {
            let timestamp = &batch.timestamps[idx];
            if count % CHECK_EVERY == 0 {
                self.ctx.check()?;
            }
            let line = if self.reads_lines || !residual.is_empty() {
                batch.lines.line(idx)?
            } else {
                Cow::Borrowed("")
            };
            if !residual.iter().all(|filter| passes(filter, &line)) {
                continue;
            }
            if self.reads_metadata {
                self.labels.reset(&batch.stream.labels, &batch.lines.metadata(idx)?);
            } else {
                self.labels.reset(&batch.stream.labels, &[]);
            }
            let Some(line) = self.plan.pipeline.run(*timestamp, line, &mut self.labels) else { continue };
            self.matched += 1;
            match self.visit.line(*timestamp, &line, &mut self.labels) {
                Ok(SinkFlow::Continue) => {}
                Ok(SinkFlow::Stop) => return Ok(SinkFlow::Stop),
                Err(error) => {
                    self.error = Some(error);
                    return Ok(SinkFlow::Stop);
                }
            }
        }
        Ok(SinkFlow::Continue)
    }
}
