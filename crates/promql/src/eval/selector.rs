//! Instant selectors: the newest sample of each series at each step.

use std::sync::Arc;

use metric_storage_api::{SampleColumns, SelectHints, SelectRequest, SeriesReader, SeriesSet};
use model::{CounterResetHint, FloatHistogram, TimeRange, is_stale_nan};
use promql_syntax::{RangeExtension, Span};

use crate::QueryError;
use crate::eval::{Evaluator, Frame};
use crate::plan::SelectorPlan;
use crate::series::{ABSENT, Points, Series, SharedHistogram, Steps};

impl<'a> Evaluator<'a> {
    /// The series of a selector that may have samples in `range`.
    pub(crate) fn select(
        &self,
        selector: &SelectorPlan,
        range: TimeRange,
        steps: Steps,
    ) -> Result<SeriesSet, QueryError> {
        let hints = SelectHints {
            step_ms: if steps.is_range() { steps.step } else { 0 },
            window_ms: selector.range_ms,
            function: selector.function,
            grouping: selector.grouping.clone(),
            sorted: false,
            resolution_ms: 0,
            limit: 0,
            labels_only: false,
        };
        let request = SelectRequest { matchers: &selector.matchers, range, hints };
        let mut set = self.reader.select(self.ctx, &request)?;
        let warnings = std::mem::take(&mut set.warnings);
        if !warnings.is_empty() {
            self.note(|notes| warnings.into_iter().for_each(|text| notes.storage_warning(text)));
        }
        self.count_series(set.series.len());
        Ok(set)
    }

    /// The times that an instant selector needs samples from.
    pub(crate) fn lookback_range(&self, selector: &SelectorPlan, steps: Steps) -> TimeRange {
        let lookback = self.options.lookback_ms;
        let first = selector.data_time(steps.start).saturating_sub(lookback).saturating_add(1);
        let last = selector.data_time(steps.last());
        let after = if selector.extension == Some(RangeExtension::Smoothed) { lookback } else { 0 };
        TimeRange::new(first.saturating_sub(i64::from(after > 0)), last.saturating_add(after))
    }

    pub(crate) fn vector_selector(
        &'a self,
        selector: &SelectorPlan,
        span: Span,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        if let Some(set) = self.newest_samples(selector, None, true, steps)? {
            return self.newest_frame(set);
        }
        let leaf = self.instant_leaf(selector, span, steps)?;
        self.collect(&leaf, steps)
    }

    /// The newest sample within the lookback at each step. `values` is room for them, with none there yet.
    pub(crate) fn newest(
        &self,
        selector: &SelectorPlan,
        columns: &SampleColumns,
        steps: Steps,
        values: Vec<f64>,
    ) -> Points {
        let mut points = Points { values, histograms: Vec::new() };
        self.each_newest(selector, columns, steps, |idx, at| match columns.histograms.get(at) {
            Some(Some(histogram)) => points.set_histogram(idx, Arc::clone(histogram)),
            _ => points.values[idx] = columns.values[at],
        });
        points
    }

    /// The time of the newest sample within the lookback at each step.
    pub(crate) fn newest_times(
        &self,
        selector: &SelectorPlan,
        columns: &SampleColumns,
        steps: Steps,
    ) -> Vec<Option<i64>> {
        let mut times = vec![None; steps.count];
        self.each_newest(selector, columns, steps, |idx, at| times[idx] = Some(columns.timestamps[at]));
        times
    }

    /// Calls `visit` with each step that has a sample within the lookback, and that sample's index.
    fn each_newest(
        &self,
        selector: &SelectorPlan,
        columns: &SampleColumns,
        steps: Steps,
        mut visit: impl FnMut(usize, usize),
    ) {
        let times = &columns.timestamps;
        let mut next = 0;
        for idx in 0..steps.count {
            let time = selector.data_time(steps.time(idx));
            while next < times.len() && times[next] <= time {
                next += 1;
            }
            let Some(at) = next.checked_sub(1) else { continue };
            let is_old = times[at] <= time.saturating_sub(self.options.lookback_ms);
            if !is_old && !is_stale_nan(columns.values[at]) {
                visit(idx, at);
            }
        }
    }

    /// Reads a series of a selector.
    pub(crate) fn read(
        &self,
        selector: &SelectorPlan,
        reader: &dyn SeriesReader,
        range: TimeRange,
        columns: &mut SampleColumns,
    ) -> Result<(), QueryError> {
        columns.clear();
        reader.read(self.ctx, range, columns)?;
        self.count_read(columns.len());
        if selector.histogram_stats {
            keep_stats(columns);
        }
        Ok(())
    }

    /// For `timestamp` and `start_timestamp`: the time of the newest sample at each step, in seconds.
    pub(crate) fn selector_times(
        &'a self,
        selector: &SelectorPlan,
        steps: Steps,
        start_times: bool,
    ) -> Result<Frame<'a>, QueryError> {
        if steps.count == 0 {
            return self.frame(Vec::new());
        }
        let range = self.lookback_range(selector, steps);
        let found = self.select(selector, range, steps)?;
        let series = self.for_each(&found.series, |scratch, reader| {
            self.read(selector, &**reader, range, &mut scratch.columns)?;
            let columns = &scratch.columns;
            let mut values = vec![ABSENT; steps.count];
            self.each_newest(selector, columns, steps, |idx, at| {
                let time = if start_times {
                    columns.start_timestamps.get(at).copied().unwrap_or(0)
                } else {
                    columns.timestamps[at]
                };
                values[idx] = time as f64 / 1000.0;
            });
            let points = Points { values, histograms: Vec::new() };
            if points.is_empty() {
                return Ok(None);
            }
            self.count_used(points.sample_count(), steps, &|idx| u64::from(points.has(idx)));
            let mut series = Series { labels: reader.labels(), drop_name: false, points };
            self.drop_name(&mut series);
            Ok(Some(series))
        })?;
        let frame = self.frame(series.into_iter().flatten().collect())?;
        self.finished(frame)
    }
}

/// Reduces histograms to count and sum. Resets show in the buckets, so they are looked for before those go.
fn keep_stats(columns: &mut SampleColumns) {
    let mut before: Option<SharedHistogram> = None;
    for histogram in columns.histograms.iter_mut().flatten() {
        let full = Arc::clone(histogram);
        if is_stale_nan(full.sum) {
            continue;
        }
        let counter_reset_hint = match (full.counter_reset_hint, &before) {
            (CounterResetHint::Unknown, Some(before)) if full.detect_reset(before) => {
                CounterResetHint::CounterReset
            }
            (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotCounterReset,
            (hint, _) => hint,
        };
        let (schema, count, sum) = (full.schema, full.count, full.sum);
        *histogram =
            Arc::new(FloatHistogram { counter_reset_hint, schema, count, sum, ..FloatHistogram::default() });
        before = Some(full);
    }
}
