//! A stream's entries that are in memory.

use std::sync::Arc;

use log_storage_api::StreamInfo;
use model::TimestampNs;
use parking_lot::Mutex;

use crate::block::{BlockBytes, BlockMeta, EncodedBlock, OpenBlock};
use crate::error::BlockError;
use crate::page::{RawPage, Row, entry_bytes};
use crate::segment::Segment;

/// Open blocks that a stream keeps for finding duplicates.
const DUPLICATE_CACHE_BLOCKS: usize = 2;

/// A stream that has had entries lately.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) info: Arc<StreamInfo>,
    pub(crate) head: Mutex<Head>,
}

/// A block in memory.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBlock {
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) encoded: Arc<EncodedBlock>,
}

impl MemoryBlock {
    pub(crate) fn new(encoded: EncodedBlock) -> Self {
        Self { meta: Arc::new(encoded.meta.clone()), encoded: Arc::new(encoded) }
    }

    pub(crate) fn open(&self) -> OpenBlock {
        OpenBlock::new(Arc::clone(&self.meta), BlockBytes::Memory(Arc::clone(&self.encoded)))
    }
}

/// Entries that came since the last freeze, or that are being flushed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generation {
    /// Encoded already, oldest arrivals first.
    pub(crate) blocks: Vec<MemoryBlock>,
    /// Arrived after those in blocks.
    pub(crate) pages: Vec<Arc<RawPage>>,
    /// What all of it takes in memory.
    pub(crate) bytes: u64,
}

impl Generation {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.pages.is_empty()
    }
}

/// The entries of a stream in memory.
#[derive(Debug)]
pub(crate) struct Head {
    /// The newest time ever accepted; `MIN` where none was.
    pub(crate) newest: TimestampNs,
    /// The newest time in segments; `MIN` where none is.
    pub(crate) flushed_max: TimestampNs,
    /// The page that is being filled; a scan that holds it makes the next append copy it.
    pub(crate) open: Arc<RawPage>,
    pub(crate) active: Generation,
    /// What a flush is writing to segments.
    pub(crate) frozen: Generation,
    duplicate_cache: Vec<(Arc<BlockMeta>, Arc<OpenBlock>)>,
}

impl Stream {
    pub(crate) fn new(info: Arc<StreamInfo>, flushed_max: TimestampNs) -> Self {
        let head = Head {
            newest: flushed_max,
            flushed_max,
            open: Arc::default(),
            active: Generation::default(),
            frozen: Generation::default(),
            duplicate_cache: Vec::new(),
        };
        Self { info, head: Mutex::new(head) }
    }
}

impl Head {
    /// Whether the same entry is stored already.
    pub(crate) fn contains(
        &mut self,
        id: u128,
        segments: &[Arc<Segment>],
        row: Row<'_>,
    ) -> Result<bool, BlockError> {
        if row.timestamp > self.newest {
            return Ok(false);
        }
        if self.memory_contains(row)? {
            return Ok(true);
        }
        if row.timestamp > self.flushed_max {
            return Ok(false);
        }
        let covering = segments.iter().filter(|s| (s.min..=s.max).contains(&row.timestamp));
        let streams = covering.filter_map(|segment| Some((segment, segment.stream(id)?)));
        let blocks =
            streams.flat_map(|(segment, stream)| stream.blocks.iter().map(move |block| (segment, block)));
        for (segment, block) in blocks {
            if !(block.meta.min..=block.meta.max).contains(&row.timestamp) || block.is_damaged() {
                continue;
            }
            match self.cached(&block.meta, || segment.open_block(block)).contains(row) {
                // What is in a damaged block cannot be known: the entry is stored again rather than lost.
                Err(BlockError::Damaged(_)) | Ok(false) => {}
                found => return found,
            }
        }
        Ok(false)
    }

    /// Whether the same entry is in memory.
    pub(crate) fn memory_contains(&mut self, row: Row<'_>) -> Result<bool, BlockError> {
        if row.timestamp > self.newest {
            return Ok(false);
        }
        let in_pages = self.open.contains(row)
            || [&self.active, &self.frozen]
                .iter()
                .any(|part| part.pages.iter().any(|page| page.contains(row)));
        if in_pages {
            return Ok(true);
        }
        let covers = |block: &&MemoryBlock| (block.meta.min..=block.meta.max).contains(&row.timestamp);
        let blocks: Vec<MemoryBlock> =
            self.active.blocks.iter().chain(&self.frozen.blocks).filter(covers).cloned().collect();
        for block in blocks {
            if self.cached(&block.meta, || block.open()).contains(row)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn cached(&mut self, meta: &Arc<BlockMeta>, open: impl FnOnce() -> OpenBlock) -> Arc<OpenBlock> {
        let known = self.duplicate_cache.iter().position(|(known, _)| Arc::ptr_eq(known, meta));
        let entry = match known {
            Some(idx) => self.duplicate_cache.remove(idx),
            None => (Arc::clone(meta), Arc::new(open())),
        };
        let block = Arc::clone(&entry.1);
        self.duplicate_cache.push(entry);
        if self.duplicate_cache.len() > DUPLICATE_CACHE_BLOCKS {
            self.duplicate_cache.remove(0);
        }
        block
    }

    /// Adds an entry; returns the bytes that it takes.
    pub(crate) fn push(&mut self, row: Row<'_>) -> u64 {
        let page = Arc::make_mut(&mut self.open);
        page.push(row);
        if page.is_full() {
            self.close_page();
        }
        self.newest = self.newest.max(row.timestamp);
        let bytes = entry_bytes(row);
        self.active.bytes += bytes;
        bytes
    }

    pub(crate) fn close_page(&mut self) {
        if !self.open.is_empty() {
            let page = std::mem::take(&mut self.open);
            self.active.pages.push(page);
        }
    }

    /// Sets all entries aside for a flush.
    pub(crate) fn freeze(&mut self) {
        debug_assert!(self.frozen.is_empty(), "one flush at a time");
        self.close_page();
        self.frozen = std::mem::take(&mut self.active);
    }

    /// Drops what has been flushed; returns the bytes that it took.
    pub(crate) fn thaw(&mut self) -> u64 {
        let flushed = std::mem::take(&mut self.frozen);
        let newest = flushed.blocks.iter().map(|block| block.meta.max);
        let newest = newest.chain(flushed.pages.iter().map(|page| page.max)).max();
        self.flushed_max = self.flushed_max.max(newest.unwrap_or(TimestampNs::MIN));
        self.duplicate_cache.clear();
        flushed.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.active.is_empty() && self.frozen.is_empty()
    }
}
