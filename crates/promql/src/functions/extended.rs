//! `anchored` and `smoothed`: windows that look beyond their edges.

use std::sync::Arc;

use metric_storage_api::SampleColumns;
use model::{CounterResetHint, FloatHistogram, HistogramError, is_stale_nan};
use promql_syntax::{RangeExtension, Span};

use crate::functions::range::{RangeCall, RangeOutcome, Window};
use crate::functions::rate::RateKind;
use crate::notes::{HistogramOperation, Notes};
use crate::plan::SelectorPlan;
use crate::series::{Points, SharedHistogram, Steps};

/// First and last sample that matter for a window from `start` to `end`, out of samples at `times` (not empty): the first is
/// the newest at or before the start where there is one. `None` where no sample lies in the window.
fn edges(times: &[i64], start: i64, end: i64, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|time| *time <= start).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|time| *time < end);
    }
    if times[last] <= start || (smoothed && times[first] > end) { None } else { Some((first, last)) }
}

/// The value at `time` on the line between two samples; a counter that was reset between them has started from 0.
fn interpolate(before: (i64, f64), after: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let low = if is_counter && after.1 < before.1 { 0.0 } else { before.1 };
    low + (after.1 - low) * (time - before.0) as f64 / (after.0 - before.0) as f64
}

/// The values at the edges of a window.
fn edge_values(
    times: &[i64],
    values: &[f64],
    (first, last): (usize, usize),
    (start, end): (i64, i64),
    smoothed: bool,
    is_counter: bool,
) -> (f64, f64) {
    let at = |idx: usize| (times[idx], values[idx]);
    let left = if smoothed && times[first] < start {
        interpolate(at(first), at(first + 1), start, is_counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolate(at(last - 1), at(last), end, is_counter)
    } else {
        values[last]
    };
    (left, right)
}

/// The samples of an extended range selector that is the query's own value: one at each edge, and those between.
pub(crate) fn extend_window(
    samples: &[(i64, f64)],
    start: i64,
    end: i64,
    extension: RangeExtension,
) -> Vec<(i64, f64)> {
    let smoothed = extension == RangeExtension::Smoothed;
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let Some((first, last)) = edges(&times, start, end, smoothed) else { return Vec::new() };
    let (left, right) = edge_values(&times, &values, (first, last), (start, end), smoothed, false);
    let between = samples[first..=last].iter().copied().filter(|(time, _)| *time > start && *time < end);
    [(start, left)].into_iter().chain(between).chain([(end, right)]).collect()
}

/// `rate`, `increase` and `delta` without extrapolation.
pub(crate) fn extended_rate(
    call: &RangeCall,
    extension: RangeExtension,
    metric: &str,
    window: &Window<'_>,
    kind: RateKind,
    notes: &mut Notes,
) -> RangeOutcome {
    let smoothed = extension == RangeExtension::Smoothed;
    if !window.histograms.is_empty() {
        return match histogram_rate(call, smoothed, metric, window, kind, notes) {
            Some(histogram) => RangeOutcome::Histogram(Arc::new(histogram)),
            None => RangeOutcome::Nothing,
        };
    }
    let (times, values) = (window.float_times, window.floats);
    let bounds = (window.start, window.end);
    let Some((first, last)) = edges(times, bounds.0, bounds.1, smoothed) else {
        return RangeOutcome::Nothing;
    };
    let (left, right) = edge_values(times, values, (first, last), bounds, smoothed, kind.is_counter);
    let mut change = right - left;
    if kind.is_counter {
        // The samples at or beyond the edges are in `left` and `right`.
        let within_first = first + usize::from(times[first] <= bounds.0);
        let within_end = last + 1 - usize::from(times[last] >= bounds.1);
        let mut previous = left;
        let within = values.get(within_first..within_end).unwrap_or(&[]);
        for value in within.iter().chain([&right]) {
            if *value < previous {
                change += previous;
            }
            previous = *value;
        }
    }
    RangeOutcome::Float(if kind.per_second { change / window.range_seconds() } else { change })
}

/// The histogram at `time` between two.
fn interpolate_histograms(
    before: (i64, &SharedHistogram),
    after: (i64, &SharedHistogram),
    time: i64,
    is_counter: bool,
    span: Span,
    notes: &mut Notes,
) -> Result<FloatHistogram, HistogramError> {
    if time == before.0 {
        return Ok((**before.1).clone());
    }
    let mut result = (**after.1).clone();
    if time == after.0 {
        return Ok(result);
    }
    let fraction = (time - before.0) as f64 / (after.0 - before.0) as f64;
    if is_counter && after.1.detect_reset(before.1) {
        result.multiply(fraction);
        return Ok(result);
    }
    if result.subtract(before.1)?.bounds_reconciled {
        notes.bounds_reconciled(HistogramOperation::Subtraction, span);
    }
    result.multiply(fraction);
    if result.add(before.1)?.bounds_reconciled {
        notes.bounds_reconciled(HistogramOperation::Addition, span);
    }
    Ok(result)
}

fn histogram_rate(
    call: &RangeCall,
    smoothed: bool,
    metric: &str,
    window: &Window<'_>,
    kind: RateKind,
    notes: &mut Notes,
) -> Option<FloatHistogram> {
    let (times, histograms) = (window.histogram_times, window.histograms);
    let (start, end) = (window.start, window.end);
    let (first, last) = edges(times, start, end, smoothed)?;
    let custom = histograms[first].uses_custom_buckets();
    for histogram in &histograms[first..=last] {
        if histogram.uses_custom_buckets() != custom {
            notes.mixed_schemas(metric, call.span);
            return None;
        }
        if kind.is_counter && histogram.counter_reset_hint == CounterResetHint::Gauge {
            notes.not_counter_histogram(metric, call.span);
        }
    }
    let at = |idx: usize| (times[idx], &histograms[idx]);
    let left = if smoothed && times[first] < start {
        interpolate_histograms(at(first), at(first + 1), start, kind.is_counter, call.span, notes).ok()?
    } else {
        (*histograms[first]).clone()
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolate_histograms(at(last - 1), at(last), end, kind.is_counter, call.span, notes).ok()?
    } else {
        (*histograms[last]).clone()
    };
    let is_gauge = |histogram: &FloatHistogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
    if !(kind.is_counter || is_gauge(&left) && is_gauge(&right)) {
        notes.not_gauge_histogram(metric, call.span);
    }
    let mut change = right.clone();
    if change.subtract(&left).ok()?.bounds_reconciled {
        notes.bounds_reconciled(HistogramOperation::Subtraction, call.span);
    }
    if kind.is_counter {
        let mut next = first + 1;
        let mut previous: &FloatHistogram = &left;
        let reset_in_left = smoothed
            && times[first] < start
            && histograms.get(next).is_some_and(|following| following.detect_reset(&histograms[first]));
        if reset_in_left {
            // The reset right after the first sample is in `left` already.
            previous = &histograms[next];
            next += 1;
        }
        if next <= last {
            let following = histograms[next..last].iter().map(|histogram| &**histogram);
            for histogram in following.chain([&right]) {
                if histogram.detect_reset(previous) && change.add(previous).ok()?.bounds_reconciled {
                    notes.bounds_reconciled(HistogramOperation::Addition, call.span);
                }
                previous = histogram;
            }
        }
    }
    if kind.per_second {
        change.divide(window.range_seconds());
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

/// A smoothed instant selector: the value at each step, interpolated between the samples around it.
pub(crate) fn smooth_at(
    selector: &SelectorPlan,
    columns: &SampleColumns,
    lookback_ms: i64,
    steps: Steps,
    (metric, span): (&str, Span),
    notes: &mut Notes,
) -> Points {
    let mut points = Points::absent(steps.count);
    let fresh: Vec<usize> = (0..columns.len()).filter(|idx| !is_stale_nan(columns.values[*idx])).collect();
    let times: Vec<i64> = fresh.iter().map(|idx| columns.timestamps[*idx]).collect();
    let histogram = |at: usize| columns.histograms.get(fresh[at]).and_then(Option::as_ref);
    for step in 0..steps.count {
        let time = selector.data_time(steps.time(step));
        let low = times.partition_point(|sample| *sample <= time.saturating_sub(lookback_ms));
        let high = times.partition_point(|sample| *sample <= time.saturating_add(lookback_ms));
        if low == high {
            continue;
        }
        let histograms = (low..high).filter(|at| histogram(*at).is_some()).count();
        if histograms > 0 && histograms < high - low {
            notes.mixed_floats_histograms(metric, span);
            continue;
        }
        let next = times[low..high].partition_point(|sample| *sample < time) + low;
        let exact = next < high && times[next] == time;
        if !exact && next == low {
            continue;
        }
        if histograms == 0 {
            let value = |at: usize| (times[at], columns.values[fresh[at]]);
            points.values[step] = if exact {
                value(next).1
            } else if next < high {
                interpolate(value(next - 1), value(next), time, false)
            } else {
                value(next - 1).1
            };
            continue;
        }
        let pair = (histogram(if exact { next } else { next - 1 }), histogram(next.min(high - 1)));
        let (Some(before), Some(after)) = pair else { continue };
        if exact {
            points.set_histogram(step, Arc::clone(before));
        } else if next < high {
            if before.uses_custom_buckets() != after.uses_custom_buckets() {
                notes.mixed_schemas(metric, span);
                continue;
            }
            let is_gauge =
                |histogram: &SharedHistogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
            let is_counter = !(is_gauge(before) && is_gauge(after));
            let (before, after) = ((times[next - 1], before), (times[next], after));
            if let Ok(between) = interpolate_histograms(before, after, time, is_counter, span, notes) {
                points.set_histogram(step, Arc::new(between));
            }
        } else {
            let mut carried = (**before).clone();
            carried.counter_reset_hint = CounterResetHint::Unknown;
            points.set_histogram(step, Arc::new(carried));
        }
    }
    points
}
