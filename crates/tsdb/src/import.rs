//! Blocks from samples that come from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metric_storage_api::SampleColumns;
use model::Labels;
use sys::Fs;

use crate::block::meta::BlockCompaction;
use crate::block::ulid::new_ulid;
use crate::block::writer::{BlockWriter, ChunkToWrite};
use crate::compact::encoding_byte;
use crate::options::DbOptions;
use crate::{Error, Result, reencode};

/// Writes a block of these series into `parent`, which must exist, and returns its directory; nothing where there is no
/// sample. A series' samples are in order of time, none twice. The block's time range is that of its samples.
///
/// # Errors
/// Where it cannot be written.
pub fn write_block(
    fs: &Arc<dyn Fs>,
    parent: &Path,
    series: &BTreeMap<Labels, SampleColumns>,
    now_ms: i64,
) -> Result<Option<PathBuf>> {
    let mut symbols = BTreeSet::new();
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for (labels, columns) in series {
        for (name, value) in labels.iter() {
            symbols.insert(name);
            symbols.insert(value);
        }
        min = min.min(columns.timestamps.first().copied().unwrap_or(min));
        max = max.max(columns.timestamps.last().copied().unwrap_or(max));
    }
    if min > max {
        return Ok(None);
    }
    let ulid = new_ulid(now_ms);
    let symbols = symbols.into_iter().map(str::to_owned).collect();
    let segment_bytes = DbOptions::default().block_chunk_segment_bytes;
    let mut writer = BlockWriter::new(fs, parent, &ulid, symbols, segment_bytes)?;
    for (labels, columns) in series {
        let written = add(&mut writer, labels, columns);
        if let Err(error) = written {
            writer.abandon();
            return Err(error);
        }
    }
    let compaction = BlockCompaction { level: 1, sources: vec![ulid.clone()], ..BlockCompaction::default() };
    writer.finish(ulid, (min, max + 1), compaction)
}

fn add(writer: &mut BlockWriter, labels: &Labels, columns: &SampleColumns) -> Result<()> {
    let chunks =
        reencode::chunks(columns).map_err(|error| Error::corrupt(format!("samples of {labels}"), error))?;
    let chunks: Vec<ChunkToWrite<'_>> = chunks
        .iter()
        .map(|chunk| ChunkToWrite {
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            encoding: encoding_byte(chunk.encoding),
            data: &chunk.data,
        })
        .collect();
    writer.add_series(labels, &chunks)
}
