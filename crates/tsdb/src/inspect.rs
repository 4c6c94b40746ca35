//! Looking at what lies in a directory without opening it as a database: nothing is written, no lock is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::SampleColumns;
use model::Labels;
use sys::Fs;

use crate::block::Block;
use crate::block::index::ChunkMeta;
use crate::block::ulid::is_ulid;
use crate::head::series::decode_chunk;
use crate::stats::BlockInfo;
use crate::wal::reader::read_segment;
use crate::wal::{list_segments, segment_path};
use crate::{Error, Result};

/// The most problems of one block that are told.
const FAULTS_MAX: usize = 100;

/// A block, opened to be looked at.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    pub(crate) block: Arc<Block>,
    bytes: u64,
}

/// A chunk as the index describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Its first sample's time.
    pub min_time: i64,
    /// Its last sample's time.
    pub max_time: i64,
    pub(crate) reference: u64,
}

/// What reading a block whole has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockReport {
    /// Series found.
    pub series: u64,
    /// Chunks found.
    pub chunks: u64,
    /// Samples found.
    pub samples: u64,
    /// What is wrong, each with its place; a block can have more than the hundred that are kept.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub faults_count: u64,
}

/// What reading the logs has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Segments read.
    pub segments: u64,
    /// Records found.
    pub records: u64,
    /// Damage before whole records.
    pub faults: Vec<String>,
    /// Segments that end within a record, as they do after a kill.
    pub torn: Vec<String>,
}

/// The directories of all blocks, in order of their names.
///
/// # Errors
/// Where the directory cannot be listed.
pub fn block_dirs(fs: &dyn Fs, dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs.read_dir(dir).map_err(Error::io("list", dir))?;
    let blocks = entries.iter().filter(|entry| entry.is_dir && is_ulid(&entry.name));
    Ok(blocks.map(|entry| dir.join(&entry.name)).collect())
}

impl StoredBlock {
    /// Opens a block's directory.
    ///
    /// # Errors
    /// Where `meta.json`, the index or a chunk file cannot be used.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        let block = Block::open(fs, dir)?;
        let small = ["meta.json", "tombstones"].map(|name| fs.file_len(&dir.join(name)).unwrap_or(0));
        let bytes = block.bytes + small.iter().sum::<u64>();
        Ok(Self { block: Arc::new(block), bytes })
    }

    /// What the block says of itself; its size is that of all of its files.
    pub fn info(&self) -> BlockInfo {
        BlockInfo { bytes: self.bytes, ..self.block.info() }
    }

    /// All label names, sorted.
    pub fn label_names(&self) -> Vec<String> {
        self.block.index().label_names().map(str::to_owned).collect()
    }

    /// Hands out every series that passes the matchers with its chunks, in label order.
    ///
    /// # Errors
    /// Where the index is damaged, and those of `each`.
    pub fn each_series<E: From<Error>>(
        &self,
        matchers: &[CompiledMatcher],
        mut each: impl FnMut(&Labels, &[StoredChunk]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut metas: Vec<ChunkMeta> = Vec::new();
        for series in self.block.index().select(matchers)? {
            metas.clear();
            let labels = self.block.index().series(series, &mut metas)?;
            each(&labels, &stored(&metas))?;
        }
        Ok(())
    }

    /// A chunk's encoding and data, its checksum checked.
    ///
    /// # Errors
    /// Where it cannot be read or is damaged.
    pub fn read_chunk(&self, chunk: StoredChunk) -> Result<(u8, Vec<u8>)> {
        let mut data = Vec::new();
        let encoding = self.block.read_chunk(chunk.reference, &mut data)?;
        Ok((encoding, data))
    }

    /// A chunk's samples.
    ///
    /// # Errors
    /// As for [`Self::read_chunk`], and where the data do not decode.
    pub fn samples(&self, chunk: StoredChunk) -> Result<SampleColumns> {
        let (encoding, data) = self.read_chunk(chunk)?;
        let mut columns = SampleColumns::default();
        decode_chunk(encoding, &data, i64::MAX, &mut columns).map_err(|error| {
            let place = format!("{}, chunk {:#x}", self.block.dir.display(), chunk.reference);
            Error::corrupt(place, error)
        })?;
        Ok(columns)
    }

    /// Reads all of the block and compares it with what it says of itself.
    pub fn verify(&self) -> BlockReport {
        let mut report = BlockReport::default();
        let mut metas: Vec<ChunkMeta> = Vec::new();
        let mut before: Option<Labels> = None;
        let index = self.block.index();
        for name in index.label_names() {
            if let Err(error) = index.label_values(name) {
                report.fault(format!("label {name}: {error}"));
            }
        }
        let all = index.all_series().unwrap_or_else(|error| {
            report.fault(error.to_string());
            Vec::new()
        });
        for series in all {
            metas.clear();
            match index.series(series, &mut metas) {
                Err(error) => report.fault(error.to_string()),
                Ok(labels) => {
                    report.series += 1;
                    if before.as_ref().is_some_and(|before| *before >= labels) {
                        report.fault(format!("{labels}: series are not in label order"));
                    }
                    self.verify_chunks(&labels, &stored(&metas), &mut report);
                    before = Some(labels);
                }
            }
        }
        let info = self.info();
        let told = [
            ("series", info.series, report.series),
            ("chunks", info.chunks, report.chunks),
            ("samples", info.samples, report.samples),
        ];
        for (what, told, found) in told {
            if told != found && report.faults_count == 0 {
                report.fault(format!("meta.json tells of {told} {what}, there are {found}"));
            }
        }
        report
    }

    fn verify_chunks(&self, labels: &Labels, chunks: &[StoredChunk], report: &mut BlockReport) {
        let range = self.block.range();
        let mut end = i64::MIN;
        for chunk in chunks {
            report.chunks += 1;
            let columns = match self.samples(*chunk) {
                Ok(columns) => columns,
                Err(error) => {
                    report.fault(format!("{labels}: {error}"));
                    continue;
                }
            };
            report.samples += columns.len() as u64;
            let times = &columns.timestamps;
            let (first, last) = (times.first().copied(), times.last().copied());
            if !times.is_sorted_by(|a, b| a < b) || first.is_some_and(|first| first <= end) {
                report.fault(format!("{labels}: samples are not in order of time"));
            }
            if (first, last) != (Some(chunk.min_time), Some(chunk.max_time)) {
                let told = (chunk.min_time, chunk.max_time);
                report.fault(format!(
                    "{labels}: a chunk is from {first:?} to {last:?}, its index tells {told:?}"
                ));
            }
            if chunk.min_time < range.start || chunk.max_time > range.end {
                report.fault(format!("{labels}: a chunk reaches out of the block's time range"));
            }
            end = chunk.max_time;
        }
    }
}

fn stored(metas: &[ChunkMeta]) -> Vec<StoredChunk> {
    let one = |meta: &ChunkMeta| StoredChunk {
        min_time: meta.min_time,
        max_time: meta.max_time,
        reference: meta.reference,
    };
    metas.iter().map(one).collect()
}

impl BlockReport {
    fn fault(&mut self, fault: String) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// Reads the write-ahead log, its checkpoints and the log of late samples whole.
///
/// # Errors
/// Where a file cannot be read.
pub fn verify_logs(fs: &dyn Fs, dir: &Path) -> Result<LogReport> {
    let mut report = LogReport::default();
    let mut dirs = vec![dir.join("wal"), dir.join("wbl")];
    if let Ok(entries) = fs.read_dir(&dir.join("wal")) {
        let checkpoints =
            entries.iter().filter(|entry| entry.is_dir && entry.name.starts_with("checkpoint."));
        dirs.extend(checkpoints.map(|entry| dir.join("wal").join(&entry.name)));
    }
    for log in dirs.iter().filter(|dir| fs.exists(dir)) {
        let segments = list_segments(fs, log).map_err(Error::io("list", log))?;
        for segment in segments {
            let path = segment_path(log, segment);
            report.segments += 1;
            let read = read_segment(fs, &path, |_| {
                report.records += 1;
                Ok(())
            })?;
            let place = |offset: u64| format!("{}, byte {offset}", path.display());
            let damaged = read.damaged.iter();
            report.faults.extend(damaged.map(|(offset, reason)| format!("{}: {reason}", place(*offset))));
            report.torn.extend(read.torn_at.map(place));
        }
    }
    Ok(report)
}
