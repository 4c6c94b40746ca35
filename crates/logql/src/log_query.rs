//! Log queries: lines in order of time.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use log_storage_api::{Direction, LogReader, LogScan, SinkFlow};
use logql_syntax::LogExpr;
use model::{Labels, TimestampNs};
use resources::{RequestContext, Reservation};

use crate::LogqlError;
use crate::fields::Fields;
use crate::line_labels::LineLabels;
use crate::scan::{QueryStats, ScanPlan};

/// A query for lines.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Which lines.
    pub expr: LogExpr,
    /// The first nanosecond.
    pub start: TimestampNs,
    /// The nanosecond after the last.
    pub end: TimestampNs,
    /// The most entries wanted; `None` for all, in any order.
    pub limit: Option<usize>,
    /// Which end to begin at.
    pub direction: Direction,
    /// Keep an entry only if it is at least this many ns away from the one kept before; 0 keeps all.
    pub interval: i64,
}

/// A line that matched, with its labels by where they come from.
#[derive(Debug)]
pub struct MatchedEntry<'a> {
    /// When.
    pub timestamp: TimestampNs,
    /// The line, as stages have left it.
    pub line: &'a str,
    labels: &'a LineLabels,
}

impl MatchedEntry<'_> {
    /// The labels of the stored stream.
    pub fn stream(&self) -> &Labels {
        self.labels.stream()
    }

    /// Visits the stream's labels that no stage has removed or replaced, by name.
    pub fn for_each_stream_label(&self, visit: impl FnMut(&str, &str)) {
        self.labels.for_each_stream(visit);
    }

    /// Visits structured metadata.
    pub fn for_each_metadata(&self, visit: impl FnMut(&str, &str)) {
        self.labels.for_each_metadata(visit);
    }

    /// Visits what stages have set, `__error__` included.
    pub fn for_each_parsed(&self, visit: impl FnMut(&str, &str)) {
        self.labels.for_each_parsed(visit);
    }

    /// All labels in one, sorted by name.
    pub fn merged<'b>(&'b self, out: &mut Vec<(&'b str, &'b str)>) {
        self.labels.merged(out);
    }
}

/// Takes the lines of a query.
pub trait EntrySink {
    /// Takes a line; what it borrows is gone afterwards.
    fn entry(&mut self, entry: &MatchedEntry<'_>) -> Result<SinkFlow, LogqlError>;
}

impl LogQuery {
    pub(crate) fn run(
        &self,
        ctx: &RequestContext,
        reader: &dyn LogReader,
        sink: &mut dyn EntrySink,
    ) -> Result<QueryStats, LogqlError> {
        let mut plan = ScanPlan::new(ctx, &self.expr, self.end)?;
        let mut stats = QueryStats::default();
        if self.limit == Some(0) || self.start >= self.end {
            return Ok(stats);
        }
        // A store that knows the limit may stop by itself, but only where nothing here drops lines.
        let is_exact = plan.pipeline.is_empty() && self.interval == 0;
        let scan = LogScan {
            matchers: plan.matchers.clone(),
            start: self.start,
            end: self.end,
            direction: self.direction,
            limit: self.limit.map(|limit| if is_exact { limit } else { usize::MAX }),
            line_filters: plan.line_filters.clone(),
            metadata_filters: Vec::new(),
            wants_lines: true,
            wants_metadata: true,
            fields: plan.fields.take().filter(Fields::has_filters).map(|fields| Arc::new(fields) as _),
            wants_fields: false,
            count: None,
        };
        let mut returned = 0;
        let mut last_kept: Option<TimestampNs> = None;
        plan.run(
            ctx,
            reader,
            &scan,
            &mut stats,
            &mut |timestamp: TimestampNs, line: &str, labels: &mut LineLabels| {
                if let Some(last) = last_kept
                    && self.interval > 0
                    && timestamp.abs_diff(last) < self.interval as u64
                {
                    return Ok(SinkFlow::Continue);
                }
                last_kept = Some(timestamp);
                returned += 1;
                let flow = sink.entry(&MatchedEntry { timestamp, line, labels })?;
                let is_full = self.limit.is_some_and(|limit| returned >= limit);
                Ok(if is_full { SinkFlow::Stop } else { flow })
            },
        )?;
        stats.entries_returned = returned as u64;
        Ok(stats)
    }
}

/// The selector and pipeline of a live tail: applied to entries as they arrive.
#[derive(Debug)]
pub struct TailFilter {
    plan: ScanPlan,
    labels: LineLabels,
}

impl TailFilter {
    /// Compiles a query. `now` is what templates see as the present.
    pub fn new(ctx: &RequestContext, expr: &LogExpr, now: TimestampNs) -> Result<Self, LogqlError> {
        Ok(Self { plan: ScanPlan::new(ctx, expr, now)?, labels: LineLabels::default() })
    }

    /// Gives the entry to `sink` if it matches.
    pub fn apply(
        &mut self,
        stream: &Labels,
        entry: &model::LogEntry,
        sink: &mut dyn EntrySink,
    ) -> Result<SinkFlow, LogqlError> {
        if !self.plan.selects(stream) || !self.plan.passes_line_filters(&entry.line) {
            return Ok(SinkFlow::Continue);
        }
        self.labels.reset(stream, &entry.structured_metadata);
        let line = std::borrow::Cow::Borrowed(entry.line.as_str());
        match self.plan.pipeline.run(entry.timestamp, line, &mut self.labels) {
            Some(line) => {
                sink.entry(&MatchedEntry { timestamp: entry.timestamp, line: &line, labels: &self.labels })
            }
            None => Ok(SinkFlow::Continue),
        }
    }
}

type Pairs = Vec<(String, String)>;

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultEntry {
    /// When.
    pub timestamp: TimestampNs,
    /// The line.
    pub line: String,
    /// Structured metadata, where labels are kept apart; else empty.
    pub structured_metadata: Pairs,
    /// What stages have set, where labels are kept apart; else empty.
    pub parsed: Pairs,
}

/// Lines with the same labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultStream {
    /// The labels, sorted by name.
    pub labels: Pairs,
    /// The lines, in the query's direction.
    pub entries: Vec<ResultEntry>,
}

/// Sorts the lines of a query into streams, within the request's memory.
#[derive(Debug)]
pub struct StreamCollector {
    keeps_apart: bool,
    streams: Vec<ResultStream>,
    /// Numbers of streams by the hash of their labels.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    memory: Reservation,
}

impl StreamCollector {
    /// A collector that folds structured metadata and parsed labels into the stream: one result stream per set of labels.
    pub fn merging(ctx: &RequestContext) -> Result<Self, LogqlError> {
        Self::new(ctx, false)
    }

    /// A collector that keeps them apart: result streams have the labels of stored streams.
    pub fn categorizing(ctx: &RequestContext) -> Result<Self, LogqlError> {
        Self::new(ctx, true)
    }

    fn new(ctx: &RequestContext, keeps_apart: bool) -> Result<Self, LogqlError> {
        let memory = ctx.memory.reserve(0)?;
        let (index, hasher) = (HashTable::new(), DefaultHashBuilder::default());
        Ok(Self { keeps_apart, streams: Vec::new(), index, hasher, memory })
    }

    /// The stream with these labels, and how much memory it takes where it is new.
    fn stream_of(&mut self, labels: &[(&str, &str)]) -> (usize, usize) {
        let hash = self.hasher.hash_one(labels);
        let is_own = |own: &Pairs| {
            own.len() == labels.len()
                && own.iter().zip(labels).all(|(own, label)| own.0 == label.0 && own.1 == label.1)
        };
        if let Some(idx) = self.index.find(hash, |idx| is_own(&self.streams[*idx as usize].labels)) {
            return (*idx as usize, 0);
        }
        let idx = self.streams.len();
        let own: Pairs =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let bytes = pair_bytes(&own) + 256;
        self.streams.push(ResultStream { labels: own, entries: Vec::new() });
        let (streams, hasher) = (&self.streams, &self.hasher);
        self.index.insert_unique(hash, idx as u32, |idx| {
            let labels = &streams[*idx as usize].labels;
            let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            hasher.hash_one(labels.as_slice())
        });
        (idx, bytes)
    }

    /// The streams, sorted by their labels.
    pub fn finish(mut self) -> Vec<ResultStream> {
        self.streams.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.streams
    }
}

fn pair_bytes(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len() + 64).sum()
}

impl EntrySink for StreamCollector {
    fn entry(&mut self, entry: &MatchedEntry<'_>) -> Result<SinkFlow, LogqlError> {
        let mut result = ResultEntry {
            timestamp: entry.timestamp,
            line: entry.line.to_owned(),
            structured_metadata: Vec::new(),
            parsed: Vec::new(),
        };
        let push =
            |pairs: &mut Pairs, name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        let (idx, taken) = if self.keeps_apart {
            let mut labels: Pairs = Vec::new();
            entry.for_each_stream_label(|name, value| push(&mut labels, name, value));
            entry.for_each_metadata(|name, value| push(&mut result.structured_metadata, name, value));
            entry.for_each_parsed(|name, value| push(&mut result.parsed, name, value));
            result.structured_metadata.sort();
            result.parsed.sort();
            let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            self.stream_of(&labels)
        } else {
            let mut merged = Vec::new();
            entry.merged(&mut merged);
            self.stream_of(&merged)
        };
        let own =
            entry.line.len() + 128 + pair_bytes(&result.structured_metadata) + pair_bytes(&result.parsed);
        self.memory.grow((own + taken) as u64)?;
        self.streams[idx].entries.push(result);
        Ok(SinkFlow::Continue)
    }
}
