//! What goes into one request.

use std::collections::HashMap;

use model::TimestampMs;

use super::{Outgoing, OutgoingValue};
use crate::config::ProtocolVersion;
use crate::encode::{OutgoingSeries, encode_v1, encode_v2};

/// An item with its place in the log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) item: Outgoing,
}

/// Items in order.
#[derive(Clone, Debug)]
pub(super) struct Batch(Vec<Entry>);

impl Batch {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many samples, histograms and exemplars.
    pub(super) fn kinds(&self) -> [u64; 3] {
        let mut kinds = [0; 3];
        self.0.iter().for_each(|entry| kinds[entry.item.value.kind()] += 1);
        kinds
    }

    pub(super) fn newest(&self) -> TimestampMs {
        self.0.iter().map(|entry| entry.item.value.timestamp()).max().unwrap_or(0)
    }

    /// Whether any item stands before `sequence` in the log.
    pub(super) fn is_before(&self, sequence: u64) -> bool {
        self.0.first().is_some_and(|entry| entry.sequence < sequence)
    }

    /// Removes what is older than `oldest`; returns how many of each kind that were.
    pub(super) fn drop_before(&mut self, oldest: TimestampMs) -> [u64; 3] {
        let mut dropped = [0; 3];
        self.0.retain(|entry| {
            let stays = entry.item.value.timestamp() >= oldest;
            dropped[entry.item.value.kind()] += u64::from(!stays);
            stays
        });
        dropped
    }

    /// The two halves.
    pub(super) fn split(mut self) -> (Self, Self) {
        let second = self.0.split_off(self.0.len() / 2);
        (self, Self(second))
    }

    /// The request, compressed. CPU work.
    pub(super) fn encode(&self, version: ProtocolVersion) -> Vec<u8> {
        let series = self.by_series();
        let message = match version {
            ProtocolVersion::V1 => encode_v1(&series),
            ProtocolVersion::V2 => encode_v2(&series),
        };
        compress(&message)
    }

    fn by_series(&self) -> Vec<OutgoingSeries> {
        let mut places: HashMap<u64, usize> = HashMap::with_capacity(self.0.len());
        let mut series: Vec<OutgoingSeries> = Vec::new();
        for Entry { item, .. } in &self.0 {
            let place = *places.entry(item.series).or_insert_with(|| {
                let (labels, metadata) = (Some(item.labels.clone()), item.metadata.clone());
                series.push(OutgoingSeries { labels, metadata, ..OutgoingSeries::default() });
                series.len() - 1
            });
            let one = &mut series[place];
            match &item.value {
                OutgoingValue::Sample(timestamp, value) => one.samples.push((*timestamp, *value)),
                OutgoingValue::Histogram(timestamp, histogram) => {
                    one.histograms.push((*timestamp, histogram.clone()));
                }
                OutgoingValue::Exemplar(exemplar) => one.exemplars.push(exemplar.clone()),
            }
        }
        series
    }
}

/// Snappy's block format.
pub(super) fn compress(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; snap::raw::max_compress_len(message.len())];
    // It fails only where the buffer is too small or the message has more than 4 GiB.
    let length = snap::raw::Encoder::new().compress(message, &mut out).unwrap_or(0);
    out.truncate(length);
    out
}
