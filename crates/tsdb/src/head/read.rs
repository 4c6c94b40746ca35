//! Taking out of the head what a query needs: labels, places of closed chunks, copies of open ones.

use std::sync::Arc;

use chunk_encoding::ENCODING_XOR;
use go_regex::CompiledMatcher;
use hashbrown::HashMap;
use metric_storage_api::{AggregationHint, SeriesGroups, StorageError};
use model::{Labels, TimeRange};
use parking_lot::RwLock;
use resources::{RequestContext, Reservation};
use roaring::RoaringBitmap;

use super::chunk_files::{ChunkBytes, ChunkFile, ClosedChunk, MappedFile};
use super::group_numbers::GroupNumbers;
use super::label_index::{LabelIndex, PairId, SymbolId};
use super::label_pins::LabelPin;
use super::series::{Series, encode_late};
use super::{Head, slot_of};
use crate::chunk_handle::{ChunkHandle, ChunkSource};
use crate::select::SourceSeries;

/// Series between two looks at whether the request still wants them.
const CHECK_EVERY: usize = 256;
/// Fewer chunks than this are read one by one.
const MAPPED_CHUNKS_MIN: usize = 128;
/// What a selected series takes beside its labels and chunks.
const SERIES_BYTES: usize = 160;

/// Series taken out of the head.
#[derive(Debug)]
pub(crate) struct HeadSelection {
    pub(crate) labels: HeadLabels,
    /// Each with its place in `labels`.
    pub(crate) sources: Vec<(usize, SourceSeries)>,
    /// The groups that were asked for, in the order of `sources`.
    pub(crate) groups: Option<SeriesGroups>,
}

/// Labels of selected series by number: texts are put together for who asks.
#[derive(Debug)]
pub(crate) struct HeadLabels {
    index: Arc<RwLock<LabelIndex>>,
    _pin: LabelPin,
    pairs: Vec<PairId>,
    /// Where the pairs of each series end.
    ends: Vec<u32>,
}

/// What is wanted of the series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRequest<'a> {
    pub(crate) matchers: &'a [CompiledMatcher],
    pub(crate) range: TimeRange,
    /// No chunks.
    pub(crate) labels_only: bool,
    /// In label order.
    pub(crate) sorted: bool,
    pub(crate) grouping: Option<&'a AggregationHint>,
}

impl HeadLabels {
    fn pairs(&self, at: usize) -> &[PairId] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.pairs[start as usize..self.ends[at] as usize]
    }

    /// The label set of a series.
    pub(crate) fn labels(&self, at: usize) -> Labels {
        self.index.read().labels(self.pairs(at))
    }

    /// One label's value.
    pub(crate) fn label(&self, at: usize, name: &str) -> Option<String> {
        let index = self.index.read();
        let mut pairs = self.pairs(at).iter().map(|pair| index.pair(*pair));
        pairs.find(|pair| pair.0 == name).map(|(_, value)| value.to_owned())
    }

    /// The series in label order. Pairs are ranked once, so that series compare as numbers.
    fn in_order(&self, index: &LabelIndex) -> Vec<usize> {
        let mut used = self.pairs.clone();
        used.sort_unstable();
        used.dedup();
        let mut names: Vec<SymbolId> = used.iter().map(|pair| index.name_of(*pair)).collect();
        names.sort_unstable();
        names.dedup();
        names.sort_by(|a, b| index.text(*a).cmp(index.text(*b)));
        // By the rank of the name and the text of the value: few texts are compared, and no name.
        let rank_of_name: HashMap<SymbolId, usize> =
            names.iter().enumerate().map(|(rank, name)| (*name, rank)).collect();
        let key = |pair: PairId| (rank_of_name.get(&index.name_of(pair)).copied(), index.pair(pair).1);
        let mut sorted: Vec<_> = used.iter().map(|pair| (key(*pair), *pair)).collect();
        sorted.sort_unstable();
        let mut ranks = vec![0u32; used.last().map_or(0, |most| *most as usize + 1)];
        for (rank, (_, pair)) in sorted.iter().enumerate() {
            ranks[*pair as usize] = rank as u32;
        }
        let rank_of = |at: usize| self.pairs(at).iter().map(|pair| ranks[*pair as usize]);
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by(|a, b| rank_of(*a).cmp(rank_of(*b)));
        order
    }
}

impl Head {
    /// The series that match, with their chunks in `range`. Series without such chunks are left out, unless only labels
    /// are wanted. Writers wait only while chunks are taken, not while labels are looked at.
    pub(crate) fn select(
        &self,
        ctx: &RequestContext,
        request: &HeadRequest<'_>,
        held: &mut Reservation,
    ) -> Result<HeadSelection, StorageError> {
        let HeadRequest { matchers, range, labels_only, sorted, grouping } = *request;
        let visible = self.visibility.read();
        let index = self.index.read();
        let matching = index.select(matchers);
        let mut labels = HeadLabels {
            index: Arc::clone(&self.index),
            _pin: index.pin(),
            pairs: Vec::new(),
            ends: Vec::new(),
        };
        let mut sources = Vec::new();
        let mut unreserved = 0;
        for (idx, id) in matching.iter().enumerate() {
            if idx % CHECK_EVERY == 0 {
                ctx.check()?;
                held.grow(std::mem::take(&mut unreserved) as u64)?;
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
            labels.pairs.extend_from_slice(&series.pairs);
            labels.ends.push(labels.pairs.len() as u32);
            unreserved += source.heap_bytes() + SERIES_BYTES + series.pairs.len() * size_of::<PairId>();
            sources.push((sources.len(), source));
        }
        drop(visible);
        held.grow(unreserved as u64)?;
        self.map_files(&mut sources);
        if sorted {
            let order = labels.in_order(&index);
            let mut unsorted: Vec<Option<SourceSeries>> =
                sources.into_iter().map(|(_, source)| Some(source)).collect();
            sources = order.into_iter().map(|at| (at, unsorted[at].take().unwrap_or_default())).collect();
        }
        let mut groups = None;
        if let Some(grouping) = grouping {
            let mut numbers = GroupNumbers::new(&index, Some(grouping));
            sources.iter().for_each(|(at, _)| numbers.add(labels.pairs(*at)));
            let (numbered, bytes) = numbers.finish();
            held.grow(bytes)?;
            groups = Some(numbered);
        }
        Ok(HeadSelection { labels, sources, groups })
    }

    /// Maps the chunk files that much is taken from: a read of its own for each chunk costs more than decoding it.
    fn map_files(&self, sources: &mut [(usize, SourceSeries)]) {
        let mut files: Vec<(Arc<ChunkFile>, usize, Option<Arc<MappedFile>>)> = Vec::new();
        let chunks = sources.iter().flat_map(|(_, source)| &source.chunks);
        for chunk in chunks {
            let ChunkSource::HeadFile { file, .. } = &chunk.source else { continue };
            match files.iter_mut().find(|(known, ..)| Arc::ptr_eq(known, file)) {
                Some((_, count, _)) => *count += 1,
                None => files.push((Arc::clone(file), 1, None)),
            }
        }
        for (file, count, mapped) in &mut files {
            // What cannot be mapped is read.
            *mapped = if *count < MAPPED_CHUNKS_MIN { None } else { self.files.map(file).ok().map(Arc::new) };
        }
        files.retain(|(_, _, mapped)| mapped.is_some());
        if files.is_empty() {
            return;
        }
        for chunk in sources.iter_mut().flat_map(|(_, source)| &mut source.chunks) {
            let ChunkSource::HeadFile { file, chunk: place } = &chunk.source else { continue };
            let mapped = files.iter().find(|(known, ..)| Arc::ptr_eq(known, file));
            if let Some((_, _, Some(mapped))) = mapped {
                chunk.source = ChunkSource::Mapped { file: Arc::clone(mapped), chunk: *place };
            }
        }
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
        out.chunks.reserve_exact(series.closed.len() + 1);
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
