//! Comparing results with what is expected.

use model::{FloatHistogram, Labels};

use super::command::{EvalCommand, EvalTimes, Expected, ExpectedSeries};
use super::sequence::SequenceValue;
use crate::{Annotations, MatrixSeries, SampleValue, Value, VectorSample};

/// The relative difference at which floats still count as equal.
const EPSILON: f64 = 1e-6;

pub(super) fn annotations(command: &EvalCommand, found: &Annotations) -> Result<(), String> {
    for (kind, expected, none, found) in [
        ("warning", &command.warnings, command.no_warnings, &found.warnings),
        ("info", &command.infos, command.no_infos, &found.infos),
    ] {
        if none && !found.is_empty() {
            return Err(format!("unexpected {kind}: {found:?}"));
        }
        if expected.is_empty() {
            continue;
        }
        if let Some(missing) =
            expected.iter().find(|expected| !found.iter().any(|text| expected.matches(text)))
        {
            return Err(format!("expected {kind} {missing}, found {found:?}"));
        }
        let is_expected = |text: &&String| expected.iter().any(|expected: &Expected| expected.matches(text));
        if let Some(more) = found.iter().find(|text| !is_expected(text)) {
            return Err(format!("unexpected {kind} {more:?}"));
        }
    }
    Ok(())
}

pub(super) fn value(command: &EvalCommand, found: &Value) -> Result<(), String> {
    match found {
        Value::Scalar { value, .. } => match command.scalar {
            Some(expected) if almost_equal(expected, *value) => Ok(()),
            Some(expected) => Err(format!("expected scalar {expected}, got {value}")),
            None => Err(format!("expected series, got scalar {value}")),
        },
        Value::String { value, .. } => match &command.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {value:?}")),
        },
        _ if command.scalar.is_some() => Err("expected a scalar, got series".to_owned()),
        Value::Vector(samples) => vector(command, samples),
        Value::Matrix(series) => matrix(command, series),
    }
}

fn expected_of<'a>(command: &'a EvalCommand, labels: &Labels) -> Option<(usize, &'a ExpectedSeries)> {
    command.series.iter().enumerate().find(|(_, series)| series.labels == *labels)
}

fn vector(command: &EvalCommand, samples: &[VectorSample]) -> Result<(), String> {
    for (position, sample) in samples.iter().enumerate() {
        let labels = &sample.labels;
        let Some((expected_position, expected)) = expected_of(command, labels) else {
            return Err(format!("unexpected series {labels} with {}", shown(&sample.value)));
        };
        if command.ordered && expected_position != position {
            return Err(format!(
                "expected {labels} at position {expected_position}, but it is at {position}"
            ));
        }
        let Some(expected) = expected.values.first() else {
            return Err(format!("no value expected for {labels}"));
        };
        if !matches_value(expected, &sample.value) {
            return Err(format!("expected {expected:?} for {labels}, got {}", shown(&sample.value)));
        }
    }
    let missing =
        command.series.iter().find(|series| !samples.iter().any(|sample| sample.labels == series.labels));
    match missing {
        Some(series) => Err(format!("expected series {} not found", series.labels)),
        None => Ok(()),
    }
}

fn matrix(command: &EvalCommand, found: &[MatrixSeries]) -> Result<(), String> {
    if command.ordered {
        return Err("expected an ordered result, got a matrix".to_owned());
    }
    if !found.is_sorted_by(|left, right| left.labels <= right.labels) {
        return Err("the series of the result are not sorted".to_owned());
    }
    let (start, end, step) = match (command.range_vector, command.times) {
        (Some(times), _) => times,
        (None, EvalTimes::Range { start, end, step }) => (start, end, step),
        (None, EvalTimes::Instant { at }) => (at, at, 1),
    };
    for series in found {
        let labels = &series.labels;
        let Some((_, expected)) = expected_of(command, labels) else {
            return Err(format!(
                "unexpected series {labels} with {:?} {:?}",
                series.floats, series.histograms
            ));
        };
        let times = (0..).map(|at| start + at * step);
        let expected: Vec<(i64, &SequenceValue)> =
            times.zip(&expected.values).filter(|(_, value)| **value != SequenceValue::Omitted).collect();
        if expected.last().is_some_and(|(time, _)| *time > end) {
            return Err(format!("more values are expected of {labels} than there are steps"));
        }
        let mut points: Vec<(i64, SampleValue)> =
            series.floats.iter().map(|(time, value)| (*time, SampleValue::Float(*value))).collect();
        points.extend(series.histograms.iter().map(|(time, h)| (*time, SampleValue::Histogram(h.clone()))));
        points.sort_by_key(|(time, _)| *time);
        let matches = points.len() == expected.len()
            && points.iter().zip(&expected).all(|((time, value), (expected_time, expected))| {
                time == expected_time && matches_value(expected, value)
            });
        if !matches {
            let found: Vec<String> =
                points.iter().map(|(time, value)| format!("{} @{time}", shown(value))).collect();
            return Err(format!("expected {expected:?} for {labels}, got [{}]", found.join(", ")));
        }
    }
    match command.series.iter().find(|series| !found.iter().any(|one| one.labels == series.labels)) {
        Some(series) => Err(format!("expected series {} not found", series.labels)),
        None => Ok(()),
    }
}

fn shown(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}

fn matches_value(expected: &SequenceValue, found: &SampleValue) -> bool {
    match (expected, found) {
        (SequenceValue::Float(expected), SampleValue::Float(found)) => almost_equal(*expected, *found),
        (SequenceValue::Histogram { histogram, hint_given }, SampleValue::Histogram(found)) => {
            (!hint_given || histogram.counter_reset_hint == found.counter_reset_hint)
                && same_histogram(histogram, found)
        }
        _ => false,
    }
}

fn same_histogram(expected: &FloatHistogram, found: &FloatHistogram) -> bool {
    let (mut expected, mut found) = (expected.clone(), found.clone());
    expected.compact();
    found.compact();
    let all_almost = |left: &[f64], right: &[f64]| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| almost_equal(*left, *right))
    };
    expected.schema == found.schema
        && almost_equal(expected.count, found.count)
        && almost_equal(expected.sum, found.sum)
        && expected.zero_threshold == found.zero_threshold
        && almost_equal(expected.zero_count, found.zero_count)
        && (!expected.uses_custom_buckets() || expected.custom_values == found.custom_values)
        && expected.positive_spans == found.positive_spans
        && expected.negative_spans == found.negative_spans
        && all_almost(&expected.positive_buckets, &found.positive_buckets)
        && all_almost(&expected.negative_buckets, &found.negative_buckets)
}

fn almost_equal(left: f64, right: f64) -> bool {
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    let (sum, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
