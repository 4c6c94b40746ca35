//! Reading: series by matchers, their samples as columns or as encoded chunks, labels and their values.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use model::{Exemplar, Labels, MetricMetadata, TimeRange, TimestampMs};
use resources::{RequestContext, Reservation};

use crate::{Appender, SampleColumns, StorageError};

/// A store that can be read and written.
pub trait MetricStore: MetricReader {
    /// Starts a batch.
    fn appender(&self, ctx: &RequestContext) -> Result<Box<dyn Appender + '_>, StorageError>;
}

/// A store that can be read. All matchers of a request must hold; those of the context are added by the store.
pub trait MetricReader: Debug + Send + Sync {
    /// The series that match and have a sample in the range (a store may return some that have none).
    fn select(&self, ctx: &RequestContext, request: &SelectRequest<'_>) -> Result<SeriesSet, StorageError>;

    /// The newest sample of each matching series in a window, for a query of one point in time: what a store knows without
    /// decoding all that the window touches. `None` where it would have to look at the series one by one: `select` then.
    /// Series whose newest sample there is a staleness marker are left out; so are those without a sample.
    fn newest(
        &self,
        _ctx: &RequestContext,
        _request: &NewestRequest<'_>,
    ) -> Result<Option<NewestSet>, StorageError> {
        Ok(None)
    }

    /// Label names in use by matching series, sorted, at most `query.limit`.
    fn label_names(&self, ctx: &RequestContext, query: &LabelQuery<'_>) -> Result<Vec<String>, StorageError>;

    /// Values of `name` in use by matching series, sorted, at most `query.limit`.
    fn label_values(
        &self,
        ctx: &RequestContext,
        name: &str,
        query: &LabelQuery<'_>,
    ) -> Result<Vec<String>, StorageError>;

    /// Exemplars of the series that match any of `selectors`, ordered by label set.
    fn exemplars(
        &self,
        ctx: &RequestContext,
        selectors: &[Vec<CompiledMatcher>],
        range: TimeRange,
    ) -> Result<Vec<ExemplarSeries>, StorageError>;

    /// The newest metadata per metric name; of all metrics where `metric` is `None`.
    fn metadata(
        &self,
        ctx: &RequestContext,
        metric: Option<&str>,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>, StorageError>;
}

/// What to select.
#[derive(Clone, Debug)]
pub struct SelectRequest<'a> {
    /// All must hold. At least one does not match the empty value (the engine checks that).
    pub matchers: &'a [CompiledMatcher],
    /// Samples outside need not be returned; both ends belong to it.
    pub range: TimeRange,
    /// What the store may use to do less.
    pub hints: SelectHints,
}

/// What a query will do with the series. A store may ignore all of it.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// The query's step in ms; 0 for an instant query.
    pub step_ms: i64,
    /// The range selector's width in ms; 0 for an instant selector.
    pub window_ms: i64,
    /// The function or aggregation right above the selector, such as `rate` or `count`.
    pub function: Option<&'static str>,
    /// The grouping right above, where the labels outside it are never looked at.
    pub grouping: Option<AggregationHint>,
    /// Whether the caller needs series in label order.
    pub sorted: bool,
    /// The coarsest resolution the caller accepts, in ms; 0 for raw data.
    pub resolution_ms: i64,
    /// The most series the caller wants; 0 for all.
    pub limit: usize,
    /// Only labels are wanted, no samples (`/api/v1/series`).
    pub labels_only: bool,
}

/// Which labels an aggregation keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregationHint {
    /// `by`
    By(Vec<String>),
    /// `without`
    Without(Vec<String>),
}

/// Selected series, in label order where that was asked for, and what the caller should tell its user.
#[derive(Debug, Default)]
pub struct SeriesSet {
    /// The series.
    pub series: Vec<Arc<dyn SeriesReader>>,
    /// The groups that [`SelectHints::grouping`] makes of the series, where the store has numbered them.
    pub groups: Option<SeriesGroups>,
    /// Such as "block X could not be read".
    pub warnings: Vec<String>,
}

/// Series by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesGroups {
    /// The group of each series: an index into `labels`.
    pub of: Vec<u32>,
    /// The label set of each group, in order of first appearance.
    pub labels: Vec<Labels>,
}

/// Which newest samples are wanted.
#[derive(Clone, Copy, Debug)]
pub struct NewestRequest<'a> {
    /// All must hold.
    pub matchers: &'a [CompiledMatcher],
    /// Samples are newer than this …
    pub after: TimestampMs,
    /// … and not newer than this.
    pub until: TimestampMs,
    /// The groups that are wanted; each series is one of its own where this is `None`.
    pub grouping: Option<&'a AggregationHint>,
    /// Whether values are looked at: to count series, that they have a sample is enough.
    pub with_values: bool,
}

/// The newest samples of many series.
#[derive(Debug, Default)]
pub struct NewestSet {
    /// The group of each series that has a sample.
    pub groups: SeriesGroups,
    /// Its sample; empty where no values were asked for.
    pub values: Vec<f64>,
    /// Samples that had to be decoded.
    pub samples_read: u64,
    /// The memory that the set takes, until it is dropped.
    pub held: Option<Reservation>,
}

/// One selected series. Holds what it needs to be read after `select` has returned.
pub trait SeriesReader: Debug + Send + Sync {
    /// All labels; may have to be put together, so ask once.
    fn labels(&self) -> Labels;

    /// One label's value without putting the whole set together.
    fn label(&self, name: &str) -> Option<Cow<'_, str>>;

    /// Appends the samples in `range` to `out`, which the caller has emptied.
    fn read(
        &self,
        ctx: &RequestContext,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), StorageError>;

    /// The encoded chunks that overlap `range`, in order of their first sample, for whoever ships them.
    fn chunks(&self, ctx: &RequestContext, range: TimeRange) -> Result<Vec<EncodedChunk>, StorageError>;
}

/// How a chunk is encoded (ids as in Prometheus' chunk files).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkEncoding {
    /// Gorilla XOR, id 1.
    Xor,
    /// Native integer histograms, id 2.
    Histogram,
    /// Native float histograms, id 3.
    FloatHistogram,
}

/// A chunk as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChunk {
    /// The first sample's time.
    pub min_time: TimestampMs,
    /// The last sample's time.
    pub max_time: TimestampMs,
    /// The encoding.
    pub encoding: ChunkEncoding,
    /// The bytes, without length, encoding byte and checksum.
    pub data: Arc<[u8]>,
}

/// Which labels to list.
#[derive(Clone, Debug)]
pub struct LabelQuery<'a> {
    /// Only of series that match one of these; all series where empty.
    pub selectors: &'a [Vec<CompiledMatcher>],
    /// Only of series with samples about then (whole blocks may be counted).
    pub range: TimeRange,
    /// The most to return; 0 for all.
    pub limit: usize,
}

/// Exemplars of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// Its exemplars in order of time.
    pub exemplars: Vec<Exemplar>,
}
