//! Background steps: head to blocks, small blocks to large ones, retention, log truncation. Each runs on its caller's thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashSet;

use super::Db;
use crate::block::Block;
use crate::block::meta::HINT_LATE;
use crate::compact::from_blocks;
use crate::compact::from_head::{self, HeadBlock, Samples};
use crate::compact::plan::{plan, ranges};
use crate::head::series::range_end;
use crate::metrics::Count;
use crate::wal::checkpoint::{CheckpointPlan, checkpoint};
use crate::wal::{list_segments, segment_path};
use crate::{Error, Result};

/// Directories being deleted; the next start finishes it.
const DELETING: &str = ".tmp-for-deletion";
/// Merges in one round: the rest waits, so that retention and the head get their turn.
const MERGES_PER_ROUND: usize = 16;

impl Db {
    /// One round of background work on the caller's thread: blocks from the head, merging, retention, truncation of the
    /// log. To be called every few seconds to a minute, from a thread that may be busy for long; appends and queries go on
    /// meanwhile. An error leaves everything readable; the next round tries again.
    pub fn maintain(&self) -> Result<()> {
        let _alone = self.maintenance.lock();
        self.head.optimize_index();
        self.head.files.flush()?;
        let compacted = self.compact_head();
        let merged = self.compact_blocks();
        // Retention even where there was no space to compact: it is what makes some.
        let retained = self.apply_retention();
        compacted.and(merged).and(retained)
    }

    /// Writes all samples of the head that are older than `time` into blocks, whatever their span.
    pub fn flush_head_before(&self, time: i64) -> Result<()> {
        let _alone = self.maintenance.lock();
        while self.head.min_time.load(Ordering::Relaxed) < time && self.head_has_samples() {
            let end = range_end(self.head.min_time.load(Ordering::Relaxed), self.head.chunk_range_ms);
            self.cut_block(end.min(time))?;
        }
        Ok(())
    }

    fn head_has_samples(&self) -> bool {
        self.head.min_time.load(Ordering::Relaxed) <= self.head.max_time.load(Ordering::Relaxed)
    }

    fn compact_head(&self) -> Result<()> {
        let (head, width) = (&self.head, self.head.chunk_range_ms);
        let mut cut = false;
        loop {
            let (min, max) = (head.min_time.load(Ordering::Relaxed), head.max_time.load(Ordering::Relaxed));
            if min > max || max.saturating_sub(min) <= width / 2 * 3 {
                break;
            }
            self.cut_block(range_end(min, width))?;
            cut = true;
        }
        if cut {
            self.compact_late()?;
            self.truncate_log()?;
        }
        Ok(())
    }

    /// Writes the head's samples before `end` into a block and forgets them.
    fn cut_block(&self, end: i64) -> Result<()> {
        let head = &self.head;
        let min = head.min_time.load(Ordering::Relaxed);
        // From here on nothing older is taken, so the block gets all there will be.
        head.min_valid_time.fetch_max(end, Ordering::Relaxed);
        // A batch that was checked before is applied by now.
        drop(self.wal.lock());
        self.counters.compactions.add(1);
        let block = HeadBlock {
            parent: &self.dir,
            range: (min, end),
            samples: Samples::InOrder,
            segment_bytes: self.options.block_chunk_segment_bytes,
            now_ms: self.clock.now_ms(),
            hints: Vec::new(),
        };
        let written = from_head::write(&self.fs, head, &block);
        let opened = written.and_then(|dir| dir.map_or(Ok(()), |dir| self.add_block(&dir)));
        if let Err(error) = opened {
            self.counters.compactions_failed.add(1);
            return Err(error);
        }
        let removed = head.truncate(end);
        self.counters.chunks_removed.add(removed);
        self.counters.head_truncations.add(1);
        let segment = self.wal.lock().segment();
        let mut deleted = self.deleted_series.lock();
        head.collect(&self.counters, |wal_ref| {
            deleted.insert(wal_ref, segment);
        });
        drop(deleted);
        tracing::info!(min_time = min, max_time = end, chunks = removed, "head block written");
        Ok(())
    }

    fn add_block(&self, dir: &Path) -> Result<()> {
        let block = Arc::new(Block::open(&*self.fs, dir)?);
        let mut blocks = self.blocks.write();
        blocks.push(block);
        blocks.sort_by_key(|block| (block.meta.min_time, block.meta.max_time));
        Ok(())
    }

    /// Writes late samples into blocks of their own; merging puts them to the others of their time.
    fn compact_late(&self) -> Result<()> {
        let head = &self.head;
        let Some(log) = self.late_log_if_any()? else { return Ok(()) };
        let (boundary, segment) = {
            // Nobody applies samples meanwhile: what is late so far is in closed chunks, and the log's later segments
            // hold only what comes later.
            let _log = self.wal.lock();
            let _no_reader = head.visibility.write();
            let boundary = head.close_late_chunks();
            let mut late = log.lock();
            late.next_segment()?;
            (boundary, late.segment())
        };
        let Some((min, max)) = head.late_range(&boundary) else { return Ok(()) };
        let mut start = range_end(min, head.chunk_range_ms) - head.chunk_range_ms;
        while start <= max {
            let block = HeadBlock {
                parent: &self.dir,
                range: (start, start + head.chunk_range_ms),
                samples: Samples::Late,
                segment_bytes: self.options.block_chunk_segment_bytes,
                now_ms: self.clock.now_ms(),
                hints: vec![HINT_LATE.to_owned()],
            };
            if let Some(dir) = from_head::write(&self.fs, head, &block)? {
                self.add_block(&dir)?;
            }
            start += head.chunk_range_ms;
        }
        head.forget_late_chunks(&boundary);
        let wbl = self.dir.join("wbl");
        for old in list_segments(&*self.fs, &wbl).map_err(Error::io("list", &wbl))? {
            if old < segment {
                let path = segment_path(&wbl, old);
                self.fs.remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Folds the older two thirds of the log into a checkpoint and deletes head chunk files that nobody needs.
    fn truncate_log(&self) -> Result<()> {
        let from = self.head.min_valid_time.load(Ordering::Relaxed);
        self.head.files.finish_file()?;
        self.head.files.truncate(self.head.oldest_time().min(from))?;
        let wal = self.dir.join("wal");
        self.wal.lock().next_segment()?;
        self.wal.sync(self.clock.monotonic())?;
        let segments = list_segments(&*self.fs, &wal).map_err(Error::io("list", &wal))?;
        let [first, .., open] = segments[..] else { return Ok(()) };
        let last = first + (open - 1 - first) * 2 / 3;
        if last <= first {
            return Ok(());
        }
        let alive: HashSet<u64> = self.head.wal_refs();
        let mut deleted = self.deleted_series.lock();
        let needed =
            |wal_ref| alive.contains(&wal_ref) || deleted.get(&wal_ref).is_some_and(|until| *until > last);
        let plan = CheckpointPlan {
            wal: &wal,
            last,
            from,
            segment_bytes: self.options.wal_segment_bytes,
            compress: self.options.wal_compression,
            keep: &needed,
        };
        self.counters.wal_truncations.add(1);
        self.counters.checkpoint_creations.add(1);
        if let Err(error) = checkpoint(&self.fs, &plan) {
            self.counters.checkpoint_creations_failed.add(1);
            self.counters.wal_truncations_failed.add(1);
            return Err(error);
        }
        self.counters.checkpoint_deletions.add(1);
        deleted.retain(|_, until| *until > last);
        Ok(())
    }

    fn compact_blocks(&self) -> Result<()> {
        let ranges = ranges(self.options.min_block_duration_ms, self.options.max_block_ms());
        for _ in 0..MERGES_PER_ROUND {
            let mut blocks = self.blocks.read().clone();
            // A block of late samples that reaches into the head's time stays by itself: merged with others it would look
            // as if the head's samples of that time were in blocks, too.
            let cut_until = self.head.min_valid_time.load(Ordering::Relaxed);
            blocks.retain(|block| !block.meta.is_late() || block.meta.max_time <= cut_until);
            let group = plan(&blocks, &ranges, self.options.overlapping_compaction);
            if group.is_empty() {
                return Ok(());
            }
            let parents: Vec<Arc<Block>> = group.iter().map(|idx| Arc::clone(&blocks[*idx])).collect();
            self.merge_blocks(&parents)?;
        }
        Ok(())
    }

    /// Replaces blocks by one with their samples.
    pub(super) fn merge_blocks(&self, parents: &[Arc<Block>]) -> Result<()> {
        self.counters.compactions.add(1);
        let overlap = parents.windows(2).any(|pair| pair[1].meta.min_time < pair[0].meta.max_time);
        self.counters.vertical_compactions.add(u64::from(overlap));
        let now_ms = self.clock.now_ms();
        let segment_bytes = self.options.block_chunk_segment_bytes;
        let merged = from_blocks::merge(&self.fs, &self.dir, parents, segment_bytes, now_ms);
        let opened = merged.and_then(|dir| match dir {
            Some(dir) => Block::open(&*self.fs, &dir).map(|block| Some(Arc::new(block))),
            None => Ok(None),
        });
        let block = match opened {
            Ok(block) => block,
            Err(error) => {
                self.counters.compactions_failed.add(1);
                return Err(self.refuse_damaged(parents, error));
            }
        };
        {
            let mut blocks = self.blocks.write();
            blocks.retain(|block| !parents.iter().any(|parent| Arc::ptr_eq(parent, block)));
            blocks.extend(block);
            blocks.sort_by_key(|block| (block.meta.min_time, block.meta.max_time));
        }
        tracing::info!(blocks = parents.len(), "blocks merged");
        parents.iter().try_for_each(|parent| self.delete_block_dir(parent))
    }

    /// A block that cannot be read is never merged again, so that the others can be.
    fn refuse_damaged(&self, parents: &[Arc<Block>], error: Error) -> Error {
        if !matches!(error, Error::Corrupt { .. }) {
            return error;
        }
        for parent in parents {
            let mut meta = parent.meta.clone();
            meta.compaction.failed = true;
            if let Err(error) = meta.write(&*self.fs, &parent.dir) {
                tracing::warn!(block = %parent.meta.ulid, error = %error, "block could not be marked");
                continue;
            }
            let Ok(marked) = Block::open(&*self.fs, &parent.dir) else { continue };
            let mut blocks = self.blocks.write();
            if let Some(slot) = blocks.iter_mut().find(|block| Arc::ptr_eq(block, parent)) {
                *slot = Arc::new(marked);
            }
        }
        error
    }

    fn apply_retention(&self) -> Result<()> {
        let retention = self.retention_ms.load(Ordering::Relaxed);
        let limit = self.retention_bytes.load(Ordering::Relaxed);
        let blocks = self.blocks.read().clone();
        let mut gone: Vec<Arc<Block>> = Vec::new();
        if retention > 0 {
            let newest = blocks.iter().map(|block| block.meta.max_time).max().unwrap_or(0);
            gone.extend(
                blocks
                    .iter()
                    .filter(|block| newest.saturating_sub(block.meta.max_time) >= retention)
                    .cloned(),
            );
            self.counters.time_retentions.add(u64::from(!gone.is_empty()));
        }
        if limit > 0 {
            let mut total = self.log_bytes(&self.dir.join("wal")) + self.head.files.bytes();
            let mut by_age: Vec<&Arc<Block>> =
                blocks.iter().filter(|block| !gone.iter().any(|other| Arc::ptr_eq(other, block))).collect();
            by_age.sort_by_key(|block| std::cmp::Reverse(block.meta.max_time));
            let before = gone.len();
            for block in by_age {
                total += block.bytes;
                if total > limit {
                    gone.push(Arc::clone(block));
                }
            }
            self.counters.size_retentions.add(u64::from(gone.len() > before));
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.blocks.write().retain(|block| !gone.iter().any(|other| Arc::ptr_eq(other, block)));
        tracing::info!(blocks = gone.len(), "blocks deleted by retention");
        gone.iter().try_for_each(|block| self.delete_block_dir(block))
    }

    /// Queries that hold the block read on: its files are open.
    fn delete_block_dir(&self, block: &Block) -> Result<()> {
        let mut name = block.dir.as_os_str().to_owned();
        name.push(DELETING);
        let deleting = std::path::PathBuf::from(name);
        self.fs.rename(&block.dir, &deleting).map_err(Error::io("rename", &block.dir))?;
        self.fs.remove_dir_all(&deleting).map_err(Error::io("remove", &deleting))
    }
}
