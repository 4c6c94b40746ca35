//! Series as columns over the steps of an evaluation.

use std::sync::Arc;

use model::{FloatHistogram, Labels, STALE_NAN};

/// Marks a step without a float. No evaluation produces this bit pattern: stored staleness markers are never handed on.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN);

pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN
}

pub(crate) type SharedHistogram = Arc<FloatHistogram>;

/// The steps of an evaluation: `start`, `start + step`, … up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Steps {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// One step.
    pub(crate) fn instant(time: i64) -> Self {
        Self { start: time, end: time, step: 1, count: 1 }
    }

    /// From `start` to `end`; no steps where the end is before the start.
    pub(crate) fn range(start: i64, end: i64, step: i64) -> Self {
        let step = step.max(1);
        let count = if end < start { 0 } else { (end.abs_diff(start) / step as u64) as usize + 1 };
        Self { start, end, step, count }
    }

    pub(crate) fn time(self, idx: usize) -> i64 {
        self.start.wrapping_add((idx as i64).wrapping_mul(self.step))
    }

    /// The time of the last step.
    pub(crate) fn last(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// Whether it may be more than one point in time.
    pub(crate) fn is_range(self) -> bool {
        self.start != self.end
    }
}

/// What a series has at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    Absent,
    Float(f64),
    Histogram(&'a SharedHistogram),
}

/// A column of points, one a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    /// One a step; [`ABSENT`] where there is no float.
    pub(crate) values: Vec<f64>,
    /// Empty where there is no histogram at all, else one a step.
    pub(crate) histograms: Vec<Option<SharedHistogram>>,
}

impl Points {
    pub(crate) fn absent(steps: usize) -> Self {
        Self { values: vec![ABSENT; steps], histograms: Vec::new() }
    }

    pub(crate) fn get(&self, idx: usize) -> Point<'_> {
        if let Some(Some(histogram)) = self.histograms.get(idx) {
            return Point::Histogram(histogram);
        }
        let value = self.values[idx];
        if is_absent(value) { Point::Absent } else { Point::Float(value) }
    }

    pub(crate) fn set(&mut self, idx: usize, point: Point<'_>) {
        match point {
            Point::Absent => {
                self.values[idx] = ABSENT;
                if let Some(slot) = self.histograms.get_mut(idx) {
                    *slot = None;
                }
            }
            Point::Float(value) => self.values[idx] = value,
            Point::Histogram(histogram) => self.set_histogram(idx, Arc::clone(histogram)),
        }
    }

    pub(crate) fn set_histogram(&mut self, idx: usize, histogram: SharedHistogram) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.values.len(), None);
        }
        self.histograms[idx] = Some(histogram);
    }

    pub(crate) fn has(&self, idx: usize) -> bool {
        !matches!(self.get(idx), Point::Absent)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value)) && self.histograms.iter().all(Option::is_none)
    }

    /// How many samples count towards the limit; a histogram counts for as many floats as it takes room for.
    pub(crate) fn sample_count(&self) -> u64 {
        let floats = self.values.iter().filter(|value| !is_absent(**value)).count() as u64;
        floats + self.histograms.iter().flatten().map(|h| histogram_samples(h)).sum::<u64>()
    }

    pub(crate) fn heap_bytes(&self) -> u64 {
        (self.values.len() * 8 + self.histograms.len() * 8) as u64
    }
}

/// How many float samples a histogram counts for.
pub(crate) fn histogram_samples(histogram: &FloatHistogram) -> u64 {
    let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    ((96 + 8 * (buckets + spans + histogram.custom_values.len())) / 16) as u64
}

/// A series during evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// Whether the metric name goes at the end of the evaluation (delayed name removal).
    pub(crate) drop_name: bool,
    pub(crate) points: Points,
}
