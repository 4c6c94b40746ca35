//! Unwrapped values by series, and what windows make of them.

use logql_syntax::RangeAggregation;
use model::TimestampNs;
use resources::Reservation;

use super::range_functions::{Sample, Window, aggregate};
use super::windows::Windows;
use crate::LogqlError;

/// Samples as they come, each with the number of its series: a series of its own list would cost far more where there are
/// as many series as samples.
#[derive(Debug)]
pub(super) struct Samples {
    series: Vec<u32>,
    samples: Vec<Sample>,
    memory: Reservation,
}

/// Samples, series after series, each in order of time.
#[derive(Debug)]
pub(super) struct SeriesSamples {
    samples: Vec<Sample>,
    /// Where each series begins, and the end of the last.
    starts: Vec<u32>,
    _memory: Reservation,
}

impl Samples {
    pub(super) fn new(memory: Reservation) -> Self {
        Self { series: Vec::new(), samples: Vec::new(), memory }
    }

    /// Takes memory for what else grows with the series.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), LogqlError> {
        self.memory.grow(bytes as u64)?;
        Ok(())
    }

    pub(super) fn push(&mut self, series: usize, sample: Sample) -> Result<(), LogqlError> {
        if self.samples.len() == self.samples.capacity() {
            // Growth doubles what is held; and they will be held twice for a moment, when they are sorted by series.
            let more = self.samples.capacity().max(64);
            self.charge(more * (size_of::<Sample>() * 2 + size_of::<u32>()))?;
        }
        self.series.push(series as u32);
        self.samples.push(sample);
        Ok(())
    }

    /// Sorts the samples of so many series.
    pub(super) fn by_series(self, count: usize) -> SeriesSamples {
        let mut starts = vec![0u32; count + 1];
        for series in &self.series {
            starts[*series as usize + 1] += 1;
        }
        for idx in 0..count {
            starts[idx + 1] += starts[idx];
        }
        let mut next = starts.clone();
        let mut samples = vec![Sample { timestamp: 0, value: 0.0 }; self.samples.len()];
        for (series, sample) in self.series.iter().zip(&self.samples) {
            let at = &mut next[*series as usize];
            samples[*at as usize] = *sample;
            *at += 1;
        }
        for bounds in starts.windows(2) {
            let own = &mut samples[bounds[0] as usize..bounds[1] as usize];
            if !own.is_sorted_by_key(|sample| sample.timestamp) {
                own.sort_by_key(|sample| sample.timestamp);
            }
        }
        SeriesSamples { samples, starts, _memory: self.memory }
    }
}

impl SeriesSamples {
    pub(super) fn of(&self, series: usize) -> &[Sample] {
        &self.samples[self.starts[series] as usize..self.starts[series + 1] as usize]
    }

    /// The series in order of their first samples: the same, mostly, however the store keeps its entries, so that sums are too.
    pub(super) fn by_time(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.starts.len() as u32 - 1).collect();
        let first = |series: &u32| self.of(*series as usize).first();
        let key = |series: &u32| first(series).map(|first| (first.timestamp, first.value.to_bits()));
        order.sort_by_key(key);
        order
    }
}

/// The value of each window that has samples, with both its ends moving forward over them.
pub(super) fn slide<'a>(
    aggregation: &RangeAggregation,
    samples: &'a [Sample],
    windows: Windows,
    scratch: &'a mut Vec<f64>,
) -> impl Iterator<Item = (usize, f64)> + 'a {
    let (op, parameter) = (aggregation.op, aggregation.parameter.unwrap_or(f64::NAN));
    let (mut low, mut high) = (0, 0);
    let first = samples.first().map_or(0, |sample| windows.steps_of(sample.timestamp).0);
    let last = samples.last().map_or(0, |sample| windows.steps_of(sample.timestamp).1);
    (first..last).filter_map(move |step| {
        let end: TimestampNs = windows.steps.at(step).saturating_sub(windows.offset);
        let start = end.saturating_sub(windows.range);
        while high < samples.len() && samples[high].timestamp <= end {
            high += 1;
        }
        while low < high && samples[low].timestamp <= start {
            low += 1;
        }
        let window = Window { end, range: windows.range };
        (low < high).then(|| (step, aggregate(op, parameter, &samples[low..high], window, scratch)))
    })
}
