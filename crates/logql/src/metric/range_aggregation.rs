//! Aggregations over ranges of lines: one scan, counts or samples per series, a value per window.

use log_storage_api::{
    CountBuckets, Direction, FieldVerdict, LogScan, LogStorageError, ScanBatch, ScanSink, SinkFlow,
};
use logql_syntax::{Conversion, RangeAggregation, RangeOp, Unwrap};
use model::{Labels, LabelsBuilder, MatchOp, TimestampNs};
use vector_ops::Grouping;

use super::columns::{ColumnAnswer, ColumnPlan};
use super::range_functions::{Sample, Window, aggregate, seconds};
use super::windows::{StepCounts, StepFinder, Windows};
use super::{Evaluator, StepSeries};
use crate::line_labels::{ERROR_DETAILS_LABEL, ERROR_LABEL, LineLabels, error_kind};
use crate::pipeline::CompiledLabelFilter;
use crate::scan::{LineVisitor, ScanPlan};
use crate::series_table::SeriesTable;
use crate::{LogqlError, convert, engine};

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

/// What makes the label set of an entry's series.
struct SeriesKey<'a> {
    grouping: Option<&'a Grouping>,
    unwrapped: Option<&'a str>,
}

impl SeriesKey<'_> {
    fn keeps(&self, name: &str) -> bool {
        if self.unwrapped == Some(name) {
            return false;
        }
        let Some(grouping) = self.grouping else { return true };
        let is_named = grouping.names().binary_search_by(|found| found.as_str().cmp(name)).is_ok();
        is_named != grouping.is_without()
    }
}

/// How a query turns entries into series.
struct Collection<'a> {
    windows: Windows,
    key: SeriesKey<'a>,
    unwrap: Option<&'a CompiledUnwrap>,
    counts_bytes: bool,
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
    /// The series of an aggregation. `grouping` is that of a `sum` around it, which is done here already.
    pub(super) fn range_aggregation(
        &mut self,
        aggregation: &RangeAggregation,
        grouping: Option<&Grouping>,
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
        let grouping = if is_absent { Some(&nothing) } else { own_grouping.as_ref().or(grouping) };
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
        Ok(if is_absent { vec![self.absence(aggregation, &series)] } else { series })
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
            table: SeriesTable::default(),
            counts: Vec::new(),
            steps: self.steps.count,
            memory: self.ctx.memory.reserve(0)?,
        };
        if let Some(buckets) = self.store_can_count(plan, collection)? {
            self.count_in_store(plan, collection, buckets, &mut counter)?;
        } else {
            self.count_lines(plan, collection, &mut counter, columns)?;
        }
        self.charge_series(counter.counts.len())?;
        let series = counter.counts.iter().enumerate();
        Ok(series
            .map(|(idx, counts)| StepSeries {
                labels: counter.table.labels(idx).clone(),
                values: counts.values(scale),
            })
            .collect())
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

    fn count_in_store(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'_>,
        buckets: CountBuckets,
        counter: &mut Counter,
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

    fn count_lines(
        &mut self,
        plan: &ScanPlan,
        collection: &Collection<'_>,
        counter: &mut Counter,
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
            table: SeriesTable::default(),
            samples: Vec::new(),
            memory: self.ctx.memory.reserve(0)?,
        };
        plan.run(self.ctx, self.reader, &scan, &mut self.stats, &mut visitor)?;
        let SampleVisitor { table, samples, memory: _memory, .. } = visitor;
        self.charge_series(samples.len())?;
        let mut series = Vec::with_capacity(samples.len());
        for (idx, mut samples) in samples.into_iter().enumerate() {
            self.ctx.check()?;
            samples.sort_by_key(|sample| sample.timestamp);
            let values = slide(aggregation, &samples, collection.windows);
            series.push(StepSeries { labels: table.labels(idx).clone(), values });
        }
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
        let is_found = |step: usize| found.iter().any(|series| series.values[step].is_some());
        let values = (0..self.steps.count).map(|step| (!is_found(step)).then_some(1.0)).collect();
        StepSeries { labels: labels.build(), values }
    }
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

/// The value of each window, with both its ends moving forward over the samples.
fn slide(aggregation: &RangeAggregation, samples: &[Sample], windows: Windows) -> Vec<Option<f64>> {
    let parameter = aggregation.parameter.unwrap_or(f64::NAN);
    let (mut low, mut high) = (0, 0);
    let mut scratch = Vec::new();
    (0..windows.steps.count)
        .map(|step| {
            let end: TimestampNs = windows.steps.at(step).saturating_sub(windows.offset);
            let start = end.saturating_sub(windows.range);
            while high < samples.len() && samples[high].timestamp <= end {
                high += 1;
            }
            while low < high && samples[low].timestamp <= start {
                low += 1;
            }
            let window = Window { end, range: windows.range };
            (low < high)
                .then(|| aggregate(aggregation.op, parameter, &samples[low..high], window, &mut scratch))
        })
        .collect()
}

/// The number of the entry's series. An entry with an error fails the query.
fn number_series(
    table: &mut SeriesTable,
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
    Ok(table.number(&pairs))
}

/// Counts entries that a scan finds.
struct CountVisitor<'a> {
    counter: &'a mut Counter,
    collection: &'a Collection<'a>,
    columns: Option<ColumnPlan>,
    steps: StepFinder,
}

impl LineVisitor for CountVisitor<'_> {
    fn line(
        &mut self,
        timestamp: TimestampNs,
        line: &str,
        labels: &mut LineLabels,
    ) -> Result<SinkFlow, LogqlError> {
        let amount = if self.collection.counts_bytes { line.len() as f64 } else { 1.0 };
        let idx = self.counter.series_of(labels, &self.collection.key)?;
        self.counter.counts[idx].add(self.steps.steps_of(timestamp), 1, amount);
        Ok(SinkFlow::Continue)
    }

    fn columns(&mut self, batch: &ScanBatch<'_>) -> Result<Option<(u64, Vec<u32>)>, LogqlError> {
        let Some(answer) = self.columns.as_ref().and_then(|columns| columns.answer(batch)) else {
            return Ok(None);
        };
        let mut series = Vec::with_capacity(answer.keys.len());
        for pairs in &answer.keys {
            let (idx, is_new) = self.counter.table.number(pairs);
            if is_new {
                self.counter.add_series(idx)?;
            }
            series.push(idx);
        }
        for row in &answer.rows {
            let steps = self.steps.steps_of(batch.timestamps[row.entry as usize]);
            self.counter.counts[series[row.key as usize]].add(steps, 1, 1.0);
        }
        Ok(Some((answer.rows.len() as u64, answer.left)))
    }
}

/// Takes samples from entries that a scan finds.
struct SampleVisitor<'a> {
    unwrap: &'a CompiledUnwrap,
    key: &'a SeriesKey<'a>,
    columns: Option<ColumnPlan>,
    table: SeriesTable,
    samples: Vec<Vec<Sample>>,
    memory: resources::Reservation,
}

impl SampleVisitor<'_> {
    fn add_series(&mut self, idx: usize) -> Result<(), LogqlError> {
        self.memory.grow(self.table.labels(idx).heap_bytes() as u64 + 128)?;
        self.samples.push(Vec::new());
        Ok(())
    }

    fn take(
        &mut self,
        batch: &ScanBatch<'_>,
        answer: ColumnAnswer<'_>,
    ) -> Result<(u64, Vec<u32>), LogqlError> {
        let mut series = Vec::with_capacity(answer.keys.len());
        for pairs in &answer.keys {
            let (idx, is_new) = self.table.number(pairs);
            if is_new {
                self.add_series(idx)?;
            }
            series.push(idx);
        }
        for row in &answer.rows {
            let timestamp = batch.timestamps[row.entry as usize];
            self.push(series[row.key as usize], Sample { timestamp, value: row.value })?;
        }
        Ok((answer.rows.len() as u64, answer.left))
    }

    fn push(&mut self, series: usize, sample: Sample) -> Result<(), LogqlError> {
        let series = &mut self.samples[series];
        if series.len() == series.capacity() {
            // Growth doubles what is held.
            self.memory.grow((series.capacity().max(4) * size_of::<Sample>()) as u64)?;
        }
        series.push(sample);
        Ok(())
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
        let (idx, is_new) = number_series(&mut self.table, labels, self.key)?;
        if is_new {
            self.add_series(idx)?;
        }
        self.push(idx, Sample { timestamp, value })?;
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
struct Counter {
    table: SeriesTable,
    counts: Vec<StepCounts>,
    steps: usize,
    memory: resources::Reservation,
}

impl Counter {
    fn series_of(&mut self, labels: &LineLabels, key: &SeriesKey<'_>) -> Result<usize, LogqlError> {
        let (idx, is_new) = number_series(&mut self.table, labels, key)?;
        if is_new {
            self.add_series(idx)?;
        }
        Ok(idx)
    }

    fn add_series(&mut self, idx: usize) -> Result<(), LogqlError> {
        debug_assert_eq!(idx + 1, self.table.len(), "series are numbered in order");
        self.memory.grow((self.steps * 16 + self.table.labels(idx).heap_bytes() + 128) as u64)?;
        self.counts.push(StepCounts::new(self.steps));
        Ok(())
    }
}

/// Takes counts from the store.
struct CountSink<'a> {
    collection: &'a Collection<'a>,
    buckets: CountBuckets,
    counter: &'a mut Counter,
    error: Option<LogqlError>,
    counted: u64,
}

impl ScanSink for CountSink<'_> {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        let labels = &batch.stream.labels;
        let pairs: Vec<_> = labels.iter().filter(|(name, _)| self.collection.key.keeps(name)).collect();
        let (idx, is_new) = self.counter.table.number(&pairs);
        if is_new && let Err(error) = self.counter.add_series(idx) {
            self.error = Some(error);
            return Ok(SinkFlow::Stop);
        }
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
            self.counter.counts[idx].add(steps, *count as i64, amount);
        }
        Ok(SinkFlow::Continue)
    }
}
