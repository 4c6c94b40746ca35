//! `rate`, `increase`, `delta`, `irate`, `idelta`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use crate::QueryError;
use crate::functions::extended;
use crate::functions::range::{RangeCall, RangeOutcome, Window};
use crate::notes::{HistogramOperation, Notes};
use crate::series::SharedHistogram;

type Outcome = Result<RangeOutcome, QueryError>;

/// What distinguishes the three functions that extrapolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateKind {
    pub(crate) is_counter: bool,
    pub(crate) per_second: bool,
}

pub(crate) fn rate(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let kind = RateKind { is_counter: true, per_second: true };
    Ok(extrapolated(call, metric, window, kind, notes))
}

pub(crate) fn increase(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let kind = RateKind { is_counter: true, per_second: false };
    Ok(extrapolated(call, metric, window, kind, notes))
}

pub(crate) fn delta(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let kind = RateKind { is_counter: false, per_second: false };
    Ok(extrapolated(call, metric, window, kind, notes))
}

/// The change over a window before it is extrapolated.
enum Change {
    Float(f64),
    /// `None` where there is one sample only.
    Histogram(Option<FloatHistogram>),
}

fn extrapolated(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    kind: RateKind,
    notes: &mut Notes,
) -> RangeOutcome {
    if window.has_both() {
        notes.mixed_floats_histograms(metric, call.span);
        return RangeOutcome::Nothing;
    }
    if let Some(extension) = call.extension {
        return extended::extended_rate(call, extension, metric, window, kind, notes);
    }
    let (times, starts) = if window.histograms.is_empty() {
        (window.float_times, window.float_starts)
    } else {
        (window.histogram_times, window.histogram_starts)
    };
    let change = if window.histograms.is_empty() {
        Change::Float(float_change(call, metric, window, kind, notes))
    } else if window.histograms.len() > 1 {
        match histogram_change(call, metric, window, kind.is_counter, notes) {
            Some(change) => Change::Histogram(Some(change)),
            None => return RangeOutcome::Nothing,
        }
    } else {
        Change::Histogram(None)
    };
    let start_in_window = starts
        .first()
        .copied()
        .filter(|start| kind.is_counter && *start != 0 && *start > window.start && *start < times[0]);
    finish(call, metric, window, kind, notes, (change, times, start_in_window))
}

/// Extrapolates a change to the edges of the window.
fn finish(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    kind: RateKind,
    notes: &mut Notes,
    (mut change, times, start_in_window): (Change, &[i64], Option<i64>),
) -> RangeOutcome {
    let (first, last) = (times[0], times[times.len() - 1]);
    let intervals = times.len() - 1;
    let mut to_start = (first - window.start) as f64 / 1000.0;
    let mut to_end = (window.end - last) as f64 / 1000.0;
    let mut sampled = (last - first) as f64 / 1000.0;
    let average = if intervals > 0 { sampled / intervals as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if let Some(start) = start_in_window {
        // The counter was 0 when it started: no guess is needed on this side.
        to_start = 0.0;
        sampled = (last - start) as f64 / 1000.0;
        match &mut change {
            Change::Float(value) => *value += window.floats[0],
            Change::Histogram(None) => {
                change = Change::Histogram(Some((*window.histograms[0]).clone()));
            }
            Change::Histogram(Some(histogram)) => match histogram.add(&window.histograms[0]) {
                Err(_) => {
                    notes.mixed_schemas(metric, call.span);
                    return RangeOutcome::Nothing;
                }
                Ok(merge) if merge.bounds_reconciled => {
                    notes.bounds_reconciled(HistogramOperation::Addition, call.span);
                }
                Ok(_) => {}
            },
        }
    } else if intervals == 0 {
        return RangeOutcome::Nothing;
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if kind.is_counter {
            // A counter is never below 0, so it cannot have started earlier than where the line meets 0.
            let to_zero = match &change {
                Change::Float(value) if *value > 0.0 && window.floats[0] >= 0.0 => {
                    sampled * (window.floats[0] / value)
                }
                Change::Histogram(Some(histogram))
                    if histogram.count > 0.0 && window.histograms[0].count >= 0.0 =>
                {
                    sampled * (window.histograms[0].count / histogram.count)
                }
                _ => to_start,
            };
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if kind.per_second {
        factor /= window.range_seconds();
    }
    match change {
        Change::Float(value) => RangeOutcome::Float(value * factor),
        Change::Histogram(Some(mut histogram)) => {
            histogram.multiply(factor);
            RangeOutcome::Histogram(Arc::new(histogram))
        }
        Change::Histogram(None) => RangeOutcome::Nothing,
    }
}

/// The last value minus the first, plus what resets have taken away.
fn float_change(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    kind: RateKind,
    notes: &mut Notes,
) -> f64 {
    let values = window.floats;
    let mut change = values[values.len() - 1] - values[0];
    if !kind.is_counter {
        return change;
    }
    let (times, starts) = (window.float_times, window.float_starts);
    if starts.is_empty() {
        for pair in values.windows(2) {
            if pair[1] < pair[0] {
                change += pair[0];
            }
        }
        return change;
    }
    if has_start_overlap(times, starts) {
        notes.start_time_overlap(metric, call.span);
    }
    for at in 1..values.len() {
        if values[at] < values[at - 1] || is_start_reset(starts[at - 1], times[at - 1], starts[at], times[at])
        {
            change += values[at - 1];
        }
    }
    change
}

/// Whether a sample says that it started before the previous one was taken, and not where that one started.
fn has_start_overlap(times: &[i64], starts: &[i64]) -> bool {
    starts.windows(2).zip(times).any(|(pair, before)| pair[1] != 0 && pair[1] < *before && pair[1] != pair[0])
}

/// Whether start timestamps tell of a counter reset between two samples.
pub(crate) fn is_start_reset(start_before: i64, time_before: i64, start: i64, time: i64) -> bool {
    // Unknown, invalid, or OpenTelemetry's "unknown since".
    if start == 0 || start >= time || start < time_before {
        return false;
    }
    if start > time_before {
        return true;
    }
    // Starts where the previous sample was: a delta, unless nothing is known of where that one started.
    start_before <= time_before && start_before != 0 && start_before != time_before
}

/// As [`float_change`], for histograms. `None` where they cannot be combined.
fn histogram_change(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    is_counter: bool,
    notes: &mut Notes,
) -> Option<FloatHistogram> {
    let (histograms, times, starts) = (window.histograms, window.histogram_times, window.histogram_starts);
    let last = &histograms[histograms.len() - 1];
    let is_gauge = |histogram: &SharedHistogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
    let started_anew =
        |at: usize| starts.len() > at && is_start_reset(starts[at - 1], times[at - 1], starts[at], times[at]);
    let mut own_notes = Notes::default();
    if is_counter && histograms.iter().any(is_gauge) {
        own_notes.not_counter_histogram(metric, call.span);
    }
    // What was before a reset right after the first sample does not matter, nor does its layout.
    let mut first = Arc::clone(&histograms[0]);
    if is_counter && (started_anew(1) || histograms[1].detect_reset(&first)) {
        first = Arc::new(FloatHistogram {
            schema: histograms[1].schema,
            custom_values: histograms[1].custom_values.clone(),
            ..FloatHistogram::default()
        });
    }
    let custom = first.uses_custom_buckets();
    let middle = if is_counter { &histograms[1..histograms.len() - 1] } else { &[] };
    if last.uses_custom_buckets() != custom || middle.iter().any(|h| h.uses_custom_buckets() != custom) {
        if last.uses_custom_buckets() != custom {
            notes.merge(own_notes);
        }
        notes.mixed_schemas(metric, call.span);
        return None;
    }
    let coarsest =
        middle.iter().map(|histogram| histogram.schema).fold(last.schema.min(first.schema), i32::min);
    let mut change = last.to_schema(coarsest);
    if is_counter {
        change.counter_reset_hint = CounterResetHint::Unknown;
    }
    let mut reconciled = change.subtract(&first).ok()?.bounds_reconciled;
    if reconciled {
        own_notes.bounds_reconciled(HistogramOperation::Subtraction, call.span);
    }
    if is_counter {
        if !starts.is_empty() && has_start_overlap(times, starts) {
            own_notes.start_time_overlap(metric, call.span);
        }
        let mut previous = first;
        reconciled = false;
        for (at, current) in histograms.iter().enumerate().skip(1) {
            if started_anew(at) || current.detect_reset(&previous) {
                match change.add(&previous) {
                    Ok(merge) => reconciled |= merge.bounds_reconciled,
                    Err(_) => {
                        notes.mixed_schemas(metric, call.span);
                        return None;
                    }
                }
            }
            previous = Arc::clone(current);
        }
        if reconciled {
            own_notes.bounds_reconciled(HistogramOperation::Addition, call.span);
        }
    } else if !is_gauge(&histograms[0]) || !is_gauge(last) {
        own_notes.not_gauge_histogram(metric, call.span);
    }
    notes.merge(own_notes);
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

pub(crate) fn irate(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    Ok(between_last_two(call, metric, window, true, notes))
}

pub(crate) fn idelta(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    Ok(between_last_two(call, metric, window, false, notes))
}

/// One of the last samples of a window.
#[derive(Clone, Copy)]
struct Last<'a> {
    time: i64,
    start: i64,
    float: f64,
    histogram: Option<&'a SharedHistogram>,
}

/// The newest two samples of a window, older first.
fn last_two<'a>(window: &Window<'a>) -> Option<(Last<'a>, Last<'a>)> {
    let float = |at: usize| Last {
        time: window.float_times[at],
        start: window.float_starts.get(at).copied().unwrap_or(0),
        float: window.floats[at],
        histogram: None,
    };
    let histogram = |at: usize| Last {
        time: window.histogram_times[at],
        start: window.histogram_starts.get(at).copied().unwrap_or(0),
        float: 0.0,
        histogram: Some(&window.histograms[at]),
    };
    let (floats, histograms) = (window.floats.len(), window.histograms.len());
    let mut newest: Vec<Last<'a>> = (floats.saturating_sub(2)..floats).map(float).collect();
    newest.extend((histograms.saturating_sub(2)..histograms).map(histogram));
    newest.sort_by_key(|sample| sample.time);
    let newer = newest.pop()?;
    Some((newest.pop()?, newer))
}

fn between_last_two(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    is_counter: bool,
    notes: &mut Notes,
) -> RangeOutcome {
    let Some((before, now)) = last_two(window) else { return RangeOutcome::Nothing };
    let milliseconds = now.time - before.time;
    if milliseconds == 0 {
        return RangeOutcome::Nothing;
    }
    let seconds = milliseconds as f64 / 1000.0;
    let started_anew = is_counter && is_start_reset(before.start, before.time, now.start, now.time);
    match (before.histogram, now.histogram) {
        (None, None) => {
            let is_reset = is_counter && (now.float < before.float || started_anew);
            let change = if is_reset { now.float } else { now.float - before.float };
            RangeOutcome::Float(if is_counter { change / seconds } else { change })
        }
        (Some(earlier), Some(later)) => {
            let gauges = [earlier, later]
                .iter()
                .filter(|histogram| histogram.counter_reset_hint == CounterResetHint::Gauge)
                .count();
            if is_counter && gauges > 0 {
                notes.not_counter_histogram(metric, call.span);
            }
            if !is_counter && gauges < 2 {
                notes.not_gauge_histogram(metric, call.span);
            }
            let mut change = (**later).clone();
            if !(is_counter && (started_anew || later.detect_reset(earlier))) {
                match change.subtract(earlier) {
                    Err(_) => {
                        notes.mixed_schemas(metric, call.span);
                        return RangeOutcome::Nothing;
                    }
                    Ok(merge) if merge.bounds_reconciled => {
                        notes.bounds_reconciled(HistogramOperation::Subtraction, call.span);
                    }
                    Ok(_) => {}
                }
            }
            change.counter_reset_hint = CounterResetHint::Gauge;
            change.compact();
            if is_counter {
                change.divide(seconds);
            }
            RangeOutcome::Histogram(Arc::new(change))
        }
        _ => {
            notes.mixed_floats_histograms(metric, call.span);
            RangeOutcome::Nothing
        }
    }
}
