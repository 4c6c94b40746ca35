//! Aggregations over ranges of lines: one scan, counts or samples per series, a value per window.

use log_storage_api::{
    CountBuckets, Direction, FieldVerdict, LogScan, LogStorageError, ScanBatch, ScanSink, SinkFlow,
};
use logql_syntax::{Conversion, RangeAggregation, RangeOp, Unwrap, VectorOp};
use model::{Labels, LabelsBuilder, MatchOp, TimestampNs};
use vector_ops::Grouping;

use super::columns::{ColumnAnswer, ColumnPlan};
use super::fold::GroupFold;
use super::range_functions::{Sample, seconds};
use super::samples::{Samples, slide};
use super::series_set::{SeriesKey, SeriesSet};
use super::step_values::StepValues;
use super::windows::{StepCounts, StepFinder, Windows};
use super::{Evaluator, StepSeries};
use crate::line_labels::{ERROR_DETAILS_LABEL, ERROR_LABEL, LineLabels, error_kind};
use crate::pipeline::CompiledLabelFilter;
use crate::scan::{LineVisitor, ScanPlan};
use crate::{LogqlError, convert, engine};

/// How often making series checks whether the request has ended, in series.
const SERIES_CHECK_EVERY: usize = 256;

/// Checks what parsing leaves open.
pub(super) fn check(aggregation: &RangeAggregation) -> Result<(), LogqlError> {
    engine::check_log(&aggregation.range.log)?;
    aggregation.range.unwrap.as_ref().map(CompiledUnwrap::new).transpose().map(drop)
}

/// `| unwrap`, compiled.
struct CompiledUnwrap {
    label: String,
    conversion: Conversion,
    filters: Vec<CompiledLabelFilter>,
}

impl CompiledUnwrap {
    fn new(unwrap: &Unwrap) -> Result<Self, LogqlError> {
        let filters = unwrap.filters.iter().map(CompiledLabelFilter::new).collect::<Result<_, _>>()?;
        Ok(Self { label: unwrap.label.clone(), conversion: unwrap.conversion, filters })
    }

    /// The line's value; `None` where it has none or a filter drops it. One that cannot be converted is 0, with an error.
    fn value(&self, labels: &mut LineLabels) -> Option<f64> {
        let text = labels.get(&self.label).filter(|text| !text.is_empty())?;
        let value = converted(self.conversion, text).unwrap_or_else(|reason| {
            labels.set_error(error_kind::SAMPLE, &reason);
            0.0
        });
        self.filters.iter().all(|filter| filter.matches(labels)).then_some(value)
    }
}

/// The number that a text stands for.
pub(super) fn converted(conversion: Conversion, text: &str) -> Result<f64, String> {
    match conversion {
        Conversion::Number => convert::number(text),
        Conversion::Bytes => convert::bytes(text).map(|bytes| bytes as f64),
        Conversion::Duration | Conversion::DurationSeconds => convert::duration_ns(text).map(seconds),
    }
}

/// What is wanted of an aggregation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// Its series.
    Series,
    /// The sums of its series by these labels; for an aggregation that adds up.
    Sum(&'a Grouping),
    /// What another aggregation makes of its series; for one that folds.
    Folded(VectorOp, &'a Grouping),
}

impl<'a> Wanted<'a> {
    fn series_set(self) -> SeriesSet<'a> {
        match self {
            Self::Folded(op, grouping) => {
                GroupFold::new(op).map_or_else(SeriesSet::kept, |fold| SeriesSet::folded(fold, grouping))
            }
            Self::Series | Self::Sum(_) => SeriesSet::kept(),
        }
    }
}

/// How a query turns entries into series.
struct Collection<'a> {
    windows: Windows,
    key: SeriesKey<'a>,
    unwrap: Option<&'a CompiledUnwrap>,
    counts_bytes: bool,
    wanted: Wanted<'a>,
}

impl Collection<'_> {
    /// What of the entries can be taken from columns: all that their series and values are made of has to be there.
    fn columns(&self, plan: &mut ScanPlan) -> Option<ColumnPlan> {
        let grouping = self.key.grouping.filter(|grouping| !grouping.is_without())?;
        if self.counts_bytes {
            return None;
        }
        let fields = plan.fields.take().filter(|fields| fields.is_all)?;
        let unwrap = match self.unwrap {
            None => None,
            Some(unwrap) if unwrap.filters.iter().all(passes_without_error) => {
                Some((unwrap.label.as_str(), unwrap.conversion))
            }
            Some(_) => return None,
        };
        ColumnPlan::new(fields, grouping, unwrap)
    }
}

fn passes_without_error(filter: &CompiledLabelFilter) -> bool {
    matches!(filter.name(), Some(ERROR_LABEL | ERROR_DETAILS_LABEL))
        && filter.verdict(None) == FieldVerdict::Passes
}

/// Whether the aggregation adds up: the sum of its series is the aggregation of all their entries.
pub(super) fn adds_up(aggregation: &RangeAggregation) -> bool {
    aggregation.grouping.is_none()
        && matches!(
            aggregation.op,
            RangeOp::CountOverTime
                | RangeOp::Rate
                | RangeOp::BytesOverTime
                | RangeOp::BytesRate
                | RangeOp::SumOverTime
        )
}

impl Evaluator<'_> {
    /// The series of an aggregation, or what an aggregation around it makes of them.
    pub(super) fn range_aggregation(
        &mut self,
        aggregation: &RangeAggregation,
        wanted: Wanted<'_>,
    ) -> Result<Vec<StepSeries>, LogqlError> {
        let range = &aggregation.range;
        let windows = Windows { steps: self.steps, range: range.range, offset: range.offset };
        if self.steps.count == 0 {
            return Ok(Vec::new());
        }
        let own_grouping =
            aggregation.grouping.as_ref().map(|grouping| super::vector_aggregation::plan(Some(grouping)));
        let is_absent = aggregation.op == RangeOp::AbsentOverTime;
        let nothing = Grouping::by(&[]);
        let sum = if let Wanted::Sum(grouping) = wanted { Some(grouping) } else { None };
        let grouping = if is_absent { Some(&nothing) } else { own_grouping.as_ref().or(sum) };
        let unwrap = range.unwrap.as_ref().map(CompiledUnwrap::new).transpose()?;
        let mut plan = ScanPlan::new(self.ctx, &range.log, windows.end())?;
        let ignores_labels =
            grouping.is_some_and(|grouping| !grouping.is_without() && grouping.names().is_empty());
        if ignores_labels && !plan.uses_labels && unwrap.is_none() {
            plan.pipeline = plan.pipeline.without_parsers();
            self.ctx.check()?;
        }
        let collection = Collection {
            windows,
            key: SeriesKey { grouping, unwrapped: unwrap.as_ref().map(|unwrap| unwrap.label.as_str()) },
            unwrap: unwrap.as_ref(),
            counts_bytes: matches!(aggregation.op, RangeOp::BytesOverTime | RangeOp::BytesRate),
            wanted: if is_absent { Wanted::Series } else { wanted },
        };
        let scale = match aggregation.op {
            RangeOp::Rate | RangeOp::BytesRate => seconds(range.range),
            _ => 1.0,
        };
        let columns = collection.columns(&mut plan);
        let series = if collection.unwrap.is_none() {
            self.count_entries(&plan, &collection, scale, columns)?
        } else {
            self.aggregate_samples(&plan, &collection, aggregation, columns)?
        };
        if !is_absent {
            return Ok(series);
        }
        let absence = vec![self.absence(aggregation, &series)];
        match wanted {
            Wanted::Series | Wanted::Sum(_) => Ok(absence),
            Wanted::Folded(op, grouping) => Ok(folded(absence, op, grouping)),
        }
    }

    /// Counts of entries or bytes, by the store alone where it can.
    fn count_entries(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'_>,
        scale: f64,
        columns: Option<ColumnPlan>,
    ) -> Result<Vec<StepSeries>, LogqlError> {
        let mut counter = Counter {
            set: collection.wanted.series_set(),
            counts: Vec::new(),
            steps: self.steps.count,
            memory: self.ctx.memory.reserve(0)?,
        };
        if let Some(buckets) = self.store_can_count(plan, collection)? {
            self.count_in_store(plan, collection, buckets, &mut counter)?;
        } else {
            self.count_lines(plan, collection, &mut counter, columns)?;
        }
        let Counter { mut set, counts, mut memory, .. } = counter;
        let mut series = Vec::new();
        for (idx, counts) in counts.into_iter().enumerate() {
            let before = set.folded_bytes();
            set.take(idx, counts.values(scale), &mut series);
            memory.grow((set.folded_bytes() - before) as u64)?;
        }
        let series = set.finish(series);
        self.charge_series(&series)?;
        Ok(series)
    }

    /// The buckets to ask the store for: nothing may be left to do here, and labels may not come from structured metadata.
    fn store_can_count(
        &self,
        plan: &ScanPlan,
        collection: &Collection<'_>,
    ) -> Result<Option<CountBuckets>, LogqlError> {
        let Some(grouping) = collection.key.grouping else { return Ok(None) };
        if !plan.pipeline.is_empty() || grouping.is_without() {
            return Ok(None);
        }
        let Some((width, buckets)) = collection.windows.bucket_width() else { return Ok(None) };
        if !grouping.names().is_empty() {
            let (start, end) = (collection.windows.first(), collection.windows.end());
            let selectors = std::slice::from_ref(&plan.matchers);
            let streams = self.reader.streams(self.ctx, selectors, start, end)?;
            let has_all = |labels: &Labels| grouping.names().iter().all(|name| labels.get(name).is_some());
            if !streams.iter().all(|stats| has_all(&stats.stream.labels)) {
                return Ok(None);
            }
        }
        let start = collection.windows.first();
        Ok(Some(CountBuckets { start, width, buckets, bytes: collection.counts_bytes }))
    }

    fn count_in_store<'a>(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'a>,
        buckets: CountBuckets,
        counter: &mut Counter<'a>,
    ) -> Result<(), LogqlError> {
        let scan = LogScan {
            wants_lines: false,
            wants_metadata: false,
            count: Some(buckets),
            ..scan_of(plan, collection.windows)
        };
        let mut sink = CountSink { collection, buckets, counter, error: None, counted: 0 };
        let outcome = self.reader.scan(self.ctx, &scan, &mut sink);
        self.stats.lines_matched += sink.counted;
        if let Some(error) = sink.error {
            return Err(error);
        }
        self.stats.add_scan(outcome?);
        Ok(())
    }

    fn count_lines<'a>(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'a>,
        counter: &mut Counter<'a>,
        columns: Option<ColumnPlan>,
    ) -> Result<(), LogqlError> {
        let ignores_metadata = collection
            .key
            .grouping
            .is_some_and(|grouping| !grouping.is_without() && grouping.names().is_empty());
        let scan = LogScan {
            wants_lines: collection.counts_bytes || plan.pipeline.reads_line(),
            wants_metadata: !ignores_metadata || !plan.pipeline.is_empty(),
            ..scan_of(plan, collection.windows)
        };
        let scan = with_columns(scan, columns.as_ref());
        let steps = StepFinder::new(collection.windows);
        let mut visitor = CountVisitor { counter, collection, columns, steps };
        plan.run(self.ctx, self.reader, &scan, &mut self.stats, &mut visitor)
    }

    /// Values of windows over unwrapped samples.
    fn aggregate_samples(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'_>,
        aggregation: &RangeAggregation,
        columns: Option<ColumnPlan>,
    ) -> Result<Vec<StepSeries>, LogqlError> {
        let Some(unwrap) = collection.unwrap else { return Ok(Vec::new()) };
        let scan = LogScan {
            wants_lines: plan.pipeline.reads_line(),
            wants_metadata: true,
            ..scan_of(plan, collection.windows)
        };
        let scan = with_columns(scan, columns.as_ref());
        let mut visitor = SampleVisitor {
            unwrap,
            key: &collection.key,
            columns,
            set: collection.wanted.series_set(),
            samples: Samples::new(self.ctx.memory.reserve(0)?),
        };
        plan.run(self.ctx, self.reader, &scan, &mut self.stats, &mut visitor)?;
        let SampleVisitor { mut set, samples, .. } = visitor;
        let samples = samples.by_series(set.len());
        // Kept series are sorted by labels where their order matters.
        let order: Vec<u32> =
            if set.is_folded() { samples.by_time() } else { (0..set.len() as u32).collect() };
        let mut series = Vec::new();
        let mut scratch = Vec::new();
        let mut memory = self.ctx.memory.reserve(0)?;
        for (count, idx) in order.into_iter().enumerate() {
            if count % SERIES_CHECK_EVERY == 0 {
                self.ctx.check()?;
            }
            let before = set.folded_bytes();
            let own = samples.of(idx as usize);
            set.take(idx as usize, slide(aggregation, own, collection.windows, &mut scratch), &mut series);
            let kept = series
                .last()
                .filter(|_| !set.is_folded())
                .map_or(0, |one: &StepSeries| one.values.heap_bytes());
            memory.grow((set.folded_bytes() - before + kept) as u64)?;
        }
        drop((samples, memory));
        let series = set.finish(series);
        self.charge_series(&series)?;
        Ok(series)
    }

    /// 1 at every step where nothing was found, under the labels that the selector asks for by equality.
    fn absence(&self, aggregation: &RangeAggregation, found: &[StepSeries]) -> StepSeries {
        let mut labels = LabelsBuilder::new();
        let matchers = &aggregation.range.log.matchers;
        for matcher in matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal) {
            let is_unique = matchers.iter().filter(|other| other.name == matcher.name).count() == 1;
            if is_unique {
                labels.set(&matcher.name, &matcher.value);
            }
        }
        let is_found = |step: usize| found.iter().any(|series| series.values.get(step).is_some());
        let mut values = StepValues::filled(1.0, self.steps.count);
        values.update(|step, one| (!is_found(step)).then_some(one));
        StepSeries { labels: labels.build(), values }
    }
}

/// What an aggregation makes of series.
fn folded(series: Vec<StepSeries>, op: VectorOp, grouping: &Grouping) -> Vec<StepSeries> {
    let Some(mut fold) = GroupFold::new(op) else { return series };
    fold.take(&series, grouping);
    fold.finish()
}

fn scan_of(plan: &ScanPlan, windows: Windows) -> LogScan {
    LogScan {
        matchers: plan.matchers.clone(),
        start: windows.first(),
        end: windows.end(),
        direction: Direction::Forward,
        limit: None,
        line_filters: plan.line_filters.clone(),
        metadata_filters: Vec::new(),
        wants_lines: true,
        wants_metadata: true,
        fields: None,
        wants_fields: false,
        count: None,
    }
}

fn with_columns(scan: LogScan, columns: Option<&ColumnPlan>) -> LogScan {
    let fields = columns.map(ColumnPlan::finder);
    LogScan { wants_fields: fields.is_some(), fields, ..scan }
}

/// The number of the entry's series. An entry with an error fails the query.
fn number_series(
    set: &mut SeriesSet<'_>,
    labels: &LineLabels,
    key: &SeriesKey<'_>,
) -> Result<(usize, bool), LogqlError> {
    let mut pairs = Vec::new();
    labels.merged(&mut pairs);
    if !labels.error().is_empty() {
        let shown = pairs.iter().filter(|(name, _)| *name != ERROR_LABEL && *name != ERROR_DETAILS_LABEL);
        let series = Labels::from_pairs(shown.copied()).to_string();
        return Err(LogqlError::Pipeline { kind: labels.error(), series });
    }
    pairs.retain(|(name, _)| key.keeps(name));
    Ok(set.number(&pairs))
}

/// Counts entries that a scan finds.
struct CountVisitor<'c, 'a> {
    counter: &'c mut Counter<'a>,
    collection: &'c Collection<'a>,
    columns: Option<ColumnPlan>,
    steps: StepFinder,
}

impl LineVisitor for CountVisitor<'_, '_> {
    fn line(
        &mut self,
        timestamp: TimestampNs,
        line: &str,
        labels: &mut LineLabels,
    ) -> Result<SinkFlow, LogqlError> {
        let amount = if self.collection.counts_bytes { line.len() as f64 } else { 1.0 };
        let idx = self.counter.series_of(labels, &self.collection.key)?;
        self.counter.add(idx, self.steps.steps_of(timestamp), 1, amount)?;
        Ok(SinkFlow::Continue)
    }

    fn columns(&mut self, batch: &ScanBatch<'_>) -> Result<Option<(u64, Vec<u32>)>, LogqlError> {
        let Some(answer) = self.columns.as_ref().and_then(|columns| columns.answer(batch)) else {
            return Ok(None);
        };
        let mut series = Vec::with_capacity(answer.keys.len());
        for pairs in &answer.keys {
            series.push(self.counter.number(pairs)?);
        }
        for row in &answer.rows {
            let steps = self.steps.steps_of(batch.timestamps[row.entry as usize]);
            self.counter.add(series[row.key as usize], steps, 1, 1.0)?;
        }
        Ok(Some((answer.rows.len() as u64, answer.left)))
    }
}

/// Takes samples from entries that a scan finds.
struct SampleVisitor<'a> {
    unwrap: &'a CompiledUnwrap,
    key: &'a SeriesKey<'a>,
    columns: Option<ColumnPlan>,
    set: SeriesSet<'a>,
    samples: Samples,
}

impl SampleVisitor<'_> {
    fn take(
        &mut self,
        batch: &ScanBatch<'_>,
        answer: ColumnAnswer<'_>,
    ) -> Result<(u64, Vec<u32>), LogqlError> {
        let mut series = Vec::with_capacity(answer.keys.len());
        for pairs in &answer.keys {
            let (idx, is_new) = self.set.number(pairs);
            if is_new {
                self.samples.charge(self.set.heap_bytes_of(idx))?;
            }
            series.push(idx);
        }
        for row in &answer.rows {
            let timestamp = batch.timestamps[row.entry as usize];
            self.samples.push(series[row.key as usize], Sample { timestamp, value: row.value })?;
        }
        Ok((answer.rows.len() as u64, answer.left))
    }
}

impl LineVisitor for SampleVisitor<'_> {
    fn line(
        &mut self,
        timestamp: TimestampNs,
        _line: &str,
        labels: &mut LineLabels,
    ) -> Result<SinkFlow, LogqlError> {
        let Some(value) = self.unwrap.value(labels) else { return Ok(SinkFlow::Continue) };
        let (idx, is_new) = number_series(&mut self.set, labels, self.key)?;
        if is_new {
            self.samples.charge(self.set.heap_bytes_of(idx))?;
        }
        self.samples.push(idx, Sample { timestamp, value })?;
        Ok(SinkFlow::Continue)
    }

    fn columns(&mut self, batch: &ScanBatch<'_>) -> Result<Option<(u64, Vec<u32>)>, LogqlError> {
        // Taken out while it is used, as samples are added meanwhile.
        let Some(columns) = self.columns.take() else { return Ok(None) };
        let taken = columns.answer(batch).map(|answer| self.take(batch, answer)).transpose();
        self.columns = Some(columns);
        taken
    }
}

/// Counts by series.
struct Counter<'a> {
    set: SeriesSet<'a>,
    counts: Vec<StepCounts>,
    steps: usize,
    memory: resources::Reservation,
}

impl Counter<'_> {
    fn series_of(&mut self, labels: &LineLabels, key: &SeriesKey<'_>) -> Result<usize, LogqlError> {
        let (idx, is_new) = number_series(&mut self.set, labels, key)?;
        if is_new {
            self.add_series(idx)?;
        }
        Ok(idx)
    }

    fn number(&mut self, pairs: &[(&str, &str)]) -> Result<usize, LogqlError> {
        let (idx, is_new) = self.set.number(pairs);
        if is_new {
            self.add_series(idx)?;
        }
        Ok(idx)
    }

    fn add_series(&mut self, idx: usize) -> Result<(), LogqlError> {
        debug_assert_eq!(idx + 1, self.set.len(), "series are numbered in order");
        self.memory.grow((size_of::<StepCounts>() + self.set.heap_bytes_of(idx)) as u64)?;
        self.counts.push(StepCounts::new());
        Ok(())
    }

    fn add(
        &mut self,
        idx: usize,
        range: (usize, usize),
        entries: i64,
        amount: f64,
    ) -> Result<(), LogqlError> {
        let taken = self.counts[idx].add(self.steps, range, entries, amount);
        if taken > 0 {
            self.memory.grow(taken as u64)?;
        }
        Ok(())
    }
}

/// Takes counts from the store.
struct CountSink<'c, 'a> {
    collection: &'c Collection<'a>,
    buckets: CountBuckets,
    counter: &'c mut Counter<'a>,
    error: Option<LogqlError>,
    counted: u64,
}

impl CountSink<'_, '_> {
    fn take(&mut self, batch: &ScanBatch<'_>) -> Result<(), LogqlError> {
        let labels = &batch.stream.labels;
        let pairs: Vec<_> = labels.iter().filter(|(name, _)| self.collection.key.keeps(name)).collect();
        let idx = self.counter.number(&pairs)?;
        for (bucket, count) in batch.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // All of a bucket lies in the same windows, so that its last nanosecond stands for it.
            let last = self.buckets.start + self.buckets.width * (bucket as i64 + 1) - 1;
            let amount = if self.buckets.bytes {
                batch.bytes.get(bucket).copied().unwrap_or(0) as f64
            } else {
                *count as f64
            };
            self.counted += count;
            let steps = self.collection.windows.steps_of(last);
            self.counter.add(idx, steps, *count as i64, amount)?;
        }
        Ok(())
    }
}

impl ScanSink for CountSink<'_, '_> {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        match self.take(batch) {
            Ok(()) => Ok(SinkFlow::Continue),
            Err(error) => {
                self.error = Some(error);
                Ok(SinkFlow::Stop)
            }
        }
    }
}
