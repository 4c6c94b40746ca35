//! Turning entries in memory into blocks: where a stream has enough for one, where too many wait for it, where nothing else
//! is to be done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::DiskLogStore;
use super::flush::rows_of;
use crate::page::RawPage;
use crate::stream::{MemoryBlock, Stream};

/// While no entry has come for so long, the store is idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);
/// A stream with less waits for more, or for a flush.
const IDLE_BYTES_MIN: u64 = 64 << 10;

impl DiskLogStore {
    /// Encodes streams that have a whole block's worth of pages: what a restart has left.
    pub(super) fn encode_full_streams(&self) {
        for tenant in self.all_tenants() {
            let streams: Vec<Arc<Stream>> = tenant.streams.read().values().cloned().collect();
            for stream in streams {
                self.encode_full_stream(&stream);
            }
        }
    }

    /// Encodes whole blocks of a stream, so that they take less memory and the flush less time.
    pub(super) fn encode_full_stream(&self, stream: &Stream) {
        while self.encode_pages_of(stream, false) {}
    }

    /// Encodes the fullest streams until no more entries wait for it than may.
    pub(super) fn relieve(&self) {
        if self.raw_bytes.load(Ordering::Relaxed) > self.options.raw_bytes_max {
            // Some more at once: looking for the fullest streams takes a while where there are many.
            self.encode_down_to(self.options.raw_bytes_max / 8 * 7, 1);
        }
    }

    /// While nothing comes, encodes what waits for it: it takes a tenth of the memory then. Whether there was anything.
    pub(super) fn encode_idle(&self) -> bool {
        let newest = Duration::from_nanos(self.newest_arrival_ns.load(Ordering::Relaxed));
        if self.clock.monotonic().saturating_sub(newest) < IDLE_AFTER {
            return false;
        }
        let before = self.raw_bytes.load(Ordering::Relaxed);
        self.encode_down_to(self.options.raw_bytes_idle, IDLE_BYTES_MIN);
        self.raw_bytes.load(Ordering::Relaxed) < before
    }

    /// Encodes streams with at least `least` bytes, the fullest first, until `goal` bytes wait.
    fn encode_down_to(&self, goal: u64, least: u64) {
        if self.raw_bytes.load(Ordering::Relaxed) <= goal {
            return;
        }
        let mut streams: Vec<(u64, Arc<Stream>)> = Vec::new();
        for tenant in self.all_tenants() {
            let of_tenant = tenant.streams.read();
            let waiting = of_tenant.values().map(|stream| (stream.head.lock().raw_bytes, stream));
            let enough = waiting.filter(|(bytes, _)| *bytes >= least);
            streams.extend(enough.map(|(bytes, stream)| (bytes, Arc::clone(stream))));
        }
        streams.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, stream) in streams {
            if self.raw_bytes.load(Ordering::Relaxed) <= goal {
                return;
            }
            while self.encode_pages_of(&stream, true) {}
        }
    }

    /// Encodes a block's worth of a stream's pages, or what is there where `all` is asked for; whether there was any.
    fn encode_pages_of(&self, stream: &Stream, all: bool) -> bool {
        let (rows_max, bytes_max) = (self.options.block_rows_max, self.options.block_bytes_max);
        let pages = stream.head.lock().take_pages(rows_max, bytes_max, all);
        if pages.is_empty() {
            return false;
        }
        let blocks = self.blocks_of(&pages);
        let installed = stream.head.lock().install(&pages, blocks);
        if let Some(installed) = installed {
            self.raw_bytes.fetch_sub(installed.waited, Ordering::Relaxed);
            self.memory_bytes.fetch_add(installed.encoded, Ordering::Relaxed);
            self.memory_bytes.fetch_sub(installed.plain, Ordering::Relaxed);
            self.has_room.notify_all();
        }
        true
    }

    fn blocks_of(&self, pages: &[Arc<RawPage>]) -> Vec<MemoryBlock> {
        let rows = rows_of(pages, |_| true);
        let mut blocks = Vec::new();
        for rows in rows.chunk_by(|a, b| self.partition_of(a.timestamp) == self.partition_of(b.timestamp)) {
            for rows in self.cut_into_blocks(rows) {
                blocks.push(MemoryBlock::new(self.encoders.encode(rows), &self.env.blocks));
            }
        }
        blocks
    }
}
