//! Deleting samples: hidden at once, gone from disk with the next rewriting of their block.

use std::path::Path;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use model::TimeRange;
use rand::Rng;

use super::Db;
use crate::block::Block;
use crate::compact::from_head::{self, HeadBlock, Samples};
use crate::head::slot_of;
use crate::wal::record::{self, RefTombstone};
use crate::wal::writer::RecordBatch;
use crate::{Error, Result, intervals};

impl Db {
    /// Deletes the samples in `range` of all series that match any of the selectors. They are invisible when this returns.
    pub fn delete_series(&self, selectors: &[Vec<CompiledMatcher>], range: TimeRange) -> Result<()> {
        let _alone = self.maintenance.lock();
        let blocks = self.blocks.read().clone();
        for block in blocks.iter().filter(|block| block.range().overlaps(range)) {
            block.delete(&*self.fs, selectors, range)?;
        }
        self.delete_in_head(selectors, range)
    }

    fn delete_in_head(&self, selectors: &[Vec<CompiledMatcher>], range: TimeRange) -> Result<()> {
        let mut stones = Vec::new();
        // Under the log's lock, so that a sample that comes later is not logged before its deletion.
        let mut log = self.wal.lock();
        if selectors.is_empty() {
            return Ok(());
        }
        let matching = self.head.select_any(selectors);
        let _no_reader = self.head.visibility.write();
        for id in &matching {
            let shard = self.head.shard(id);
            let Some(series) = shard.get(slot_of(id)) else { continue };
            let Some((first, last)) = series.time_range() else { continue };
            // Only what is there: samples that come later are not meant.
            let (min_time, max_time) = (range.start.max(first), range.end.min(last));
            if min_time <= max_time {
                stones.push((id, RefTombstone { series: series.wal_ref, min_time, max_time }));
            }
        }
        if stones.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        record::put_tombstones(&mut bytes, &stones.iter().map(|(_, stone)| *stone).collect::<Vec<_>>());
        let mut batch = RecordBatch::default();
        batch.push(&bytes, self.options.wal_compression);
        self.write_log(&mut log, &batch).map_err(|error| Error::Io {
            action: "log a deletion in",
            path: self.dir.join("wal"),
            source: std::io::Error::other(error),
        })?;
        for (id, stone) in stones {
            let mut shard = self.head.shard(id);
            if let Some(series) = shard.find_by_ref_mut(slot_of(id), stone.series) {
                let holes = &mut series.extra.get_or_insert_default().tombstones;
                intervals::add(holes, (stone.min_time, stone.max_time));
            }
        }
        Ok(())
    }

    /// Writes every block that has deleted ranges anew, without them.
    pub fn clean_tombstones(&self) -> Result<()> {
        let _alone = self.maintenance.lock();
        let blocks = self.blocks.read().clone();
        for block in blocks.iter().filter(|block| !block.tombstones().is_empty()) {
            self.merge_blocks(&[Arc::clone(block)])?;
        }
        Ok(())
    }

    /// Makes a copy of all data under `snapshots/` and returns its name. Blocks are linked, not copied; the head becomes a
    /// block of its own unless it is left out.
    pub fn snapshot(&self, options: SnapshotOptions) -> Result<String> {
        let _alone = self.maintenance.lock();
        let now_ms = self.clock.now_ms();
        let name = format!("{}-{:016x}", compact_utc(now_ms), rand::rng().random::<u64>());
        let parent = self.dir.join("snapshots").join(&name);
        self.fs.create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        let blocks: Vec<Arc<Block>> = self.blocks.read().clone();
        for block in &blocks {
            self.link_block(block, &parent.join(&block.meta.ulid))?;
        }
        if options.with_head {
            let (min, max) = self.head.time_range();
            if min <= max {
                let block = HeadBlock {
                    parent: &parent,
                    range: (min, max.saturating_add(1)),
                    samples: Samples::All,
                    segment_bytes: self.options.block_chunk_segment_bytes,
                    now_ms,
                    hints: Vec::new(),
                };
                from_head::write(&self.fs, &self.head, &block)?;
            }
        }
        self.fs.sync_dir(&parent).map_err(Error::io("sync", &parent))?;
        Ok(name)
    }

    fn link_block(&self, block: &Block, to: &Path) -> Result<()> {
        let chunks = to.join("chunks");
        self.fs.create_dir_all(&chunks).map_err(Error::io("create", &chunks))?;
        let mut files = vec!["index".to_owned(), "meta.json".to_owned()];
        if self.fs.exists(&block.dir.join("tombstones")) {
            files.push("tombstones".to_owned());
        }
        let from = block.dir.join("chunks");
        for entry in self.fs.read_dir(&from).map_err(Error::io("list", &from))? {
            files.push(format!("chunks/{}", entry.name));
        }
        for file in files {
            let target = to.join(&file);
            self.fs.hard_link(&block.dir.join(&file), &target).map_err(Error::io("link", &target))?;
        }
        Ok(())
    }
}

/// What goes into a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Whether the samples that are in no block yet go into it.
    pub with_head: bool,
}

/// `YYYYMMDDThhmmssZ`.
fn compact_utc(now_ms: i64) -> String {
    let seconds = now_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_by_their_time() {
        assert_eq!(compact_utc(1_795_348_799_999), "20261122T115959Z");
        assert_eq!(compact_utc(951_782_400_000), "20000229T000000Z");
    }
}
