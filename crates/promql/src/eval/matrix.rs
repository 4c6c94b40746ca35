//! Range vectors: windows over the samples of each series, at each step.

use std::borrow::Cow;
use std::sync::Arc;

use metric_storage_api::{SampleColumns, SeriesGroups, SeriesReader, SeriesSet};
use model::{CounterResetHint, Labels, METRIC_NAME_LABEL, TimeRange, is_stale_nan};
use promql_syntax::{RangeExtension, Span};

use crate::QueryError;
use crate::budget::Held;
use crate::eval::leaf::{Leaf, RangeLeaf};
use crate::eval::{Evaluator, Frame, Scratch, frame};
use crate::functions::{self, Kernel, RangeCall, RangeOutcome, Sliding, Window, extend_window};
use crate::plan::{CallPlan, Plan, PlanKind, SelectorPlan, SubqueryPlan};
use crate::series::{ABSENT, Point, Points, Series, SharedHistogram, Steps};
use crate::value::MatrixSeries;

/// Samples of one series, floats and histograms apart, without staleness markers.
#[derive(Debug, Default)]
pub(crate) struct RangeSamples {
    pub(crate) float_times: Vec<i64>,
    pub(crate) floats: Vec<f64>,
    /// Empty where no start timestamps are known.
    pub(crate) float_starts: Vec<i64>,
    pub(crate) histogram_times: Vec<i64>,
    pub(crate) histograms: Vec<SharedHistogram>,
    /// Empty where no start timestamps are known.
    pub(crate) histogram_starts: Vec<i64>,
}

impl RangeSamples {
    fn clear(&mut self) {
        self.float_times.clear();
        self.floats.clear();
        self.float_starts.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
    }

    /// Takes what a store has read; the columns are left with other contents.
    fn fill(&mut self, columns: &mut SampleColumns, with_starts: bool) {
        self.clear();
        let with_starts = with_starts && !columns.start_timestamps.is_empty();
        if columns.histograms.is_empty() && !columns.values.iter().any(|value| is_stale_nan(*value)) {
            std::mem::swap(&mut self.float_times, &mut columns.timestamps);
            std::mem::swap(&mut self.floats, &mut columns.values);
            if with_starts {
                self.float_starts.extend_from_slice(&columns.start_timestamps);
            }
            return;
        }
        for (idx, time) in columns.timestamps.iter().enumerate() {
            if is_stale_nan(columns.values[idx]) {
                continue;
            }
            let start = if with_starts { columns.start_timestamps.get(idx).copied() } else { None };
            match columns.histograms.get(idx) {
                Some(Some(histogram)) => {
                    self.histogram_times.push(*time);
                    self.histograms.push(Arc::clone(histogram));
                    self.histogram_starts.extend(start);
                }
                _ => {
                    self.float_times.push(*time);
                    self.floats.push(columns.values[idx]);
                    self.float_starts.extend(start);
                }
            }
        }
    }

    /// Takes the points of an inner evaluation.
    fn fill_from_points(&mut self, points: &Points, steps: Steps) {
        self.clear();
        for idx in 0..points.values.len() {
            match points.get(idx) {
                Point::Absent => {}
                Point::Float(value) => {
                    self.float_times.push(steps.time(idx));
                    self.floats.push(value);
                }
                Point::Histogram(histogram) => {
                    self.histogram_times.push(steps.time(idx));
                    self.histograms.push(without_reset_hint(histogram));
                }
            }
        }
    }

    /// The window that ends at `end` and starts after `start`, found by moving the bounds of the previous one.
    fn window(&self, bounds: &mut Bounds, start: i64, end: i64) -> Window<'_> {
        advance(&self.float_times, &mut bounds.floats, start, end);
        advance(&self.histogram_times, &mut bounds.histograms, start, end);
        let (float_low, float_high) = bounds.floats;
        let (histogram_low, histogram_high) = bounds.histograms;
        Window {
            float_times: &self.float_times[float_low..float_high],
            floats: &self.floats[float_low..float_high],
            float_starts: self.float_starts.get(float_low..float_high).unwrap_or(&[]),
            histogram_times: &self.histogram_times[histogram_low..histogram_high],
            histograms: &self.histograms[histogram_low..histogram_high],
            histogram_starts: self.histogram_starts.get(histogram_low..histogram_high).unwrap_or(&[]),
            start,
            end,
            time: end,
        }
    }
}

/// A subquery does not see all samples, so what it sees says nothing about resets between them.
fn without_reset_hint(histogram: &SharedHistogram) -> SharedHistogram {
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(histogram),
        CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => {
            let mut copy = (**histogram).clone();
            copy.counter_reset_hint = CounterResetHint::Unknown;
            Arc::new(copy)
        }
    }
}

/// First and one past the last index of a window, for floats and for histograms.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    floats: (usize, usize),
    histograms: (usize, usize),
}

fn advance(times: &[i64], (low, high): &mut (usize, usize), start: i64, end: i64) {
    while *high < times.len() && times[*high] <= end {
        *high += 1;
    }
    while *low < *high && times[*low] <= start {
        *low += 1;
    }
}

/// How many samples may be looked at between two checks of the context.
const UNCHECKED_SAMPLES_MAX: u64 = 1 << 17;

/// Where the samples of a series come from.
#[derive(Debug)]
pub(crate) enum Source {
    Stored(Arc<dyn SeriesReader>),
    Computed(Series),
}

impl Source {
    pub(crate) fn labels(&self) -> Labels {
        match self {
            Self::Stored(reader) => reader.labels(),
            Self::Computed(series) => series.labels.clone(),
        }
    }

    pub(crate) fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Stored(reader) => reader.label(name),
            Self::Computed(series) => series.labels.get(name).map(Cow::Borrowed),
        }
    }
}

/// A range vector, ready to be read.
#[derive(Debug)]
pub(crate) struct Matrix<'a> {
    /// `None` for a subquery.
    selector: Option<SelectorPlan>,
    pub(crate) sources: Vec<Source>,
    /// The data that is needed.
    range: TimeRange,
    /// The steps of the inner evaluation of a subquery.
    inner: Steps,
    /// Groups of the sources, where the store has numbered them.
    pub(crate) groups: Option<SeriesGroups>,
    /// The name that all sources have.
    pub(crate) metric: Option<String>,
    /// Keeps the results of a subquery in the budget.
    _held: Option<Held<'a>>,
}

impl Matrix<'_> {
    /// The metric's name of a source, empty where it has none.
    fn metric(&self, source: &Source) -> String {
        match &self.metric {
            Some(name) => name.clone(),
            None => source.label(METRIC_NAME_LABEL).unwrap_or_default().into_owned(),
        }
    }
}

/// Times of the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    range_ms: i64,
    offset_ms: i64,
    at: Option<i64>,
    /// How much more than the window is read before and after it.
    before_ms: i64,
    after_ms: i64,
}

impl Windows {
    /// Where the window that ends at `end` starts; not part of it.
    pub(crate) fn start(self, end: i64) -> i64 {
        end.saturating_sub(self.range_ms)
    }

    /// From where on samples are looked at.
    fn low(self, end: i64) -> i64 {
        self.start(end).saturating_sub(self.before_ms)
    }

    /// Up to where samples are looked at.
    fn high(self, end: i64) -> i64 {
        end.saturating_add(self.after_ms)
    }

    pub(crate) fn end(self, step_time: i64) -> i64 {
        self.at.unwrap_or(step_time).saturating_sub(self.offset_ms)
    }
}

impl<'a> Evaluator<'a> {
    /// A call of a function of a range vector, ready to be evaluated series by series.
    pub(crate) fn range_leaf(
        &'a self,
        node: &CallPlan,
        kernel: Kernel,
        steps: Steps,
    ) -> Result<RangeLeaf<'a>, QueryError> {
        let args = &node.args;
        let is_range = |arg: &&Plan| matches!(arg.kind, PlanKind::Matrix(_) | PlanKind::Subquery(_));
        let Some(arg) = args.iter().find(is_range) else {
            return Err(QueryError::execution("a range vector was expected"));
        };
        let extension = match &arg.kind {
            PlanKind::Matrix(selector) => selector.extension,
            _ => None,
        };
        let function = node.function.name;
        let call = RangeCall { function, span: arg.span, first_span: arg_span(args, 0), extension };
        call.check_extension()?;
        let params = args
            .iter()
            .filter(|arg| !is_range(arg))
            .map(|arg| self.scalar(arg, steps))
            .collect::<Result<Vec<_>, _>>()?;
        let windows = self.windows(arg, extension)?;
        let matrix = self.matrix(arg, windows, steps)?;
        let with_starts = self.options.features.use_start_timestamps && call.uses_start_times();
        let sliding = if extension.is_none() { functions::sliding(function) } else { None };
        Ok(RangeLeaf { call, kernel, sliding, matrix, windows, params, with_starts })
    }

    /// Evaluates a call of a function of a range vector.
    pub(crate) fn range_call(&'a self, leaf: RangeLeaf<'a>, steps: Steps) -> Result<Frame<'a>, QueryError> {
        let is_absent_function = leaf.call.function == "absent_over_time";
        let frame = self.collect(&Leaf::Range(Box::new(leaf)), steps)?;
        let drops_now = !self.options.features.delayed_name_removal && !is_absent_function;
        if drops_now && frame::has_duplicates(&frame.series) {
            return Err(QueryError::execution(frame::SAME_LABELSET));
        }
        Ok(frame)
    }

    /// The points of one series; `None` where it has none.
    pub(crate) fn range_points(
        &self,
        leaf: &RangeLeaf<'_>,
        at: usize,
        steps: Steps,
        scratch: &mut Scratch,
    ) -> Result<Option<Points>, QueryError> {
        let source = &leaf.matrix.sources[at];
        self.load(leaf, source, scratch)?;
        let mut points = Points { values: scratch.absent_values(steps.count), histograms: Vec::new() };
        let is_plain = scratch.samples.histograms.is_empty() && scratch.samples.float_starts.is_empty();
        match leaf.sliding {
            Some(sliding) if is_plain => self.slide(leaf, sliding, steps, scratch, &mut points.values),
            _ => self.each_window(leaf, source, steps, scratch, &mut points)?,
        }
        if points.is_empty() {
            scratch.recycle(points);
            return Ok(None);
        }
        if leaf.call.looks_at_counters() {
            let metric = leaf.matrix.metric(source);
            let kind = || source.label("__type__").unwrap_or_default().into_owned();
            leaf.call.check_counter(&metric, kind, &points, self.options.features, &mut scratch.notes);
        }
        Ok(Some(points))
    }

    /// All windows of a series of floats at once.
    fn slide(
        &self,
        leaf: &RangeLeaf<'_>,
        sliding: Sliding,
        steps: Steps,
        scratch: &mut Scratch,
        out: &mut [f64],
    ) {
        let Scratch { samples, notes, windows: plans, sliding: sliding_scratch, .. } = scratch;
        let windows = leaf.windows;
        let plan = plans.of(&samples.float_times, windows, steps);
        let floats = &samples.floats;
        match sliding {
            Sliding::Rate(kind) => {
                let ends = |idx: usize| {
                    let end = windows.end(steps.time(idx));
                    (windows.start(end), end)
                };
                plan.rates.update(&samples.float_times, &plan.bounds, kind, ends);
                plan.rates.values(floats, windows.range_ms as f64 / 1000.0, out);
            }
            Sliding::Extreme { greatest } => {
                functions::extremes(floats, &plan.bounds, greatest, sliding_scratch, out);
            }
            Sliding::Quantile => {
                let q = leaf.params.first().map_or(&[][..], Vec::as_slice);
                let used = plan.bounds.iter().zip(q).filter(|((low, high), _)| low < high);
                used.filter(|(_, q)| !(0.0..=1.0).contains(*q))
                    .for_each(|(_, q)| notes.invalid_quantile(*q, leaf.call.first_span));
                functions::quantiles(floats, &plan.bounds, q, sliding_scratch, out);
            }
        }
        self.count_used(plan.used, steps, &|idx| plan.size(idx));
    }

    /// A series window by window.
    fn each_window(
        &self,
        leaf: &RangeLeaf<'_>,
        source: &Source,
        steps: Steps,
        scratch: &mut Scratch,
        points: &mut Points,
    ) -> Result<(), QueryError> {
        let Scratch { samples, notes, .. } = scratch;
        let metric = leaf.matrix.metric(source);
        let windows = leaf.windows;
        let mut bounds = Bounds::default();
        let (mut used, mut unchecked) = (0, 0);
        let mut step_params = vec![0.0; leaf.params.len()];
        let counts_steps = self.options.features.per_step_stats;
        let mut per_step = if counts_steps { vec![0; steps.count] } else { Vec::new() };
        for idx in 0..steps.count {
            let time = steps.time(idx);
            let end = windows.end(time);
            let mut window = samples.window(&mut bounds, windows.low(end), windows.high(end));
            if window.is_empty() {
                continue;
            }
            let size = window.len() as u64;
            used += size;
            unchecked += size;
            if unchecked > UNCHECKED_SAMPLES_MAX {
                self.ctx.check()?;
                unchecked = 0;
            }
            if let Some(count) = per_step.get_mut(idx) {
                *count = size;
            }
            (window.start, window.end, window.time) = (windows.start(end), end, time);
            for (slot, param) in step_params.iter_mut().zip(&leaf.params) {
                *slot = param[idx];
            }
            match (leaf.kernel)(&leaf.call, &metric, &window, &step_params, notes)? {
                RangeOutcome::Nothing => {}
                RangeOutcome::Float(value) => points.values[idx] = value,
                RangeOutcome::Histogram(histogram) => points.set_histogram(idx, histogram),
            }
        }
        self.count_used(used, steps, &|idx| per_step.get(idx).copied().unwrap_or(0));
        Ok(())
    }

    fn windows(&self, arg: &Plan, extension: Option<RangeExtension>) -> Result<Windows, QueryError> {
        let lookback = self.options.lookback_ms;
        let (before_ms, after_ms) = match extension {
            None => (0, 0),
            Some(RangeExtension::Anchored) => (lookback, 0),
            Some(RangeExtension::Smoothed) => (lookback, lookback),
        };
        match &arg.kind {
            PlanKind::Matrix(SelectorPlan { range_ms, offset_ms, at, .. }) => {
                Ok(Windows { range_ms: *range_ms, offset_ms: *offset_ms, at: *at, before_ms, after_ms })
            }
            PlanKind::Subquery(subquery) => {
                let SubqueryPlan { range_ms, offset_ms, at, .. } = &**subquery;
                Ok(Windows { range_ms: *range_ms, offset_ms: *offset_ms, at: *at, before_ms, after_ms })
            }
            _ => Err(QueryError::execution("a range vector was expected")),
        }
    }

    fn matrix(&'a self, arg: &Plan, windows: Windows, steps: Steps) -> Result<Matrix<'a>, QueryError> {
        let first = windows.low(windows.end(steps.start)).saturating_add(1);
        let range = TimeRange::new(first, windows.high(windows.end(steps.last())));
        match &arg.kind {
            PlanKind::Matrix(selector) => {
                let SeriesSet { series, groups, .. } = self.select(selector, range, steps)?;
                let sources = series.into_iter().map(Source::Stored).collect();
                let metric = selector.metric_name().map(str::to_owned);
                let (selector, inner) = (Some(selector.clone()), Steps::instant(0));
                Ok(Matrix { selector, sources, range, inner, groups, metric, _held: None })
            }
            PlanKind::Subquery(subquery) => {
                let (inner, frame) = self.subquery(subquery, steps)?;
                let Frame { series, held } = frame;
                let sources = series.into_iter().map(Source::Computed).collect();
                let (groups, metric) = (None, None);
                Ok(Matrix { selector: None, sources, range, inner, groups, metric, _held: Some(held) })
            }
            _ => Err(QueryError::execution("a range vector was expected")),
        }
    }

    /// Evaluates the inside of a subquery at its own steps: multiples of its step, whatever the query's start is.
    fn subquery(&'a self, subquery: &SubqueryPlan, steps: Steps) -> Result<(Steps, Frame<'a>), QueryError> {
        let step = subquery
            .step_ms
            .unwrap_or_else(|| (self.options.default_subquery_step)(subquery.range_ms))
            .max(1);
        let low = subquery.data_time(steps.start).saturating_sub(subquery.range_ms);
        let first = (low.div_euclid(step) + 1).saturating_mul(step);
        let inner = Steps::range(first, subquery.data_time(steps.last()), step);
        self.budget().check_steps(inner)?;
        let frame = match self.eval(&subquery.inner, inner)? {
            crate::eval::Evaluated::Vector(frame) => frame,
            crate::eval::Evaluated::Scalar(values) => {
                let points = Points { values, histograms: Vec::new() };
                let labels = Labels::empty();
                self.frame(vec![Series { labels, drop_name: false, points }])?
            }
            crate::eval::Evaluated::Text(_) => {
                return Err(QueryError::execution("a subquery needs an instant vector"));
            }
        };
        Ok((inner, frame))
    }

    /// Reads the samples of one series into the scratch.
    fn load(&self, leaf: &RangeLeaf<'_>, source: &Source, scratch: &mut Scratch) -> Result<(), QueryError> {
        let matrix = &leaf.matrix;
        match (source, &matrix.selector) {
            (Source::Stored(reader), Some(selector)) => {
                self.read(selector, &**reader, matrix.range, &mut scratch.columns)?;
                scratch.samples.fill(&mut scratch.columns, leaf.with_starts);
                Ok(())
            }
            (Source::Stored(_), None) => Err(QueryError::execution("a selector was expected")),
            (Source::Computed(series), _) => {
                scratch.samples.fill_from_points(&series.points, matrix.inner);
                Ok(())
            }
        }
    }

    /// The value of a query that is a range vector itself.
    pub(crate) fn top_level_matrix(
        &'a self,
        plan: &Plan,
        steps: Steps,
    ) -> Result<Vec<MatrixSeries>, QueryError> {
        let extension = match &plan.kind {
            PlanKind::Matrix(selector) => selector.extension,
            _ => None,
        };
        let windows = self.windows(plan, extension)?;
        let matrix = self.matrix(plan, windows, steps)?;
        let call = RangeCall { function: "", span: plan.span, first_span: plan.span, extension };
        let kernel = crate::functions::present;
        let (sliding, params) = (None, Vec::new());
        let leaf = RangeLeaf { call, kernel, sliding, matrix, windows, params, with_starts: false };
        let end = windows.end(steps.start);
        let result = self.for_each(&leaf.matrix.sources, |scratch, source| {
            self.load(&leaf, source, scratch)?;
            let samples = &scratch.samples;
            let labels = source.labels();
            let drop_name = matches!(source, Source::Computed(series) if series.drop_name);
            let labels = if drop_name { frame::without_metadata(&labels) } else { labels };
            let window = samples.window(&mut Bounds::default(), windows.low(end), windows.high(end));
            self.count_used(window.len() as u64, steps, &|_| window.len() as u64);
            let mut floats: Vec<(i64, f64)> =
                window.float_times.iter().copied().zip(window.floats.iter().copied()).collect();
            if let Some(extension) = extension {
                if !window.histograms.is_empty() {
                    let name = match extension {
                        RangeExtension::Anchored => "anchored",
                        RangeExtension::Smoothed => "smoothed",
                    };
                    let message = format!("{name} modifier is not supported with histograms");
                    return Err(QueryError::execution(message));
                }
                floats = extend_window(&floats, windows.start(end), end, extension);
            }
            let histograms =
                window.histogram_times.iter().copied().zip(window.histograms.iter().cloned()).collect();
            Ok(MatrixSeries { labels, floats, histograms })
        })?;
        let samples =
            result.iter().map(|series| (series.floats.len() + series.histograms.len()) as u64).sum();
        // Counted as long as it takes to check the limit: the result leaves the engine.
        drop(self.budget().take(samples, samples * 16)?);
        Ok(result.into_iter().filter(|s| !s.floats.is_empty() || !s.histograms.is_empty()).collect())
    }

    /// 1 at the steps at which no series has a sample.
    pub(crate) fn absent(
        &'a self,
        frame: &Frame<'_>,
        labels: Labels,
        drop_name: bool,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let mut points = Points { values: vec![1.0; steps.count], histograms: Vec::new() };
        for series in &frame.series {
            for idx in 0..steps.count {
                if series.points.has(idx) {
                    points.values[idx] = ABSENT;
                }
            }
        }
        if points.is_empty() {
            return self.frame(Vec::new());
        }
        self.frame(vec![Series { labels, drop_name, points }])
    }
}

/// The span of a plan's argument, where there is one.
pub(crate) fn arg_span(args: &[Plan], idx: usize) -> Span {
    args.get(idx).map(|arg| arg.span).unwrap_or_default()
}
