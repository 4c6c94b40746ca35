//! `load`: samples into the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    BUCKET_LABEL, BucketSpan, CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Labels, LabelsBuilder,
    METRIC_NAME_LABEL, is_stale_nan, parse_duration_ms, parse_float,
};

use super::ScriptFailure;
use super::command::{Lines, failure};
use super::sequence::{SequenceValue, parse_series_description};
use crate::{MemoryReader, MemoryValue};

/// Series to be put into the store.
#[derive(Debug)]
pub(super) struct LoadCommand {
    step_ms: i64,
    /// Whether classic histograms are also loaded as native ones with custom buckets.
    with_nhcb: bool,
    series: Vec<LoadedSeries>,
}

#[derive(Debug)]
struct LoadedSeries {
    labels: Labels,
    values: Vec<SequenceValue>,
    /// Start timestamps relative to the samples' times, in ms; empty where none were given.
    starts: Vec<Option<i64>>,
}

/// Labels and start timestamps of an `@st` line.
type StartLine = (Labels, Vec<Option<i64>>);

impl LoadCommand {
    pub(super) fn parse(number: usize, line: &str, lines: &mut Lines<'_>) -> Result<Self, ScriptFailure> {
        let mut words = line.split_whitespace();
        let with_nhcb = words.next().is_some_and(|word| word.eq_ignore_ascii_case("load_with_nhcb"));
        let step = words.next().unwrap_or_default();
        let step_ms = parse_duration_ms(step).map_err(|error| failure(number, line, error.to_string()))?;
        let mut series = Vec::new();
        let mut pending: Option<StartLine> = None;
        while let Some((number, line)) = lines.next_of_command() {
            let fail = |message: String| failure(number, line, message);
            if let Some((metric, starts)) = start_line(line) {
                let (labels, _) =
                    parse_series_description(metric).map_err(|error| fail(error.to_string()))?;
                let starts = starts.split_whitespace().map(start_item).collect::<Result<Vec<_>, _>>();
                pending = Some((labels, starts.map_err(fail)?.concat()));
                continue;
            }
            let (labels, values) = parse_series_description(line).map_err(|error| fail(error.to_string()))?;
            let starts = match pending.take() {
                None => Vec::new(),
                Some((metric, starts)) if metric == labels && starts.len() == values.len() => starts,
                Some(_) => return Err(fail("the @st line before does not fit this series".to_owned())),
            };
            series.push(LoadedSeries { labels, values, starts });
        }
        Ok(Self { step_ms, with_nhcb, series })
    }

    pub(super) fn apply(&self, store: &mut MemoryReader) {
        for series in &self.series {
            for (at, value) in series.values.iter().enumerate() {
                let time = at as i64 * self.step_ms;
                let value = match value {
                    SequenceValue::Omitted => continue,
                    SequenceValue::Float(value) => MemoryValue::Float(*value),
                    SequenceValue::Histogram { histogram, .. } => {
                        MemoryValue::Histogram(as_stored(store, &series.labels, histogram))
                    }
                };
                let start = series.starts.get(at).copied().flatten().map_or(0, |offset| time + offset);
                store.add(&series.labels, time, &value, start);
            }
        }
        if self.with_nhcb {
            self.apply_custom_histograms(store);
        }
    }

    /// Puts classic histograms together as native ones with custom buckets.
    fn apply_custom_histograms(&self, store: &mut MemoryReader) {
        let mut found: BTreeMap<Labels, BTreeMap<i64, ClassicHistogram>> = BTreeMap::new();
        for series in &self.series {
            let Some((base, part)) = Part::of(&series.labels) else { continue };
            let histograms = found.entry(base).or_default();
            for (at, value) in series.values.iter().enumerate() {
                if let SequenceValue::Float(value) = value
                    && !is_stale_nan(*value)
                {
                    histograms.entry(at as i64 * self.step_ms).or_default().set(part, *value);
                }
            }
        }
        for (labels, histograms) in found {
            for (time, classic) in histograms {
                let histogram = as_stored(store, &labels, &Arc::new(classic.convert()));
                store.add(&labels, time, &MemoryValue::Histogram(histogram), 0);
            }
        }
    }
}

/// Metric and start timestamps of a line such as `metric{a="b"}@st -1mx5`.
fn start_line(line: &str) -> Option<(&str, &str)> {
    let (first, rest) = line.split_once([' ', '\t'])?;
    Some((first.strip_suffix("@st")?, rest))
}

/// One item of an `@st` line: `_`, `_x3`, `-1m`, `-1mx3`, `-30s-1mx2`.
fn start_item(item: &str) -> Result<Vec<Option<i64>>, String> {
    let fail = || format!("invalid start timestamp {item:?}");
    let count = |text: &str| text.parse::<usize>().ok().filter(|count| *count <= 100_000).ok_or_else(fail);
    if let Some(rest) = item.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { count(rest.strip_prefix('x').ok_or_else(fail)?)? };
        return Ok(vec![None; times]);
    }
    let (base, rest) = signed_duration(item).ok_or_else(fail)?;
    let (step, rest) = match rest.as_bytes().first() {
        Some(b'+' | b'-') => signed_duration(rest).ok_or_else(fail)?,
        _ => (0, rest),
    };
    let times = if rest.is_empty() { 0 } else { count(rest.strip_prefix('x').ok_or_else(fail)?)? };
    Ok((0..=times as i64).map(|at| Some(base + at * step)).collect())
}

/// A duration with an optional sign at the start of `text`, in ms, and what follows.
fn signed_duration(text: &str) -> Option<(i64, &str)> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let digits = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let unit =
        body[digits..].find(|c: char| !c.is_ascii_alphabetic() || c == 'x').unwrap_or(body.len() - digits);
    let (duration, rest) = body.split_at(digits + unit);
    Some((sign * parse_duration_ms(duration).ok()?, rest))
}

/// A histogram with the counter reset hint that a store would return it with: it knows that there was no reset within a
/// chunk, and starts a new chunk wherever there was one, or where the layout has changed.
pub(super) fn as_stored(
    store: &MemoryReader,
    labels: &Labels,
    histogram: &Arc<FloatHistogram>,
) -> Arc<FloatHistogram> {
    let hint = histogram.counter_reset_hint;
    if hint == CounterResetHint::Gauge {
        return Arc::clone(histogram);
    }
    let mut stored = (**histogram).clone();
    stored.counter_reset_hint = CounterResetHint::Unknown;
    let before = store.samples(labels).and_then(|columns| columns.histograms.last().cloned().flatten());
    let follows = before.is_some_and(|before| {
        before.counter_reset_hint != CounterResetHint::Gauge
            && !is_stale_nan(before.sum)
            && before.schema == stored.schema
            && before.zero_threshold == stored.zero_threshold
            && before.custom_values == stored.custom_values
            && !stored.detect_reset(&before)
    });
    if follows && hint != CounterResetHint::CounterReset {
        stored.counter_reset_hint = CounterResetHint::NotCounterReset;
    }
    Arc::new(stored)
}

/// Which part of a classic histogram a series is.
#[derive(Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

impl Part {
    /// The labels of the whole histogram, and which part of it a series is.
    fn of(labels: &Labels) -> Option<(Labels, Self)> {
        let name = labels.metric_name();
        let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
            let upper = parse_float(labels.get(BUCKET_LABEL)?).filter(|upper| !upper.is_nan())?;
            (base, Self::Bucket(upper))
        } else if let Some(base) = name.strip_suffix("_count") {
            (base, Self::Count)
        } else {
            (name.strip_suffix("_sum")?, Self::Sum)
        };
        let mut builder = LabelsBuilder::from_labels(labels);
        builder.set(METRIC_NAME_LABEL, base).remove(BUCKET_LABEL);
        Some((builder.build(), part))
    }
}

/// The parts of a classic histogram at one time.
#[derive(Default)]
struct ClassicHistogram {
    /// Cumulative counts with their bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl ClassicHistogram {
    fn set(&mut self, part: Part, value: f64) {
        match part {
            Part::Bucket(upper) => self.buckets.push((upper, value)),
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = value,
        }
    }

    fn convert(mut self) -> FloatHistogram {
        self.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        let custom_values: Vec<f64> =
            self.buckets.iter().map(|(upper, _)| *upper).filter(|upper| upper.is_finite()).collect();
        let last = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(last);
        let mut counts = Vec::with_capacity(custom_values.len() + 1);
        let mut before = 0.0;
        for (_, cumulative) in self.buckets.iter().filter(|(upper, _)| upper.is_finite()) {
            counts.push(cumulative - before);
            before = *cumulative;
        }
        counts.push(count - before);
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values,
            ..FloatHistogram::default()
        };
        histogram.compact();
        histogram
    }
}
