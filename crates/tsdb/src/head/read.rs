//! Taking out of the head what a query needs: labels, places of closed chunks, copies of open ones.

use std::sync::Arc;

use chunk_encoding::ENCODING_XOR;
use go_regex::CompiledMatcher;
use metric_storage_api::StorageError;
use model::{Labels, TimeRange};
use resources::{RequestContext, Reservation};
use roaring::RoaringBitmap;

use super::chunk_files::{ChunkBytes, ClosedChunk};
use super::series::{Series, encode_late};
use super::{Head, slot_of};
use crate::chunk_handle::{ChunkHandle, ChunkSource};
use crate::select::SourceSeries;

/// Series between two looks at whether the request still wants them.
const CHECK_EVERY: usize = 256;

impl Head {
    /// The series that match, with their chunks in `range`. Series without such chunks are left out, unless only labels
    /// are wanted.
    pub(crate) fn select(
        &self,
        ctx: &RequestContext,
        matchers: &[CompiledMatcher],
        range: TimeRange,
        labels_only: bool,
        held: &mut Reservation,
    ) -> Result<Vec<(Labels, SourceSeries)>, StorageError> {
        let _visible = self.visibility.read();
        let index = self.index.read();
        let matching = index.select(matchers);
        let mut out = Vec::new();
        for (idx, id) in matching.iter().enumerate() {
            if idx % CHECK_EVERY == 0 {
                ctx.check()?;
            }
            let shard = self.shard(id);
            let Some(series) = shard.get(slot_of(id)) else { continue };
            let mut source = SourceSeries::default();
            if labels_only {
                if !has_samples(series, range) {
                    continue;
                }
            } else {
                self.collect_chunks(series, range, &mut source);
                if source.chunks.is_empty() {
                    continue;
                }
            }
            let labels = index.labels(&series.pairs);
            held.grow((labels.heap_bytes() + source.heap_bytes()) as u64)?;
            out.push((labels, source));
        }
        Ok(out)
    }

    /// Series that match any of the selectors; all where there is none.
    pub(crate) fn select_any(&self, selectors: &[Vec<CompiledMatcher>]) -> RoaringBitmap {
        let index = self.index.read();
        match selectors {
            [] => index.all().clone(),
            _ => selectors.iter().fold(RoaringBitmap::new(), |all, one| all | index.select(one)),
        }
    }

    /// The chunks of a series that overlap `range`, and what is deleted from them.
    pub(crate) fn collect_chunks(&self, series: &Series, range: TimeRange, out: &mut SourceSeries) {
        self.collect_in_order(series, range, out);
        self.collect_late(series, range, out);
        self.collect_tombstones(series, out);
    }

    /// Chunks of samples that came in order.
    pub(crate) fn collect_in_order(&self, series: &Series, range: TimeRange, out: &mut SourceSeries) {
        self.collect_closed(&series.closed, range, out);
        if let Some((min_time, max_time, encoding, data)) = series.open_chunk()
            && range.overlaps(TimeRange::new(min_time, max_time))
        {
            let source = ChunkSource::Memory { encoding, data: Arc::from(data) };
            out.chunks.push(ChunkHandle { min_time, max_time, source });
        }
    }

    /// Chunks of samples that came late, and those samples that are in no chunk yet.
    pub(crate) fn collect_late(&self, series: &Series, range: TimeRange, out: &mut SourceSeries) {
        let Some(extra) = &series.extra else { return };
        self.collect_closed(&extra.late_closed, range, out);
        if let (Some(first), Some(last)) = (extra.late.first(), extra.late.last())
            && range.overlaps(TimeRange::new(first.0, last.0))
        {
            let source =
                ChunkSource::Memory { encoding: ENCODING_XOR, data: encode_late(&extra.late).into() };
            out.chunks.push(ChunkHandle { min_time: first.0, max_time: last.0, source });
        }
    }

    /// What is deleted from a series.
    pub(crate) fn collect_tombstones(&self, series: &Series, out: &mut SourceSeries) {
        if let Some(extra) = &series.extra
            && !extra.tombstones.is_empty()
        {
            out.tombstones = extra.tombstones.as_slice().into();
        }
    }

    fn collect_closed(&self, chunks: &[ClosedChunk], range: TimeRange, out: &mut SourceSeries) {
        for chunk in chunks {
            if !range.overlaps(TimeRange::new(chunk.min_time, chunk.max_time)) {
                continue;
            }
            let source = match self.files.locate(chunk) {
                Some(ChunkBytes::File(file)) => ChunkSource::HeadFile { file, chunk: *chunk },
                Some(ChunkBytes::Copied(data)) => {
                    ChunkSource::Memory { encoding: chunk.encoding, data: data.into() }
                }
                None => continue,
            };
            out.chunks.push(ChunkHandle { min_time: chunk.min_time, max_time: chunk.max_time, source });
        }
    }
}

fn has_samples(series: &Series, range: TimeRange) -> bool {
    let overlaps = |min, max| range.overlaps(TimeRange::new(min, max));
    series.closed.iter().any(|chunk| overlaps(chunk.min_time, chunk.max_time))
        || series.open_chunk().is_some_and(|(min, max, ..)| overlaps(min, max))
        || series.extra.as_ref().is_some_and(|extra| {
            extra.late_closed.iter().any(|chunk| overlaps(chunk.min_time, chunk.max_time))
                || extra.late.iter().any(|sample| range.contains(sample.0))
        })
}
