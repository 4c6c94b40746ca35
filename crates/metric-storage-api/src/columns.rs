//! Samples of one series as columns.

use std::sync::Arc;

use model::{FloatHistogram, TimestampMs};

/// Samples of one series in order of time. All columns that are not empty have the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleColumns {
    /// When; strictly ascending.
    pub timestamps: Vec<TimestampMs>,
    /// Float values, staleness markers included. Where the sample is a histogram: its sum, or the staleness marker.
    pub values: Vec<f64>,
    /// Empty for a series without histograms; else one entry a sample, `None` where it is a float.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// Empty where no start timestamps are known; else one a sample, 0 where unknown.
    pub start_timestamps: Vec<TimestampMs>,
}

impl SampleColumns {
    /// The number of samples.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Empties all columns and keeps their memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps.clear();
    }

    /// Adds a float sample.
    pub fn push(&mut self, timestamp: TimestampMs, value: f64) {
        self.timestamps.push(timestamp);
        self.values.push(value);
        if !self.histograms.is_empty() {
            self.histograms.push(None);
        }
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
    }

    /// Adds a histogram.
    pub fn push_histogram(&mut self, timestamp: TimestampMs, histogram: Arc<FloatHistogram>) {
        self.histograms.resize(self.timestamps.len(), None);
        self.timestamps.push(timestamp);
        self.values.push(histogram.sum);
        self.histograms.push(Some(histogram));
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
    }

    /// The heap bytes in use, for memory budgets.
    pub fn heap_bytes(&self) -> u64 {
        let histograms = self.histograms.iter().flatten();
        let buckets: usize =
            histograms.map(|h| 160 + 8 * (h.positive_buckets.len() + h.negative_buckets.len())).sum();
        (self.timestamps.len() * 16 + self.histograms.len() * 8 + self.start_timestamps.len() * 8 + buckets)
            as u64
    }
}
