//! A block from the head's samples of a range.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, TimeRange};
use sys::Fs;

use super::write_series;
use crate::Result;
use crate::block::meta::BlockCompaction;
use crate::block::ulid::new_ulid;
use crate::block::writer::BlockWriter;
use crate::head::label_index::PairId;
use crate::head::{Head, SeriesId, slot_of};
use crate::select::SourceSeries;

/// Which of the head's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Samples {
    /// Those that came in order.
    InOrder,
    /// Those that came late and lie in closed chunks.
    Late,
    /// All, for a snapshot.
    All,
}

/// What block to make.
#[derive(Debug)]
pub(crate) struct HeadBlock<'a> {
    pub(crate) parent: &'a Path,
    /// The first millisecond, and the first one after the block.
    pub(crate) range: (i64, i64),
    pub(crate) samples: Samples,
    pub(crate) segment_bytes: u64,
    pub(crate) now_ms: i64,
    pub(crate) hints: Vec<String>,
}

/// Writes the block and returns its directory, or nothing where there is no sample.
pub(crate) fn write(fs: &Arc<dyn Fs>, head: &Head, block: &HeadBlock<'_>) -> Result<Option<PathBuf>> {
    let (order, symbols) = in_label_order(head);
    if order.is_empty() {
        return Ok(None);
    }
    let ulid = new_ulid(block.now_ms);
    let mut writer = BlockWriter::new(fs, block.parent, &ulid, symbols, block.segment_bytes)?;
    let range = (block.range.0, block.range.1 - 1);
    let mut written = Ok(());
    for series in order {
        let Some((labels, source)) = collect(head, series, block.samples, range) else { continue };
        let chunks = source.chunks.iter().map(|chunk| (chunk, &*source.tombstones)).collect();
        written = write_series(&mut writer, &labels, chunks, range);
        if written.is_err() {
            break;
        }
    }
    if let Err(error) = written {
        writer.abandon();
        return Err(error);
    }
    let compaction = BlockCompaction {
        level: 1,
        sources: vec![ulid.clone()],
        hints: block.hints.clone(),
        ..BlockCompaction::default()
    };
    writer.finish(ulid, block.range, compaction)
}

/// All series in label order, and all symbols sorted. Pairs are ranked once, so that series compare as numbers.
fn in_label_order(head: &Head) -> (Vec<SeriesId>, Vec<String>) {
    let index = head.index.read();
    let mut pairs: Vec<PairId> = index.pairs_in_use().collect();
    pairs.sort_unstable_by(|a, b| index.pair(*a).cmp(&index.pair(*b)));
    let mut ranks = vec![0u32; pairs.iter().max().map_or(0, |max| *max as usize + 1)];
    for (rank, pair) in pairs.iter().enumerate() {
        ranks[*pair as usize] = rank as u32;
    }
    let mut series: Vec<(Box<[u32]>, SeriesId)> = Vec::with_capacity(index.all().len() as usize);
    for id in index.all() {
        if let Some(found) = head.shard(id).get(slot_of(id)) {
            series.push((found.pairs.iter().map(|pair| ranks[*pair as usize]).collect(), id));
        }
    }
    let mut symbols: Vec<String> = Vec::new();
    for pair in &pairs {
        let (name, value) = index.pair(*pair);
        symbols.push(name.to_owned());
        symbols.push(value.to_owned());
    }
    drop(index);
    series.sort_unstable();
    symbols.sort_unstable();
    symbols.dedup();
    (series.into_iter().map(|(_, id)| id).collect(), symbols)
}

fn collect(
    head: &Head,
    id: SeriesId,
    samples: Samples,
    (min, max): (i64, i64),
) -> Option<(Labels, SourceSeries)> {
    let _visible = head.visibility.read();
    let index = head.index.read();
    let shard = head.shard(id);
    let series = shard.get(slot_of(id))?;
    let mut source = SourceSeries::default();
    let range = TimeRange::new(min, max);
    if samples != Samples::Late {
        head.collect_in_order(series, range, &mut source);
    }
    if samples != Samples::InOrder {
        head.collect_late(series, range, &mut source);
    }
    head.collect_tombstones(series, &mut source);
    (!source.chunks.is_empty()).then(|| (index.labels(&series.pairs), source))
}
