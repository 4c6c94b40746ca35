//! One block from several, series by series in label order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Labels;
use sys::Fs;

use super::write_series;
use crate::Result;
use crate::block::Block;
use crate::block::index::ChunkMeta;
use crate::block::meta::{BlockCompaction, BlockParent, HINT_LATE};
use crate::block::tombstones::Tombstones;
use crate::block::ulid::new_ulid;
use crate::block::writer::BlockWriter;
use crate::chunk_handle::{ChunkHandle, ChunkSource};

/// Merges blocks into one in `parent` and returns its directory, or nothing where all samples are deleted.
pub(crate) fn merge(
    fs: &Arc<dyn Fs>,
    parent: &Path,
    blocks: &[Arc<Block>],
    segment_bytes: u64,
    now_ms: i64,
) -> Result<Option<PathBuf>> {
    let mut symbols = BTreeSet::new();
    for block in blocks {
        block.index().each_symbol(|symbol| {
            if !symbols.contains(symbol) {
                symbols.insert(symbol.to_owned());
            }
        })?;
    }
    let ulid = new_ulid(now_ms);
    let symbols: Vec<String> = symbols.into_iter().collect();
    let mut writer = BlockWriter::new(fs, parent, &ulid, symbols, segment_bytes)?;
    if let Err(error) = merge_series(&mut writer, blocks) {
        writer.abandon();
        return Err(error);
    }
    let min = blocks.iter().map(|block| block.meta.min_time).min().unwrap_or(0);
    let max = blocks.iter().map(|block| block.meta.max_time).max().unwrap_or(0);
    writer.finish(ulid, (min, max), compaction_of(blocks))
}

fn compaction_of(blocks: &[Arc<Block>]) -> BlockCompaction {
    let sources: BTreeSet<String> =
        blocks.iter().flat_map(|block| block.meta.compaction.sources.iter().cloned()).collect();
    let parents = blocks.iter().map(|block| BlockParent {
        ulid: block.meta.ulid.clone(),
        min_time: block.meta.min_time,
        max_time: block.meta.max_time,
    });
    let level = blocks.iter().map(|block| block.meta.compaction.level).max().unwrap_or(0);
    BlockCompaction {
        // Written anew by itself a block stays what it is.
        level: if blocks.len() > 1 { level + 1 } else { level.max(1) },
        sources: sources.into_iter().collect(),
        parents: parents.collect(),
        hints: if blocks.iter().all(|block| block.meta.is_late()) {
            vec![HINT_LATE.to_owned()]
        } else {
            vec![]
        },
        ..BlockCompaction::default()
    }
}

/// Walks over a block's series in label order.
struct Cursor {
    block: Arc<Block>,
    tombstones: Arc<Tombstones>,
    series: std::vec::IntoIter<u64>,
    current: Option<(Labels, u64, Vec<ChunkMeta>)>,
}

impl Cursor {
    fn open(block: &Arc<Block>) -> Result<Self> {
        let mut cursor = Self {
            block: Arc::clone(block),
            tombstones: block.tombstones(),
            series: block.index().all_series()?.into_iter(),
            current: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<()> {
        self.current = None;
        if let Some(series) = self.series.next() {
            let mut chunks = Vec::new();
            let labels = self.block.index().series(series, &mut chunks)?;
            self.current = Some((labels, series, chunks));
        }
        Ok(())
    }
}

fn merge_series(writer: &mut BlockWriter, blocks: &[Arc<Block>]) -> Result<()> {
    let mut cursors = blocks.iter().map(Cursor::open).collect::<Result<Vec<_>>>()?;
    loop {
        let lowest =
            cursors.iter().filter_map(|cursor| cursor.current.as_ref()).map(|current| &current.0).min();
        let Some(labels) = lowest.cloned() else { return Ok(()) };
        let mut handles: Vec<(ChunkHandle, Vec<(i64, i64)>)> = Vec::new();
        for cursor in &mut cursors {
            let Some((found, series, chunks)) = &cursor.current else { continue };
            if found.cmp(&labels) != Ordering::Equal {
                continue;
            }
            let holes = cursor.tombstones.of(*series);
            handles.extend(chunks.iter().map(|chunk| {
                let source =
                    ChunkSource::Block { block: Arc::clone(&cursor.block), reference: chunk.reference };
                (ChunkHandle { min_time: chunk.min_time, max_time: chunk.max_time, source }, holes.to_vec())
            }));
            cursor.advance()?;
        }
        let chunks = handles.iter().map(|(handle, holes)| (handle, holes.as_slice())).collect();
        write_series(writer, &labels, chunks, (i64::MIN, i64::MAX))?;
    }
}
