//! The `*_over_time` functions.

use std::sync::Arc;

use model::{CounterResetHint, HistogramSum, compensated_add};

use crate::QueryError;
use crate::functions::quantile::quantile;
use crate::functions::range::{RangeCall, RangeOutcome, Window};
use crate::notes::{HistogramOperation, Notes};

type Outcome = Result<RangeOutcome, QueryError>;

pub(crate) fn sum(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if window.has_both() {
        notes.mixed_floats_histograms(metric, call.span);
        return Ok(RangeOutcome::Nothing);
    }
    if window.floats.is_empty() {
        return Ok(combine(call, metric, window, notes, false));
    }
    let (mut sum, mut lost) = (0.0, 0.0);
    for value in window.floats {
        (sum, lost) = compensated_add(*value, sum, lost);
    }
    Ok(RangeOutcome::Float(if f64::is_infinite(sum) { sum } else { sum + lost }))
}

pub(crate) fn avg(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if window.has_both() {
        notes.mixed_floats_histograms(metric, call.span);
        return Ok(RangeOutcome::Nothing);
    }
    if window.floats.is_empty() {
        return Ok(combine(call, metric, window, notes, true));
    }
    let mut mean = Mean::default();
    window.floats.iter().for_each(|value| mean.add(*value));
    Ok(RangeOutcome::Float(mean.finish()))
}

/// A mean: of the sum as long as that does not overflow, then carried on as a mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    /// The sum, or the mean once the sum has overflowed.
    value: f64,
    lost: f64,
    count: f64,
    is_incremental: bool,
}

impl Mean {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.value = value;
            return;
        }
        if !self.is_incremental {
            let (sum, lost) = compensated_add(value, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.is_incremental = true;
            self.value /= self.count - 1.0;
            self.lost /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        (self.value, self.lost) = compensated_add(value / self.count, share * self.value, share * self.lost);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.count == 0.0
    }

    pub(crate) fn finish(self) -> f64 {
        if self.is_incremental {
            self.value + self.lost
        } else {
            self.value / self.count + self.lost / self.count
        }
    }
}

/// A sum or a mean of histograms that is being built, with what there is to remark about it.
#[derive(Debug)]
pub(crate) struct HistogramTotal {
    sum: HistogramSum,
    count: f64,
    is_incremental: bool,
    is_mean: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    pub(crate) bounds_reconciled: bool,
}

impl HistogramTotal {
    pub(crate) fn new(first: &model::FloatHistogram, is_mean: bool) -> Self {
        let mut total = Self {
            sum: HistogramSum::new(first),
            count: 1.0,
            is_incremental: false,
            is_mean,
            reset_seen: false,
            no_reset_seen: false,
            bounds_reconciled: false,
        };
        total.see(first);
        total
    }

    fn see(&mut self, histogram: &model::FloatHistogram) {
        self.reset_seen |= histogram.counter_reset_hint == CounterResetHint::CounterReset;
        self.no_reset_seen |= histogram.counter_reset_hint == CounterResetHint::NotCounterReset;
    }

    /// Whether hints contradict each other.
    pub(crate) fn resets_collide(&self) -> bool {
        self.reset_seen && self.no_reset_seen
    }

    /// Adds a histogram; an error where it is of the other kind.
    pub(crate) fn add(&mut self, histogram: &model::FloatHistogram) -> Result<(), model::HistogramError> {
        self.see(histogram);
        self.count += 1.0;
        if !self.is_mean {
            self.bounds_reconciled |= self.sum.add(histogram)?.bounds_reconciled;
            return Ok(());
        }
        if !self.is_incremental {
            let mut next = self.sum.clone();
            self.bounds_reconciled |= next.add(histogram)?.bounds_reconciled;
            if !next.has_overflow() {
                self.sum = next;
                return Ok(());
            }
            self.is_incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.multiply((self.count - 1.0) / self.count);
        let mut share = histogram.clone();
        share.divide(self.count);
        self.bounds_reconciled |= self.sum.add(&share)?.bounds_reconciled;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> model::FloatHistogram {
        if self.is_mean && !self.is_incremental {
            self.sum.divide(self.count);
        }
        let mut histogram = self.sum.finish();
        histogram.compact();
        histogram
    }
}

fn combine(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    notes: &mut Notes,
    is_mean: bool,
) -> RangeOutcome {
    let mut total = HistogramTotal::new(&window.histograms[0], is_mean);
    for histogram in &window.histograms[1..] {
        if total.add(histogram).is_err() {
            notes.mixed_schemas(metric, call.span);
            return RangeOutcome::Nothing;
        }
    }
    if total.resets_collide() {
        notes.reset_collision(HistogramOperation::Aggregation, call.span);
    }
    if total.bounds_reconciled {
        notes.bounds_reconciled(HistogramOperation::Aggregation, call.span);
    }
    RangeOutcome::Histogram(Arc::new(total.finish()))
}

pub(crate) fn count(_: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    Ok(RangeOutcome::Float((window.floats.len() + window.histograms.len()) as f64))
}

pub(crate) fn present(_: &RangeCall, _: &str, _: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    Ok(RangeOutcome::Float(1.0))
}

pub(crate) fn first(_: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    let float_time = window.float_times.first().copied().unwrap_or(i64::MAX);
    Ok(match window.histograms.first() {
        Some(histogram) if window.histogram_times[0] <= float_time => {
            RangeOutcome::Histogram(Arc::clone(histogram))
        }
        _ => window.floats.first().map_or(RangeOutcome::Nothing, |value| RangeOutcome::Float(*value)),
    })
}

pub(crate) fn last(_: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    let float_time = window.float_times.last().copied().unwrap_or(i64::MIN);
    let histogram_time = window.histogram_times.last().copied().unwrap_or(i64::MIN);
    Ok(match window.histograms.last() {
        Some(histogram) if histogram_time >= float_time => RangeOutcome::Histogram(Arc::clone(histogram)),
        _ => window.floats.last().map_or(RangeOutcome::Nothing, |value| RangeOutcome::Float(*value)),
    })
}

pub(crate) fn time_of_first(
    _: &RangeCall,
    _: &str,
    window: &Window<'_>,
    _: &[f64],
    _: &mut Notes,
) -> Outcome {
    let times = [window.float_times.first(), window.histogram_times.first()];
    let first = times.into_iter().flatten().min();
    Ok(first.map_or(RangeOutcome::Nothing, |time| RangeOutcome::Float(*time as f64 / 1000.0)))
}

pub(crate) fn time_of_last(_: &RangeCall, _: &str, window: &Window<'_>, _: &[f64], _: &mut Notes) -> Outcome {
    let times = [window.float_times.last(), window.histogram_times.last()];
    let last = times.into_iter().flatten().max();
    Ok(last.map_or(RangeOutcome::Nothing, |time| RangeOutcome::Float(*time as f64 / 1000.0)))
}

/// The sample that wins all comparisons, and its time.
fn extreme(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    notes: &mut Notes,
    wins: impl Fn(f64, f64) -> bool,
) -> Option<(i64, f64)> {
    let (mut time, mut best) = (*window.float_times.first()?, *window.floats.first()?);
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(metric, call.span);
    }
    for (candidate_time, candidate) in window.float_times.iter().zip(window.floats) {
        if wins(*candidate, best) || best.is_nan() {
            (time, best) = (*candidate_time, *candidate);
        }
    }
    Some((time, best))
}

pub(crate) fn max(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let found = extreme(call, metric, window, notes, |value, best| value > best);
    Ok(found.map_or(RangeOutcome::Nothing, |(_, value)| RangeOutcome::Float(value)))
}

pub(crate) fn min(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let found = extreme(call, metric, window, notes, |value, best| value < best);
    Ok(found.map_or(RangeOutcome::Nothing, |(_, value)| RangeOutcome::Float(value)))
}

pub(crate) fn time_of_max(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let found = extreme(call, metric, window, notes, |value, best| value >= best);
    Ok(found.map_or(RangeOutcome::Nothing, |(time, _)| RangeOutcome::Float(time as f64 / 1000.0)))
}

pub(crate) fn time_of_min(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let found = extreme(call, metric, window, notes, |value, best| value <= best);
    Ok(found.map_or(RangeOutcome::Nothing, |(time, _)| RangeOutcome::Float(time as f64 / 1000.0)))
}

pub(crate) fn quantile_over(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    params: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if window.floats.is_empty() {
        return Ok(RangeOutcome::Nothing);
    }
    let q = params.first().copied().unwrap_or(f64::NAN);
    if !(0.0..=1.0).contains(&q) {
        notes.invalid_quantile(q, call.first_span);
    }
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(metric, call.first_span);
    }
    Ok(RangeOutcome::Float(quantile(q, &mut window.floats.to_vec())))
}

pub(crate) fn mad(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    if window.floats.is_empty() {
        return Ok(RangeOutcome::Nothing);
    }
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(metric, call.span);
    }
    if window.floats.iter().any(|value| value.is_nan()) {
        return Ok(RangeOutcome::Float(f64::NAN));
    }
    let mut values = window.floats.to_vec();
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    Ok(RangeOutcome::Float(quantile(0.5, &mut values)))
}

fn variance(call: &RangeCall, metric: &str, window: &Window<'_>, notes: &mut Notes) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(metric, call.span);
    }
    let (mut mean, mut mean_lost, mut sum, mut sum_lost, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for value in window.floats {
        count += 1.0;
        let delta = value - (mean + mean_lost);
        (mean, mean_lost) = compensated_add(delta / count, mean, mean_lost);
        (sum, sum_lost) = compensated_add(delta * (value - (mean + mean_lost)), sum, sum_lost);
    }
    Some((sum + sum_lost) / count)
}

pub(crate) fn stdvar(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    Ok(variance(call, metric, window, notes).map_or(RangeOutcome::Nothing, RangeOutcome::Float))
}

pub(crate) fn stddev(
    call: &RangeCall,
    metric: &str,
    window: &Window<'_>,
    _: &[f64],
    notes: &mut Notes,
) -> Outcome {
    let variance = variance(call, metric, window, notes);
    Ok(variance.map_or(RangeOutcome::Nothing, |variance| RangeOutcome::Float(variance.sqrt())))
}
