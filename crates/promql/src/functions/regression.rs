//! Trends: least squares and double exponential smoothing.

use model::compensated_add;

use crate::QueryError;
use crate::functions::range::{RangeCall, RangeOutcome, Window};
use crate::notes::Notes;

type Outcome = Result<RangeOutcome, QueryError>;

/// Slope per second and value at `intercept_time` of the line that fits the samples best.
fn linear_regression(times: &[i64], values: &[f64], intercept_time: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let mut sums = [(0.0, 0.0); 4];
    for (time, y) in times.iter().zip(values) {
        let x = (time - intercept_time) as f64 / 1000.0;
        for (sum, more) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            *sum = compensated_add(more, sum.0, sum.1);
        }
    }
    let [x, y, xy, x2] = sums.map(|(sum, lost)| sum + lost);
    let count = values.len() as f64;
    let slope = (xy - x * y / count) / (x2 - x * x / count);
    (slope, y / count - slope * x / count)
}

/// Whether there are floats enough for a trend; remarks on histograms beside floats.
fn has_trend(call: &RangeCall, metric: &str, window: &Window<'_>, notes: &mut Notes) -> bool {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(metric, call.first_span);
    }
    window.floats.len() >= 2
}

pub(crate) fn deriv(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if !has_trend(call, metric, window, notes) {
        return Ok(RangeOutcome::Nothing);
    }
    // Near the samples rather than at 0, so that little is lost to rounding.
    let (slope, _) = linear_regression(window.float_times, window.floats, window.float_times[0]);
    Ok(RangeOutcome::Float(slope))
}

pub(crate) fn predict_linear(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    params: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if !has_trend(call, metric, window, notes) {
        return Ok(RangeOutcome::Nothing);
    }
    let seconds = params.first().copied().unwrap_or(f64::NAN);
    let (slope, intercept) = linear_regression(window.float_times, window.floats, window.time);
    Ok(RangeOutcome::Float(slope * seconds + intercept))
}

pub(crate) fn double_exponential_smoothing(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    params: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let factor = |at: usize, what: &str, symbol: &str| {
        let value = params.get(at).copied().unwrap_or(f64::NAN);
        if value <= 0.0 || value >= 1.0 {
            let message = format!("invalid {what} factor. Expected: 0 < {symbol} < 1, got: {value:.6}");
            return Err(QueryError::execution(message));
        }
        Ok(value)
    };
    let (smoothing, trend_factor) = (factor(0, "smoothing", "sf")?, factor(1, "trend", "tf")?);
    if !has_trend(call, metric, window, notes) {
        return Ok(RangeOutcome::Nothing);
    }
    let values = window.floats;
    let (mut before, mut level) = (0.0, values[0]);
    let mut trend = values[1] - values[0];
    for (at, value) in values.iter().enumerate().skip(1) {
        if at > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        (before, level) = (level, smoothing * value + (1.0 - smoothing) * (level + trend));
    }
    Ok(RangeOutcome::Float(level))
}
