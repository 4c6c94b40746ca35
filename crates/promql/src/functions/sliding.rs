//! Functions of ranges of floats over all steps at once: what windows share is computed once. The results are bit by bit
//! those of the kernels that look at one window.

use std::collections::VecDeque;

use crate::functions::quantile::{quantile_of_sorted, sort_ascending};
use crate::functions::rate::RateKind;

/// A function that can be computed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sliding {
    /// `rate`, `increase`, `delta`
    Rate(RateKind),
    /// `max_over_time` and `min_over_time`
    Extreme { greatest: bool },
    /// `quantile_over_time`
    Quantile,
}

/// How a function of a range vector is computed over all steps at once, where it is.
pub(crate) fn sliding(name: &str) -> Option<Sliding> {
    Some(match name {
        "rate" => Sliding::Rate(RateKind { is_counter: true, per_second: true }),
        "increase" => Sliding::Rate(RateKind { is_counter: true, per_second: false }),
        "delta" => Sliding::Rate(RateKind { is_counter: false, per_second: false }),
        "max_over_time" => Sliding::Extreme { greatest: true },
        "min_over_time" => Sliding::Extreme { greatest: false },
        "quantile_over_time" => Sliding::Quantile,
        _ => return None,
    })
}

/// What extrapolation needs of the timestamps of the windows.
#[derive(Debug, Default)]
pub(crate) struct RatePlan {
    of: Option<RateKind>,
    steps: Vec<RateStep>,
    /// Where a counter has been reset: indexes of samples that are less than the one before.
    resets: Vec<usize>,
}

/// One window. Times are seconds.
#[derive(Clone, Copy, Debug, Default)]
struct RateStep {
    /// The first and the last sample; the same where there are fewer than two.
    first: usize,
    last: usize,
    sampled: f64,
    to_start: f64,
    to_end: f64,
    /// What the change is multiplied with, unless the counter cannot have started that early.
    factor: f64,
}

/// Nearer than this to the point where a counter is 0, the exact formula decides.
const ZERO_MARGIN: f64 = 1.0 + 1e-9;

impl RatePlan {
    /// Forgets the timestamps.
    pub(crate) fn clear(&mut self) {
        self.of = None;
    }

    /// Computes what depends on the timestamps alone. `ends` gives where each step's window starts and ends, in ms.
    pub(crate) fn update(
        &mut self,
        times: &[i64],
        bounds: &[(usize, usize)],
        kind: RateKind,
        ends: impl Fn(usize) -> (i64, i64),
    ) {
        if self.of == Some(kind) {
            return;
        }
        self.of = Some(kind);
        self.steps.clear();
        self.steps.extend(bounds.iter().enumerate().map(|(idx, (low, high))| {
            if high - low < 2 {
                return RateStep::default();
            }
            let (start, end) = ends(idx);
            RateStep::new(times, (*low, high - 1), (start, end), kind)
        }));
    }

    /// The function's value at each step; steps whose window has fewer than two samples are left as they are.
    pub(crate) fn values(&mut self, floats: &[f64], range_seconds: f64, out: &mut [f64]) {
        let kind = self.of.unwrap_or(RateKind { is_counter: false, per_second: false });
        self.resets.clear();
        if kind.is_counter {
            let pairs = floats.windows(2).enumerate();
            self.resets.extend(pairs.filter(|(_, pair)| pair[1] < pair[0]).map(|(at, _)| at + 1));
        }
        let mut resets = self.resets.as_slice();
        for (slot, step) in out.iter_mut().zip(&self.steps) {
            if step.first == step.last {
                continue;
            }
            let first = floats[step.first];
            let mut change = floats[step.last] - first;
            while let [reset, rest @ ..] = resets
                && *reset <= step.first
            {
                resets = rest;
            }
            for reset in resets.iter().take_while(|reset| **reset <= step.last) {
                change += floats[reset - 1];
            }
            let is_far_from_zero = first * step.sampled > change * step.to_start * ZERO_MARGIN;
            let factor = if !kind.is_counter || is_far_from_zero {
                step.factor
            } else {
                step.exact_factor(first, change, kind, range_seconds)
            };
            *slot = change * factor;
        }
    }
}

impl RateStep {
    fn new(times: &[i64], (first, last): (usize, usize), (start, end): (i64, i64), kind: RateKind) -> Self {
        let (first_time, last_time) = (times[first], times[last]);
        let mut to_start = (first_time - start) as f64 / 1000.0;
        let mut to_end = (end - last_time) as f64 / 1000.0;
        let sampled = (last_time - first_time) as f64 / 1000.0;
        let average = sampled / (last - first) as f64;
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut step = Self { first, last, sampled, to_start, to_end, factor: 0.0 };
        step.factor = step.factor_from(to_start, kind, end.saturating_sub(start) as f64 / 1000.0);
        step
    }

    /// A counter is never below 0, so it cannot have started earlier than where the line meets 0.
    fn exact_factor(&self, first: f64, change: f64, kind: RateKind, range_seconds: f64) -> f64 {
        let mut to_start = self.to_start;
        if change > 0.0 && first >= 0.0 {
            let to_zero = self.sampled * (first / change);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        self.factor_from(to_start, kind, range_seconds)
    }

    fn factor_from(&self, to_start: f64, kind: RateKind, range_seconds: f64) -> f64 {
        let mut factor =
            if self.sampled == 0.0 { 1.0 } else { (self.sampled + to_start + self.to_end) / self.sampled };
        if kind.per_second {
            factor /= range_seconds;
        }
        factor
    }
}

/// Reused from series to series.
#[derive(Debug, Default)]
pub(crate) struct SlidingScratch {
    queue: VecDeque<usize>,
    sorted: Vec<f64>,
}

/// The greatest or the least float of each window; a NaN only where there is nothing else.
pub(crate) fn extremes(
    floats: &[f64],
    bounds: &[(usize, usize)],
    greatest: bool,
    scratch: &mut SlidingScratch,
    out: &mut [f64],
) {
    if let ([slot], [(low, high)]) = (&mut *out, bounds) {
        if low < high {
            *slot = extreme(&floats[*low..*high], greatest);
        }
        return;
    }
    // Candidates, the best first: each is better than all behind it.
    let queue = &mut scratch.queue;
    queue.clear();
    let mut next = 0;
    for (slot, (low, high)) in out.iter_mut().zip(bounds) {
        if low == high {
            continue;
        }
        next = next.max(*low);
        while next < *high {
            let value = floats[next];
            if !value.is_nan() {
                let loses = |at: &usize| if greatest { floats[*at] < value } else { floats[*at] > value };
                while queue.back().is_some_and(loses) {
                    queue.pop_back();
                }
                queue.push_back(next);
            }
            next += 1;
        }
        while queue.front().is_some_and(|at| at < low) {
            queue.pop_front();
        }
        *slot = floats[queue.front().copied().unwrap_or(high - 1)];
    }
}

/// The greatest or the least float of one window that is not empty.
fn extreme(window: &[f64], greatest: bool) -> f64 {
    let numbers = window.iter().position(|value| !value.is_nan());
    let Some(first) = numbers else { return window[window.len() - 1] };
    // Four at a time, so that a comparison need not wait for the one before. A NaN loses against anything.
    let better = |best: f64, value: f64| {
        let wins = if greatest { value > best } else { value < best };
        if wins { value } else { best }
    };
    let mut best = [window[first]; 4];
    let (blocks, rest) = window[first..].as_chunks::<4>();
    for block in blocks {
        best = std::array::from_fn(|lane| better(best[lane], block[lane]));
    }
    let best = best.into_iter().reduce(better).unwrap_or(f64::NAN);
    rest.iter().fold(best, |best, value| better(best, *value))
}

/// The q-quantile of each window, with `q` by step. The window is kept sorted.
pub(crate) fn quantiles(
    floats: &[f64],
    bounds: &[(usize, usize)],
    q: &[f64],
    scratch: &mut SlidingScratch,
    out: &mut [f64],
) {
    let sorted = &mut scratch.sorted;
    sorted.clear();
    let mut within = (0usize, 0usize);
    for ((slot, (low, high)), q) in out.iter_mut().zip(bounds).zip(q) {
        if low == high {
            continue;
        }
        let kept = within.1.saturating_sub(*low);
        if kept * 2 < high - low {
            sorted.clear();
            sorted.extend_from_slice(&floats[*low..*high]);
            sort_ascending(sorted);
        } else {
            for value in &floats[within.0..*low] {
                let at = place(sorted, *value);
                sorted.remove(at);
            }
            for value in &floats[within.1..*high] {
                let at = place(sorted, *value);
                sorted.insert(at, *value);
            }
        }
        within = (*low, *high);
        *slot = quantile_of_sorted(*q, sorted);
    }
}

/// Where a value is, or belongs, among sorted ones with NaN first.
fn place(sorted: &[f64], value: f64) -> usize {
    if value.is_nan() {
        return 0;
    }
    sorted.partition_point(|other| other.is_nan() || *other < value)
}

#[cfg(test)]
mod tests {
    use promql_syntax::Span;
    use proptest::prelude::*;

    use super::*;
    use crate::functions::{RangeCall, RangeOutcome, Window, kernel};
    use crate::notes::Notes;
    use crate::series::{ABSENT, is_absent};

    /// Values that windows trip over: counters that go up, are reset, stand still, start at 0; NaN and infinities.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0..400i32).prop_map(|value| f64::from(value) / 8.0),
            1 => Just(0.0),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.5, 1e300, 5e-324]),
        ]
    }

    proptest! {
        #[test]
        fn all_windows_at_once_are_as_each_alone(
            samples in prop::collection::vec((1..60_000i64, value(), any::<bool>()), 1..60),
            range in 1..400_000i64, step in 1..200_000i64, q in -0.2..1.2f64
        ) {
            let (mut time, mut total) = (0, 0.0);
            let (mut times, mut floats) = (Vec::new(), Vec::new());
            for (gap, value, adds) in samples {
                time += gap;
                total = if adds { total + value } else { value };
                times.push(time);
                floats.push(total);
            }
            let steps = (time / step + 3) as usize;
            let window_of = |idx: usize| (idx as i64 * step - range, idx as i64 * step);
            let bounds: Vec<(usize, usize)> = (0..steps)
                .map(window_of)
                .map(|(start, end)| {
                    (times.partition_point(|time| *time <= start), times.partition_point(|time| *time <= end))
                })
                .collect();
            for name in ["rate", "increase", "delta", "max_over_time", "min_over_time", "quantile_over_time"] {
                let mut out = vec![ABSENT; steps];
                let mut scratch = SlidingScratch::default();
                match sliding(name) {
                    Some(Sliding::Rate(kind)) => {
                        let mut plan = RatePlan::default();
                        plan.update(&times, &bounds, kind, window_of);
                        plan.values(&floats, range as f64 / 1000.0, &mut out);
                    }
                    Some(Sliding::Extreme { greatest }) => {
                        extremes(&floats, &bounds, greatest, &mut scratch, &mut out);
                    }
                    Some(Sliding::Quantile) => {
                        quantiles(&floats, &bounds, &vec![q; steps], &mut scratch, &mut out);
                    }
                    None => prop_assert!(false, "{name}"),
                }
                let (function, span) = (name, Span::default());
                let call = RangeCall { function, span, first_span: span, extension: None };
                for (idx, (low, high)) in bounds.iter().enumerate().filter(|(_, (low, high))| low < high) {
                    let (start, end) = window_of(idx);
                    let window = Window {
                        float_times: &times[*low..*high],
                        floats: &floats[*low..*high],
                        float_starts: &[],
                        histogram_times: &[],
                        histograms: &[],
                        histogram_starts: &[],
                        start,
                        end,
                        time: end,
                    };
                    let kernel = kernel(name).expect("known");
                    let alone = kernel(&call, "", &window, &[q], &mut Notes::default()).expect("a result");
                    match alone {
                        RangeOutcome::Float(value) => {
                            let same = value.to_bits() == out[idx].to_bits()
                                || value == out[idx]
                                || (value.is_nan() && out[idx].is_nan());
                            prop_assert!(same, "{name} at {idx}: {value:e}, all at once {:e}", out[idx]);
                        }
                        _ => prop_assert!(is_absent(out[idx]), "{name} at {idx}: nothing, all at once {}", out[idx]),
                    }
                }
            }
        }
    }
}
