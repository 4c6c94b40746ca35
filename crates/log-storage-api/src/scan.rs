//! Reading: column batches in order of time, with line filters and counts pushed down to the store.

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use go_regex::{CompiledMatcher, Regex};
use model::{Labels, TimestampNs};
use resources::RequestContext;

use crate::{AppendOutcome, LogBatch, LogStorageError, SourcePosition};

/// A store that can be read and written.
pub trait LogStore: LogReader {
    /// Stores entries; they are durable and visible when this returns.
    fn append(&self, ctx: &RequestContext, batch: &LogBatch<'_>) -> Result<AppendOutcome, LogStorageError>;

    /// How far each source whose name starts with `prefix` has come.
    fn positions(&self, ctx: &RequestContext, prefix: &str) -> Result<Vec<SourcePosition>, LogStorageError>;
}

/// A store that can be read.
pub trait LogReader: Debug + Send + Sync {
    /// Hands matching entries to `sink`, batch by batch, until it breaks off or there are no more. Where `scan.limit` is set,
    /// batches come in the scan's direction across streams: backward, no entry of a batch is newer than the oldest one of
    /// the batch before. Without a limit, batches come in any order, each in the scan's direction within itself.
    /// With `scan.count` set, batches hold counts and no entries, one or more for each stream: they are to be added up.
    /// The context's enforced matchers hold beside those of the scan.
    fn scan(
        &self,
        ctx: &RequestContext,
        scan: &LogScan,
        sink: &mut dyn ScanSink,
    ) -> Result<ScanStats, LogStorageError>;

    /// The streams that match and have entries in the range, by label set.
    fn streams(
        &self,
        ctx: &RequestContext,
        selectors: &[Vec<CompiledMatcher>],
        start: TimestampNs,
        end: TimestampNs,
    ) -> Result<Vec<StreamStats>, LogStorageError>;
}

/// What to scan.
#[derive(Clone, Debug)]
pub struct LogScan {
    /// On stream labels; all must hold.
    pub matchers: Vec<CompiledMatcher>,
    /// The first nanosecond.
    pub start: TimestampNs,
    /// The nanosecond after the last.
    pub end: TimestampNs,
    /// Which end to begin at.
    pub direction: Direction,
    /// The most entries that the caller can use (after the filters given here), in order: a caller that filters further gives
    /// `usize::MAX` and stops the scan when it has enough. `None` for all, in any order.
    pub limit: Option<usize>,
    /// On the line, in order; all must hold.
    pub line_filters: Vec<LineFilter>,
    /// On structured metadata; all must hold, after the line filters.
    pub metadata_filters: Vec<MetadataFilter>,
    /// Whether the caller looks at lines at all.
    pub wants_lines: bool,
    /// Whether the caller looks at structured metadata.
    pub wants_metadata: bool,
    /// Finds fields that the caller takes from lines and filters by; a store may drop entries by them, and may answer them
    /// from its columns.
    pub fields: Option<Arc<dyn FieldFinder>>,
    /// Whether the caller looks at columns of the fields.
    pub wants_fields: bool,
    /// Count entries into buckets instead of returning them.
    pub count: Option<CountBuckets>,
}

/// The order in which entries are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// A filter on the line.
#[derive(Clone, Debug)]
pub struct LineFilter {
    /// Whether lines that match are dropped.
    pub negated: bool,
    /// Any of these has to match (negated: none may).
    pub any_of: Vec<LineFilterOp>,
}

/// How a line filter looks at the line.
#[derive(Clone, Debug)]
pub enum LineFilterOp {
    /// Contains these bytes.
    Contains(Arc<str>),
    /// Matches somewhere.
    Regex(Arc<Regex>),
    /// Covers the whole line: literals with `<_>` between them, each of at least one byte (LogQL's `|>`).
    Pattern(Arc<[PatternPart]>),
}

/// A part of a `|>` pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternPart {
    /// Text as it is.
    Literal(Arc<str>),
    /// `<_>`: at least one byte.
    Wildcard,
}

/// A filter on structured metadata; a missing name compares as "".
#[derive(Clone, Debug)]
pub struct MetadataFilter {
    /// The matcher, whose name is the metadata's name.
    pub matcher: CompiledMatcher,
}

/// Finds fields of structured lines, for a store that keeps what lines have in common apart from what varies. Made by whoever
/// knows the lines' format.
pub trait FieldFinder: Debug + Send + Sync {
    /// The labels that the fields become. Where a stream's labels or an entry's metadata have such a name, the field becomes
    /// another label: then the store must not answer it.
    fn names(&self) -> &[String];

    /// Where the values of the fields stand in a line, by number of the field; `None` for a field that the line has not, or
    /// as a whole where that cannot be told. `varying` are places, in order, each in place of some digits, or, where a letter
    /// stands there, of hexadecimal digits: the answer holds whatever stands there, and a value holds such a place as a whole
    /// or not at all.
    fn find(&self, line: &str, varying: &[Range<usize>]) -> Option<Vec<Option<Range<usize>>>>;

    /// The numbers of the fields that the caller's filters look at, in order.
    fn filters(&self) -> &[usize];

    /// What filter number `filter` says of an entry by the value of its field.
    fn verdict(&self, filter: usize, value: Option<&str>) -> FieldVerdict;
}

/// What a filter says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldVerdict {
    /// The entry passes this filter.
    Passes,
    /// The entry is dropped.
    Fails,
    /// The line has to be looked at; later filters may mean something else for it.
    Unsure,
}

/// The values of a field in the entries of a batch.
#[derive(Clone, Debug, Default)]
pub struct FieldColumn {
    /// Distinct values; `None` stands for no such field.
    pub values: Vec<Option<String>>,
    /// For each entry which of the values it has, or [`FieldColumn::UNKNOWN`]. Empty where the store cannot answer the field.
    pub idx: Vec<u32>,
}

impl FieldColumn {
    /// The entry's line has to be parsed.
    pub const UNKNOWN: u32 = u32::MAX;
}

/// Buckets of equal width: bucket `i` holds entries with `start + i * width <= t < start + (i + 1) * width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountBuckets {
    /// Where the first bucket starts.
    pub start: TimestampNs,
    /// A bucket's width in ns; > 0.
    pub width: i64,
    /// How many buckets.
    pub buckets: usize,
    /// Whether bytes of lines are wanted beside the counts.
    pub bytes: bool,
}

/// A stream: its labels and what identifies it in its store.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Identifies the stream in its store.
    pub id: u128,
    /// Its labels.
    pub labels: Labels,
}

/// A part of a scan's answer, all of one stream.
#[expect(missing_debug_implementations, reason = "borrows a trait object whose lines are made on demand")]
pub struct ScanBatch<'a> {
    /// The stream.
    pub stream: &'a Arc<StreamInfo>,
    /// Times of the entries, in the scan's direction. Empty where counts were asked for.
    pub timestamps: &'a [TimestampNs],
    /// Their lines, metadata and fields, by index into `timestamps`.
    pub lines: &'a dyn ScanLines,
    /// How many of `line_filters`, counted from the end, the store has not applied: the caller has to.
    pub residual_filters: usize,
    /// Whether `metadata_filters` have been applied.
    pub metadata_filtered: bool,
    /// Counts per bucket where asked for, else empty. Filters have then been applied whole.
    pub counts: &'a [u64],
    /// Bytes of lines per bucket where asked for, else empty.
    pub bytes: &'a [u64],
    /// Columns of the scan's fields where asked for and where the store has them, else empty.
    pub fields: &'a [FieldColumn],
}

/// Lines of a batch, put together only when asked for.
pub trait ScanLines {
    /// The line of entry `idx`.
    fn line(&self, idx: usize) -> Result<Cow<'_, str>, LogStorageError>;

    /// The structured metadata of entry `idx`, sorted by name.
    fn metadata(&self, idx: usize) -> Result<Cow<'_, [(String, String)]>, LogStorageError>;
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFlow {
    /// More is wanted.
    Continue,
    /// Enough.
    Stop,
}

/// Takes the batches of a scan.
pub trait ScanSink {
    /// Takes a batch; what it borrows is gone afterwards.
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError>;
}

/// What a scan has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Entries that were looked at in any way.
    pub entries_scanned: u64,
    /// Bytes of lines that the scanned entries stand for.
    pub bytes_scanned: u64,
    /// Lines that had to be put together.
    pub lines_decoded: u64,
    /// Blocks that filters or indexes ruled out unread.
    pub blocks_skipped: u64,
    /// Blocks that were read.
    pub blocks_read: u64,
    /// Blocks that failed their checksum: what they held is missing from the answer.
    pub blocks_damaged: u64,
}

/// What a store knows of a stream in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// The stream.
    pub stream: Arc<StreamInfo>,
    /// Blocks or buffers that hold it.
    pub chunks: u64,
    /// Entries, as near as whole blocks tell.
    pub entries: u64,
    /// Bytes of lines, as near as whole blocks tell.
    pub bytes: u64,
}
