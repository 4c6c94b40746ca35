//! Looking into a segment file without a store: for who wants to know what it holds and whether it is whole.

use std::path::Path;
use std::sync::Arc;

use model::{Labels, TimestampNs};
use sys::Fs;

use crate::block::lines::Lines;
use crate::block::{BlockEnv, OpenBlock};
use crate::error::{BlockError, Result, corrupt, io_error};
use crate::registry::StreamRegistry;
use crate::segment::{OpenError, Segment};

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryDepth {
    /// The index alone.
    Index,
    /// All blocks: each section is read and its checksum compared.
    Blocks,
}

/// What a segment holds.
#[derive(Clone, Debug)]
pub struct SegmentSummary {
    /// Identifies it within its store; newer ones are greater.
    pub id: u64,
    /// Which partition of time it belongs to.
    pub partition: i64,
    /// Log records up to here are in this segment or in others.
    pub flushed_seq: u64,
    /// Segments whose content is in this one.
    pub replaces: Vec<u64>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The time of the first entry.
    pub min: TimestampNs,
    /// The time of the last entry.
    pub max: TimestampNs,
    /// In order of labels.
    pub streams: Vec<StreamSummary>,
    /// Blocks that failed a check: which, and why.
    pub damaged: Vec<String>,
}

/// A stream in a segment.
#[derive(Clone, Debug)]
pub struct StreamSummary {
    /// Its labels.
    pub labels: Labels,
    /// How many blocks it has.
    pub blocks: usize,
    /// How many entries.
    pub entries: u64,
    /// Bytes of its lines.
    pub line_bytes: u64,
    /// Bytes of its blocks in the file.
    pub bytes: u64,
    /// Templates of its blocks, added up; 0 where only the index was looked at.
    pub templates: usize,
    /// The time of the first entry.
    pub min: TimestampNs,
    /// The time of the last entry.
    pub max: TimestampNs,
}

/// Looks into a segment file. Blocks.
///
/// # Errors
/// Where it cannot be read, or its index is not that of a segment.
pub fn summarize(fs: &dyn Fs, path: &Path, depth: SummaryDepth) -> Result<SegmentSummary> {
    let registry = StreamRegistry::new(Arc::new(BlockEnv::default()));
    let segment = Segment::open(fs, path, &registry).map_err(|error| match error {
        OpenError::Damaged(reason) => corrupt(path.display().to_string(), reason),
        OpenError::Other(error) => error,
    })?;
    let mut summary = SegmentSummary {
        id: segment.id,
        partition: segment.partition,
        flushed_seq: segment.flushed_seq,
        replaces: segment.replaces.clone(),
        bytes: segment.len,
        min: segment.min,
        max: segment.max,
        streams: Vec::with_capacity(segment.streams.len()),
        damaged: Vec::new(),
    };
    for stream in &segment.streams {
        let blocks = || stream.blocks.iter().map(|block| &block.meta);
        let mut templates = 0;
        for block in stream.blocks.iter().filter(|_| depth == SummaryDepth::Blocks) {
            match check(&segment.open_block_once(block)) {
                Ok(found) => templates += found,
                Err(BlockError::Io(error)) => return Err(io_error("read", path, error)),
                Err(BlockError::Damaged(reason)) => {
                    let (labels, offset) = (&stream.info.labels, block.offset);
                    summary.damaged.push(format!("block of {labels} at byte {offset}: {reason}"));
                }
            }
        }
        summary.streams.push(StreamSummary {
            labels: stream.info.labels.clone(),
            blocks: stream.blocks.len(),
            entries: blocks().map(|meta| meta.rows as u64).sum(),
            line_bytes: blocks().map(|meta| meta.line_bytes).sum(),
            bytes: blocks().map(|meta| meta.data_len()).sum(),
            templates,
            min: blocks().map(|meta| meta.min).min().unwrap_or(TimestampNs::MAX),
            max: blocks().map(|meta| meta.max).max().unwrap_or(TimestampNs::MIN),
        });
    }
    Ok(summary)
}

/// Reads every row of a block; how many templates it has.
fn check(block: &OpenBlock) -> std::result::Result<usize, BlockError> {
    block.owned_rows()?;
    Ok(match block.lines()? {
        Lines::Templated(lines) => lines.templates(),
        Lines::Plain(_) => 0,
    })
}
