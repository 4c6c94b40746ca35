//! Series in the scripts' notation that come into the store as time goes on, as in rule unit tests.

use model::{Labels, TimestampMs};

use super::load::as_stored;
use super::sequence::{SequenceError, SequenceValue, parse_series_description};
use crate::{MemoryReader, MemoryValue};

/// Samples that are still to come, in order of time.
#[derive(Clone, Debug, Default)]
pub struct SeriesLoader {
    series: Vec<Labels>,
    samples: Vec<(TimestampMs, usize, SequenceValue)>,
    next: usize,
}

impl SeriesLoader {
    /// Adds a series: its metric with labels, and its values at `start`, `start + step`, …, all in ms.
    ///
    /// # Errors
    /// Where the notation is wrong.
    pub fn add(
        &mut self,
        series: &str,
        values: &str,
        start: TimestampMs,
        step: i64,
    ) -> Result<(), SequenceError> {
        let text = format!("{series} {values}").replace(['\n', '\r'], " ");
        let (labels, values) = parse_series_description(&text)?;
        let place = self.series.len();
        self.series.push(labels);
        for (nth, value) in values.into_iter().enumerate() {
            if value != SequenceValue::Omitted {
                self.samples.push((start + nth as i64 * step, place, value));
            }
        }
        let sorted_from = self.next;
        self.samples[sorted_from..].sort_by_key(|(time, place, _)| (*time, *place));
        Ok(())
    }

    /// Puts what is not later than `until` into the store.
    pub fn load_until(&mut self, store: &mut MemoryReader, until: TimestampMs) {
        while let Some((time, place, value)) = self.samples.get(self.next).filter(|(time, ..)| *time <= until)
        {
            let labels = &self.series[*place];
            let value = match value {
                SequenceValue::Omitted => None,
                SequenceValue::Float(value) => Some(MemoryValue::Float(*value)),
                SequenceValue::Histogram { histogram, .. } => {
                    Some(MemoryValue::Histogram(as_stored(store, labels, histogram)))
                }
            };
            if let Some(value) = value {
                store.add(labels, *time, &value, 0);
            }
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_in_their_time() {
        let mut loader = SeriesLoader::default();
        loader.add("a{b=\"c\"}", "1+1x3 _\n5", 1000, 10).expect("valid");
        loader.add("d", "stale 2", 1000, 10).expect("valid");
        assert!(loader.add("a{", "1", 0, 1).is_err());
        let mut store = MemoryReader::new();
        let mut count = |until| {
            loader.load_until(&mut store, until);
            let labels: Vec<Labels> = store.labels().cloned().collect();
            labels
                .iter()
                .filter_map(|labels| store.samples(labels))
                .map(|samples| samples.len())
                .sum::<usize>()
        };
        assert_eq!([count(999), count(1000), count(1010), count(5000)], [0, 2, 4, 7]);
    }
}
