//! Taking damage out of blocks: what can be read is written anew, what was there is kept aside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::Fs;

use crate::block::meta::BlockCompaction;
use crate::block::ulid::new_ulid;
use crate::block::writer::BlockWriter;
use crate::chunk_handle::{ChunkHandle, ChunkSource};
use crate::compact::write_series;
use crate::db::open::ASIDE_DIR;
use crate::inspect::{StoredBlock, StoredChunk};
use crate::options::DbOptions;
use crate::{Error, Result};

/// What became of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The block with what could be read; `None` where nothing could.
    pub block: Option<PathBuf>,
    /// Where the damaged one is now.
    pub aside: PathBuf,
    /// Series and chunks that are lost.
    pub lost_series: u64,
    /// Chunks that are lost, of series that are not.
    pub lost_chunks: u64,
}

/// Writes a damaged block anew without its damage and moves it to `x-damaged/` of the data directory. No server may be
/// running on the directory.
///
/// # Errors
/// Where the new block cannot be written or the old one cannot be moved.
pub fn repair_block(fs: &Arc<dyn Fs>, dir: &Path, block_dir: &Path, now_ms: i64) -> Result<Repaired> {
    let mut repaired = Repaired::default();
    // A block whose index is gone has nothing that could be told apart.
    if let Ok(block) = StoredBlock::open(&**fs, block_dir) {
        repaired.block = rewrite(fs, dir, &block, now_ms, &mut repaired)?;
    }
    let aside = dir.join(ASIDE_DIR);
    fs.create_dir_all(&aside).map_err(Error::io("create", &aside))?;
    let name = block_dir.file_name().unwrap_or_default();
    repaired.aside = aside.join(name);
    fs.rename(block_dir, &repaired.aside).map_err(Error::io("rename", block_dir))?;
    for synced in [&aside, dir] {
        fs.sync_dir(synced).map_err(Error::io("sync", synced))?;
    }
    Ok(repaired)
}

fn rewrite(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    stored: &StoredBlock,
    now_ms: i64,
    repaired: &mut Repaired,
) -> Result<Option<PathBuf>> {
    let block = &stored.block;
    let index = block.index();
    let (mut readable, mut symbols) = (Vec::new(), BTreeSet::new());
    let mut metas = Vec::new();
    for series in index.all_series().unwrap_or_default() {
        metas.clear();
        let Ok(labels) = index.series(series, &mut metas) else {
            repaired.lost_series += 1;
            continue;
        };
        for (name, value) in labels.iter() {
            symbols.insert(name.to_owned());
            symbols.insert(value.to_owned());
        }
        readable.push((labels, series, metas.clone()));
    }
    // The order in a damaged index may be part of the damage.
    readable.sort_by(|a, b| a.0.cmp(&b.0));
    let found = readable.len();
    readable.dedup_by(|a, b| a.0 == b.0);
    repaired.lost_series += (found - readable.len()) as u64;
    let ulid = new_ulid(now_ms);
    let segment_bytes = DbOptions::default().block_chunk_segment_bytes;
    let mut writer = BlockWriter::new(fs, dir, &ulid, symbols.into_iter().collect(), segment_bytes)?;
    let tombstones = block.tombstones();
    for (labels, series, metas) in readable {
        let is_good = |chunk: &StoredChunk| {
            stored.samples(*chunk).is_ok_and(|columns| {
                let times = &columns.timestamps;
                times.is_sorted_by(|a, b| a < b)
                    && times.first() == Some(&chunk.min_time)
                    && times.last() == Some(&chunk.max_time)
            })
        };
        let mut handles = Vec::new();
        for meta in &metas {
            let (min_time, max_time, reference) = (meta.min_time, meta.max_time, meta.reference);
            if is_good(&StoredChunk { min_time, max_time, reference }) {
                let source = ChunkSource::Block { block: Arc::clone(block), reference };
                handles.push(ChunkHandle { min_time, max_time, source });
            } else {
                repaired.lost_chunks += 1;
            }
        }
        let holes = tombstones.of(series);
        let chunks = handles.iter().map(|handle| (handle, holes)).collect();
        if let Err(error) = write_series(&mut writer, &labels, chunks, (i64::MIN, i64::MAX)) {
            writer.abandon();
            return Err(error);
        }
    }
    let old = &block.meta;
    let compaction = BlockCompaction { parents: Vec::new(), ..old.compaction.clone() };
    writer.finish(ulid, (old.min_time, old.max_time), compaction)
}
