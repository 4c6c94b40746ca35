//! What an aggregation makes of the samples in one window.

use logql_syntax::RangeOp;
use model::TimestampNs;

/// A value taken from a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) timestamp: TimestampNs,
    pub(super) value: f64,
}

/// The window that samples lie in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Its end; it belongs to the window.
    pub(super) end: TimestampNs,
    /// Its length, in ns.
    pub(super) range: i64,
}

/// The aggregation of samples in order of time; there is at least one.
pub(super) fn aggregate(
    op: RangeOp,
    parameter: f64,
    samples: &[Sample],
    window: Window,
    scratch: &mut Vec<f64>,
) -> f64 {
    let values = || samples.iter().map(|sample| sample.value);
    match op {
        RangeOp::CountOverTime => samples.len() as f64,
        RangeOp::SumOverTime | RangeOp::BytesOverTime => values().sum(),
        RangeOp::Rate | RangeOp::BytesRate => values().sum::<f64>() / seconds(window.range),
        RangeOp::RateCounter => rate_counter(samples, window),
        RangeOp::AvgOverTime => mean(values()),
        RangeOp::MinOverTime => values().fold(f64::NAN, smallest),
        RangeOp::MaxOverTime => values().fold(f64::NAN, largest),
        RangeOp::StdvarOverTime => variance(values()),
        RangeOp::StddevOverTime => variance(values()).sqrt(),
        RangeOp::QuantileOverTime => {
            scratch.clear();
            scratch.extend(values());
            quantile(parameter, scratch)
        }
        RangeOp::FirstOverTime => samples.first().map_or(f64::NAN, |sample| sample.value),
        RangeOp::LastOverTime => samples.last().map_or(f64::NAN, |sample| sample.value),
        RangeOp::AbsentOverTime => 1.0,
    }
}

/// Nanoseconds in seconds.
pub(super) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// The smaller of two; NaN counts where there is nothing else.
pub(super) fn smallest(low: f64, value: f64) -> f64 {
    if value < low || low.is_nan() { value } else { low }
}

/// The larger of two; NaN counts where there is nothing else.
pub(super) fn largest(high: f64, value: f64) -> f64 {
    if value > high || high.is_nan() { value } else { high }
}

/// The mean, kept at each value so that large sums do not overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    mean: f64,
    count: f64,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        // An infinite mean stays, unless an infinity of the other sign or NaN meets it.
        if self.mean.is_infinite() && (value.is_finite() || value == self.mean) {
            return;
        }
        self.mean += value / self.count - self.mean / self.count;
    }

    pub(super) fn value(&self) -> f64 {
        self.mean
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut mean = Mean::default();
    values.for_each(|value| mean.add(value));
    mean.value()
}

/// The variance of a whole population (Welford's method).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variance {
    mean: f64,
    count: f64,
    squares: f64,
}

impl Variance {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    pub(super) fn value(&self) -> f64 {
        self.squares / self.count
    }
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let mut variance = Variance::default();
    values.for_each(|value| variance.add(value));
    variance.value()
}

/// The φ-quantile, between two values by linear interpolation.
fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if phi.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let rank = phi * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    // Two neighbours of the order are wanted, not the order.
    let (_, low, above) = values.select_nth_unstable_by(lower as usize, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low * (1.0 - weight) + high * weight
}

/// Prometheus' rate of a counter: resets are added, and the increase is stretched to the window's ends where samples come
/// close to them. One sample tells nothing: 0.
fn rate_counter(samples: &[Sample], window: Window) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0.0 };
    if samples.len() < 2 || last.timestamp == first.timestamp {
        return 0.0;
    }
    let mut increase = last.value - first.value;
    for pair in samples.windows(2) {
        if pair[1].value < pair[0].value {
            increase += pair[0].value;
        }
    }
    let window_start = window.end - window.range;
    let mut to_start = seconds(first.timestamp - window_start);
    let to_end = seconds(window.end - last.timestamp);
    let sampled = seconds(last.timestamp - first.timestamp);
    let between = sampled / (samples.len() - 1) as f64;
    if increase > 0.0 && first.value >= 0.0 {
        // A counter cannot have been below zero.
        to_start = to_start.min(sampled * (first.value / increase));
    }
    let threshold = between * 1.1;
    let stretch = |gap: f64| if gap < threshold { gap } else { between / 2.0 };
    let covered = sampled + stretch(to_start) + stretch(to_end);
    increase * (covered / sampled) / seconds(window.range)
}
