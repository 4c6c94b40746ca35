//! Which blocks to merge next.

use std::sync::Arc;

use crate::block::Block;
use crate::block::meta::BlockMeta;

/// A block is rewritten once so large a part of its series has deleted ranges.
const TOMBSTONE_RATIO: f64 = 0.05;

/// The spans of blocks, each three times the one before, up to `max`.
pub(crate) fn ranges(min: i64, max: i64) -> Vec<i64> {
    let mut ranges = vec![min];
    while let Some(next) = ranges.last().and_then(|last| last.checked_mul(3)).filter(|next| *next <= max) {
        ranges.push(next);
    }
    ranges
}

/// Blocks, sorted by their start, that should become one. Overlapping ones come first; the newest is left alone unless it
/// overlaps; then full ranges; then a block with much deleted.
pub(crate) fn plan(blocks: &[Arc<Block>], ranges: &[i64], merge_overlapping: bool) -> Vec<usize> {
    // What was deleted since the block was opened counts, too.
    let metas: Vec<BlockMeta> = blocks
        .iter()
        .map(|block| {
            let mut meta = block.meta.clone();
            meta.stats.num_tombstones = block.tombstones().count();
            meta
        })
        .collect();
    plan_metas(&metas.iter().collect::<Vec<_>>(), ranges, merge_overlapping)
}

fn plan_metas(metas: &[&BlockMeta], ranges: &[i64], merge_overlapping: bool) -> Vec<usize> {
    if merge_overlapping {
        let overlapping = first_overlap(metas);
        if !overlapping.is_empty() {
            return overlapping;
        }
    }
    let Some((newest, older)) = metas.split_last() else { return Vec::new() };
    let newest_start = newest.min_time;
    for range in ranges.iter().skip(1) {
        if let Some(group) = full_range(older, *range, newest_start) {
            return group;
        }
    }
    let wide = ranges.get(ranges.len() / 2).copied().unwrap_or(i64::MAX);
    let worth = |meta: &BlockMeta| {
        let stones = meta.stats.num_tombstones as f64 / (meta.stats.num_series + 1) as f64;
        let all = meta.stats.num_tombstones >= meta.stats.num_series && meta.stats.num_tombstones > 0;
        (meta.max_time.saturating_sub(meta.min_time) > wide && stones > TOMBSTONE_RATIO) || all
    };
    (0..older.len()).rev().find(|idx| worth(older[*idx])).map_or(Vec::new(), |idx| vec![idx])
}

fn first_overlap(metas: &[&BlockMeta]) -> Vec<usize> {
    let mut group: Vec<usize> = Vec::new();
    let mut end = i64::MIN;
    for (idx, meta) in metas.iter().enumerate() {
        if meta.min_time < end {
            if group.is_empty() {
                group.push(idx - 1);
            }
            group.push(idx);
        } else if !group.is_empty() {
            return group;
        }
        end = end.max(meta.max_time);
    }
    group
}

/// The first group of at least two blocks within one aligned range that is full, or that no newer block can fill.
fn full_range(metas: &[&BlockMeta], range: i64, newest_start: i64) -> Option<Vec<usize>> {
    let mut idx = 0;
    while idx < metas.len() {
        let start = metas[idx].min_time.div_euclid(range).saturating_mul(range);
        let end = start.saturating_add(range);
        let mut group = Vec::new();
        while idx < metas.len() && metas[idx].min_time >= start && metas[idx].max_time <= end {
            group.push(idx);
            idx += 1;
        }
        if group.is_empty() {
            // A block that is larger than the range, or crosses it.
            idx += 1;
            continue;
        }
        let span_start = metas[group[0]].min_time;
        let span_end = group.iter().map(|idx| metas[*idx].max_time).max().unwrap_or(end);
        let failed = group.iter().any(|idx| metas[*idx].compaction.failed);
        let complete = span_end.saturating_sub(span_start) == range || span_end <= newest_start;
        if group.len() > 1 && complete && !failed && end <= newest_start.max(span_end) {
            return Some(group);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[(i64, i64)], expected: &[usize]) {
        let metas: Vec<BlockMeta> = blocks
            .iter()
            .map(|(min_time, max_time)| BlockMeta {
                min_time: *min_time,
                max_time: *max_time,
                ..BlockMeta::default()
            })
            .collect();
        assert_eq!(
            plan_metas(&metas.iter().collect::<Vec<_>>(), &[20, 60, 180], true),
            expected,
            "{blocks:?}"
        );
    }

    #[test]
    fn groups_are_chosen_as_prometheus_does() {
        check(&[], &[]);
        check(&[(0, 20)], &[]);
        check(&[(0, 20), (20, 40), (40, 60)], &[]);
        check(&[(0, 20), (20, 40), (40, 60), (60, 80)], &[0, 1, 2]);
        // A gap: the range will not fill any more.
        check(&[(0, 20), (40, 60), (60, 80)], &[0, 1]);
        check(&[(0, 20), (20, 40), (60, 80)], &[0, 1]);
        check(&[(0, 60), (60, 120), (120, 180), (180, 200)], &[0, 1, 2]);
        // Overlaps first, even the newest.
        check(&[(0, 20), (20, 40), (30, 50)], &[1, 2]);
        check(&[(0, 20), (0, 20), (20, 40), (20, 60)], &[0, 1]);
        assert_eq!(ranges(7_200_000, 31 * 86_400_000).len(), 6);
    }
}
