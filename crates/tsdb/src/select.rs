//! Series out of several sources (head, blocks) put together and read as one.

use std::borrow::Cow;
use std::sync::Arc;

use chunk_encoding::ENCODING_XOR;
use metric_storage_api::{EncodedChunk, SampleColumns, SeriesReader, StorageError};
use model::{Labels, TimeRange, TimestampMs};
use resources::{RequestContext, Reservation};
use smallvec::{SmallVec, smallvec};

use crate::chunk_handle::{ChunkHandle, api_encoding};
use crate::head::read::{HeadLabels, HeadSelection};
use crate::head::series::decode_chunk;
use crate::{Error, intervals};

/// What one source has of a series.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceSeries {
    pub(crate) chunks: Vec<ChunkHandle>,
    /// Ranges deleted in this source.
    pub(crate) tombstones: Arc<[(i64, i64)]>,
}

impl SourceSeries {
    pub(crate) fn heap_bytes(&self) -> usize {
        use crate::chunk_handle::ChunkSource;
        let copied = |chunk: &ChunkHandle| match &chunk.source {
            ChunkSource::Memory { data, .. } => data.len(),
            ChunkSource::HeadFile { .. } | ChunkSource::Mapped { .. } | ChunkSource::Block { .. } => 0,
        };
        self.chunks.len() * size_of::<ChunkHandle>() + self.chunks.iter().map(copied).sum::<usize>()
    }

    /// Whether a chunk is known to hold native histograms.
    pub(crate) fn has_histograms(&self) -> bool {
        self.chunks.iter().any(|chunk| chunk.source.encoding() != Some(ENCODING_XOR))
    }

    /// Appends the samples in `range`.
    pub(crate) fn read(
        &self,
        ctx: &RequestContext,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), StorageError> {
        let damaged = |error: &dyn std::fmt::Display| Error::corrupt("a chunk of the head", error).into();
        read_sources(ctx, std::slice::from_ref(self), range, out, &damaged)
    }
}

/// One selected series.
#[derive(Debug)]
pub(crate) struct MergedSeries {
    labels: SeriesLabels,
    sources: SmallVec<[SourceSeries; 1]>,
    /// The memory that the whole selection holds.
    _held: Arc<Reservation>,
}

/// A label set that is there, or one that is put together when it is asked for.
#[derive(Debug)]
enum SeriesLabels {
    Ready(Labels),
    InHead { selection: Arc<HeadLabels>, at: usize },
}

/// Joins series with equal labels. Those of one source come together; the result is in label order where `sorted` is
/// asked for or more than one source was read.
pub(crate) fn merge(
    mut found: Vec<(Labels, SourceSeries)>,
    sorted: bool,
    limit: usize,
    held: Reservation,
) -> Vec<Arc<dyn SeriesReader>> {
    if sorted {
        found.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let held = Arc::new(held);
    let mut merged: Vec<MergedSeries> = Vec::new();
    for (labels, source) in found {
        match merged.last_mut() {
            Some(last) if last.labels.is(&labels) => last.sources.push(source),
            _ => merged.push(MergedSeries {
                labels: SeriesLabels::Ready(labels),
                sources: smallvec![source],
                _held: Arc::clone(&held),
            }),
        }
    }
    if limit > 0 {
        merged.truncate(limit);
    }
    merged.into_iter().map(|series| Arc::new(series) as Arc<dyn SeriesReader>).collect()
}

/// Series of the head alone, at most `limit` unless that is 0.
pub(crate) fn from_head(
    selection: HeadSelection,
    limit: usize,
    held: Reservation,
) -> Vec<Arc<dyn SeriesReader>> {
    let (labels, held) = (Arc::new(selection.labels), Arc::new(held));
    let limit = if limit == 0 { usize::MAX } else { limit };
    let series = selection.sources.into_iter().take(limit).map(|(at, source)| {
        let labels = SeriesLabels::InHead { selection: Arc::clone(&labels), at };
        Arc::new(MergedSeries { labels, sources: smallvec![source], _held: Arc::clone(&held) })
            as Arc<dyn SeriesReader>
    });
    series.collect()
}

impl SeriesLabels {
    fn is(&self, other: &Labels) -> bool {
        matches!(self, Self::Ready(labels) if labels == other)
    }

    fn get(&self) -> Labels {
        match self {
            Self::Ready(labels) => labels.clone(),
            Self::InHead { selection, at } => selection.labels(*at),
        }
    }
}

/// A chunk and what is deleted from it.
type ChunkInRange<'a> = (&'a ChunkHandle, &'a [(i64, i64)]);

/// Chunks that overlap `range` in order of time, with what is deleted from them.
fn chunks_in(sources: &[SourceSeries], range: TimeRange) -> SmallVec<[ChunkInRange<'_>; 8]> {
    let mut chunks: SmallVec<[ChunkInRange<'_>; 8]> = SmallVec::new();
    for source in sources {
        let overlapping = source
            .chunks
            .iter()
            .filter(|chunk| range.overlaps(TimeRange::new(chunk.min_time, chunk.max_time)));
        chunks.extend(overlapping.map(|chunk| (chunk, &*source.tombstones)));
    }
    chunks.sort_by_key(|(chunk, _)| (chunk.min_time, chunk.max_time));
    chunks
}

fn read_sources(
    ctx: &RequestContext,
    sources: &[SourceSeries],
    range: TimeRange,
    out: &mut SampleColumns,
    damaged: &dyn Fn(&dyn std::fmt::Display) -> StorageError,
) -> Result<(), StorageError> {
    let mut buf = Vec::new();
    let mut scratch = SampleColumns::default();
    for (chunk, deleted) in chunks_in(sources, range) {
        ctx.check()?;
        let (encoding, data) = chunk.load(&mut buf)?;
        let in_order = out.timestamps.last().is_none_or(|last| *last < chunk.min_time);
        if in_order && deleted.is_empty() {
            let start = out.len();
            decode_chunk(encoding, data, range.end, out).map_err(|error| damaged(&error))?;
            trim(out, start, range);
            continue;
        }
        scratch.clear();
        decode_chunk(encoding, data, range.end, &mut scratch).map_err(|error| damaged(&error))?;
        trim(&mut scratch, 0, range);
        if !deleted.is_empty() {
            scratch = keep(&scratch, |_, timestamp| !intervals::contains(deleted, timestamp));
        }
        *out = merge_columns(std::mem::take(out), &scratch);
    }
    Ok(())
}

impl MergedSeries {
    fn damaged(&self, error: &dyn std::fmt::Display) -> StorageError {
        Error::corrupt(format!("a chunk of {}", self.labels.get()), error).into()
    }
}

impl SeriesReader for MergedSeries {
    fn labels(&self) -> Labels {
        self.labels.get()
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.labels {
            SeriesLabels::Ready(labels) => labels.get(name).map(Cow::Borrowed),
            SeriesLabels::InHead { selection, at } => selection.label(*at, name).map(Cow::Owned),
        }
    }

    fn read(
        &self,
        ctx: &RequestContext,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), StorageError> {
        read_sources(ctx, &self.sources, range, out, &|error| self.damaged(error))
    }

    fn chunks(&self, ctx: &RequestContext, range: TimeRange) -> Result<Vec<EncodedChunk>, StorageError> {
        let mut out = Vec::new();
        let mut buf = Vec::new();
        for (chunk, deleted) in chunks_in(&self.sources, range) {
            ctx.check()?;
            if !deleted.is_empty() && intervals::covers(deleted, chunk.min_time, chunk.max_time) {
                continue;
            }
            let (encoding, data) = chunk.load(&mut buf)?;
            if deleted.iter().any(|hole| hole.0 <= chunk.max_time && chunk.min_time <= hole.1) {
                let mut columns = SampleColumns::default();
                decode_chunk(encoding, data, i64::MAX, &mut columns).map_err(|error| self.damaged(&error))?;
                let kept = keep(&columns, |_, timestamp| !intervals::contains(deleted, timestamp));
                out.extend(crate::reencode::chunks(&kept).map_err(|error| self.damaged(&error))?);
                continue;
            }
            let unknown = || self.damaged(&"unknown chunk encoding");
            let encoding = api_encoding(encoding).ok_or_else(unknown)?;
            let (min_time, max_time) = (chunk.min_time, chunk.max_time);
            out.push(EncodedChunk { min_time, max_time, encoding, data: data.into() });
        }
        Ok(out)
    }
}

/// Takes away samples from `start` on that lie outside `range`.
fn trim(columns: &mut SampleColumns, start: usize, range: TimeRange) {
    let added = &columns.timestamps[start..];
    let end = start + added.partition_point(|timestamp| *timestamp <= range.end);
    let skip = added.partition_point(|timestamp| *timestamp < range.start);
    columns.timestamps.truncate(end);
    columns.values.truncate(end);
    columns.histograms.truncate(end);
    if skip > 0 {
        let skipped = start..(start + skip).min(end);
        columns.timestamps.drain(skipped.clone());
        columns.values.drain(skipped.clone());
        if !columns.histograms.is_empty() {
            columns.histograms.drain(skipped);
        }
    }
}

/// The samples that `wanted` accepts.
pub(crate) fn keep(columns: &SampleColumns, wanted: impl Fn(usize, TimestampMs) -> bool) -> SampleColumns {
    let mut kept = SampleColumns::default();
    for idx in 0..columns.len() {
        if wanted(idx, columns.timestamps[idx]) {
            push_from(&mut kept, columns, idx);
        }
    }
    kept
}

/// Merges two runs of samples; of two at one time the first run's stays.
pub(crate) fn merge_columns(first: SampleColumns, second: &SampleColumns) -> SampleColumns {
    if second.is_empty() {
        return first;
    }
    let mut merged = SampleColumns::default();
    let (mut a, mut b) = (0, 0);
    while a < first.len() || b < second.len() {
        let take_first = match (first.timestamps.get(a), second.timestamps.get(b)) {
            (Some(x), Some(y)) => {
                // Equal times: the second's copy is dropped.
                b += usize::from(x == y);
                x <= y
            }
            (first_time, _) => first_time.is_some(),
        };
        if take_first {
            push_from(&mut merged, &first, a);
            a += 1;
        } else {
            push_from(&mut merged, second, b);
            b += 1;
        }
    }
    merged
}

fn push_from(out: &mut SampleColumns, from: &SampleColumns, idx: usize) {
    match from.histograms.get(idx).cloned().flatten() {
        Some(histogram) => out.push_histogram(from.timestamps[idx], histogram),
        None => out.push(from.timestamps[idx], from.values[idx]),
    }
}
