//! `changes` and `resets`: how often neighbours differ.

use promql_syntax::RangeExtension;

use crate::QueryError;
use crate::functions::range::{RangeCall, RangeOutcome, Window};
use crate::functions::rate::is_start_reset;
use crate::notes::Notes;
use crate::series::{Point, SharedHistogram};

type Outcome = Result<RangeOutcome, QueryError>;

/// A sample with its start timestamp; 0 where that is unknown.
#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    start: i64,
    point: Point<'a>,
}

/// The samples of a window in order of time; from the anchor on where the range is anchored. `None` where there is nothing
/// to compare within the window.
fn in_order<'a>(call: &RangeCall, window: &Window<'a>) -> Option<Vec<Sample<'a>>> {
    let floats = window.float_times.iter().zip(window.floats).enumerate();
    let floats = floats.map(|(at, (time, value))| Sample {
        time: *time,
        start: window.float_starts.get(at).copied().unwrap_or(0),
        point: Point::Float(*value),
    });
    let histograms = window.histogram_times.iter().zip(window.histograms).enumerate();
    let histograms = histograms.map(|(at, (time, histogram)): (usize, (&i64, &'a SharedHistogram))| Sample {
        time: *time,
        start: window.histogram_starts.get(at).copied().unwrap_or(0),
        point: Point::Histogram(histogram),
    });
    let mut samples: Vec<Sample<'a>> = floats.chain(histograms).collect();
    if !window.histograms.is_empty() {
        samples.sort_by_key(|sample| sample.time);
    }
    if call.extension == Some(RangeExtension::Anchored) {
        let within = samples.partition_point(|sample| sample.time <= window.start);
        if within == samples.len() {
            return None;
        }
        samples.drain(..within.saturating_sub(1));
    }
    Some(samples)
}

fn count_pairs(
    call: &RangeCall,
    window: &Window<'_>,
    differ: impl Fn(&Sample<'_>, &Sample<'_>) -> bool,
) -> RangeOutcome {
    let Some(samples) = in_order(call, window) else { return RangeOutcome::Nothing };
    if samples.is_empty() {
        return RangeOutcome::Nothing;
    }
    RangeOutcome::Float(samples.windows(2).filter(|pair| differ(&pair[0], &pair[1])).count() as f64)
}

pub(crate) fn changes(call: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    Ok(count_pairs(call, window, |before, now| match (before.point, now.point) {
        (Point::Float(before), Point::Float(now)) => before != now && !(before.is_nan() && now.is_nan()),
        (Point::Histogram(before), Point::Histogram(now)) => !now.same_as(before),
        _ => true,
    }))
}

pub(crate) fn resets(call: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    Ok(count_pairs(call, window, |before, now| {
        let started_anew = || is_start_reset(before.start, before.time, now.start, now.time);
        match (before.point, now.point) {
            (Point::Float(earlier), Point::Float(later)) => later < earlier || started_anew(),
            (Point::Histogram(earlier), Point::Histogram(later)) => {
                started_anew() || later.detect_reset(earlier)
            }
            _ => true,
        }
    }))
}
