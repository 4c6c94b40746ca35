//! A stream's entries that are in memory.

use std::sync::Arc;

use log_storage_api::StreamInfo;
use model::TimestampNs;
use parking_lot::Mutex;

use crate::block::{BlockBytes, BlockEnv, BlockMeta, EncodedBlock, OpenBlock};
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
    env: Arc<BlockEnv>,
}

impl MemoryBlock {
    pub(crate) fn new(encoded: EncodedBlock, env: &Arc<BlockEnv>) -> Self {
        let meta = Arc::new(encoded.meta.clone());
        Self { meta, encoded: Arc::new(encoded), env: Arc::clone(env) }
    }

    pub(crate) fn open(&self) -> Arc<OpenBlock> {
        let bytes = BlockBytes::Memory(Arc::clone(&self.encoded));
        self.env.open(&self.meta, || OpenBlock::new(Arc::clone(&self.meta), bytes, &self.env))
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
    /// What the entries in `open` and in the pages of `active` take: they wait to be encoded.
    pub(crate) raw_bytes: u64,
    pub(crate) raw_rows: usize,
    /// Whether a thread is encoding pages of the stream.
    is_encoding: bool,
    duplicate_cache: Vec<(Arc<BlockMeta>, Arc<OpenBlock>)>,
}

/// What putting blocks in place of pages has changed, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Installed {
    /// What the entries took in pages.
    pub(crate) plain: u64,
    /// What the blocks take.
    pub(crate) encoded: u64,
    /// How much of `plain` counted as waiting to be encoded.
    pub(crate) waited: u64,
}

impl Stream {
    pub(crate) fn new(info: Arc<StreamInfo>, flushed_max: TimestampNs) -> Self {
        let head = Head {
            newest: flushed_max,
            flushed_max,
            open: Arc::default(),
            active: Generation::default(),
            frozen: Generation::default(),
            raw_bytes: 0,
            raw_rows: 0,
            is_encoding: false,
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

    fn cached(&mut self, meta: &Arc<BlockMeta>, open: impl FnOnce() -> Arc<OpenBlock>) -> Arc<OpenBlock> {
        let known = self.duplicate_cache.iter().position(|(known, _)| Arc::ptr_eq(known, meta));
        let entry = match known {
            Some(idx) => self.duplicate_cache.remove(idx),
            None => (Arc::clone(meta), open()),
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
        if self.open.is_full(row.line.len()) {
            self.close_page();
        }
        Arc::make_mut(&mut self.open).push(row);
        self.newest = self.newest.max(row.timestamp);
        let bytes = entry_bytes(row);
        self.active.bytes += bytes;
        self.raw_bytes += bytes;
        self.raw_rows += 1;
        bytes
    }

    /// The first pages that make a block, or all pages where `all` is asked for; none where another thread has them. The
    /// caller has to give them back by [`Head::install`].
    pub(crate) fn take_pages(&mut self, rows_max: usize, bytes_max: usize, all: bool) -> Vec<Arc<RawPage>> {
        if self.is_encoding {
            return Vec::new();
        }
        if all {
            self.close_page();
        }
        let (mut rows, mut bytes) = (0, 0);
        let is_over = |page: &Arc<RawPage>| {
            rows += page.len();
            bytes += page.line_bytes();
            rows > rows_max || bytes > bytes_max
        };
        let pages = &self.active.pages;
        let count = match pages.iter().position(is_over) {
            Some(at) => at.max(1),
            None if all => pages.len(),
            None => 0,
        };
        self.is_encoding = count > 0;
        pages[..count].to_vec()
    }

    /// Puts blocks in place of the pages that they were made of; `None` where a flush has written the pages meanwhile.
    pub(crate) fn install(&mut self, pages: &[Arc<RawPage>], blocks: Vec<MemoryBlock>) -> Option<Installed> {
        self.is_encoding = false;
        let plain: u64 = pages.iter().flat_map(|page| page.rows()).map(entry_bytes).sum();
        let encoded: u64 = blocks.iter().map(|block| block.encoded.data.len() as u64).sum();
        let holds = |part: &Generation| {
            part.pages.len() >= pages.len()
                && part.pages.iter().zip(pages).all(|(own, page)| Arc::ptr_eq(own, page))
        };
        let is_active = holds(&self.active);
        if !is_active && !holds(&self.frozen) {
            return None;
        }
        if is_active {
            self.raw_bytes = self.raw_bytes.saturating_sub(plain);
            self.raw_rows -= pages.iter().map(|page| page.len()).sum::<usize>();
        }
        let part = if is_active { &mut self.active } else { &mut self.frozen };
        part.pages.drain(..pages.len());
        part.blocks.extend(blocks);
        part.bytes = part.bytes.saturating_sub(plain) + encoded;
        Some(Installed { plain, encoded, waited: if is_active { plain } else { 0 } })
    }

    pub(crate) fn close_page(&mut self) {
        if !self.open.is_empty() {
            let page = std::mem::take(&mut self.open);
            self.active.pages.push(page);
        }
    }

    /// Sets all entries aside for a flush; returns the bytes of those that waited to be encoded.
    pub(crate) fn freeze(&mut self) -> u64 {
        debug_assert!(self.frozen.is_empty(), "one flush at a time");
        self.close_page();
        self.frozen = std::mem::take(&mut self.active);
        self.raw_rows = 0;
        std::mem::take(&mut self.raw_bytes)
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
