//! Handing out entries in order of time across streams, opening sources only when their turn comes.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use log_storage_api::{Direction, ScanSink, SinkFlow};
use model::TimestampNs;

use super::Plan;
use super::source::{OpenSource, RowsBatch, Source};
use crate::error::Result;

/// Where an entry stands in the order of the scan: the greatest comes first. Entries of one time are told apart by their
/// stream, those of one stream by the order in which they came.
type Key = (i64, Reverse<u32>, i64);

/// An open source and how far it has been handed out.
struct Cursor {
    source: OpenSource,
    rows: Vec<u32>,
    /// The keys of `rows`, descending.
    keys: Vec<Key>,
    next: usize,
}

impl Cursor {
    fn key(&self) -> Key {
        self.keys[self.next]
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

pub(super) fn merge(
    plan: &mut Plan<'_>,
    mut sources: Vec<Source>,
    limit: usize,
    sink: &mut dyn ScanSink,
) -> Result<()> {
    let direction = plan.scan.direction;
    // The source that can hold the first entry stands last.
    sources.sort_by_key(|source| first_rank(source, direction));
    let mut left = limit;
    let mut open: BinaryHeap<Cursor> = BinaryHeap::new();
    while left > 0 {
        open_due(plan, &mut sources, &mut open)?;
        let Some(mut cursor) = open.pop() else { break };
        let others = open.peek().map(Cursor::key);
        let unopened = sources.last().map(|source| first_rank(source, direction));
        let goes_first =
            |key: &&Key| others.is_none_or(|other| **key > other) && unopened.is_none_or(|rank| key.0 > rank);
        let rest = &cursor.keys[cursor.next..];
        let run = rest.iter().take(left).take_while(goes_first).count();
        let end = cursor.next + run;
        let batch = RowsBatch::new(&cursor.source, &cursor.rows[cursor.next..end]);
        if batch.hand_out(sink)? == SinkFlow::Stop {
            break;
        }
        left -= run;
        cursor.next = end;
        if cursor.next < cursor.rows.len() {
            open.push(cursor);
        }
    }
    plan.stats.blocks_skipped += sources.len() as u64;
    Ok(())
}

/// Opens every source that may hold an entry as early as the first of the open ones.
fn open_due(plan: &mut Plan<'_>, sources: &mut Vec<Source>, open: &mut BinaryHeap<Cursor>) -> Result<()> {
    let direction = plan.scan.direction;
    while let Some(source) = sources
        .pop_if(|source| open.peek().is_none_or(|first| first_rank(source, direction) >= first.key().0))
    {
        let Some((opened, rows)) = plan.select(&source)? else { continue };
        let keys = match opened.times() {
            Ok(times) => rows.iter().map(|row| key(&source, *row, times[*row as usize], direction)).collect(),
            Err(error) => {
                plan.forgive(&source, error)?;
                continue;
            }
        };
        open.push(Cursor { source: opened, rows, keys, next: 0 });
    }
    Ok(())
}

fn key(source: &Source, row: u32, timestamp: TimestampNs, direction: Direction) -> Key {
    let came = i64::from(source.arrival) << 32 | i64::from(row);
    let came = if direction == Direction::Backward { came } else { !came };
    (rank(timestamp, direction), Reverse(source.stream_idx), came)
}

/// The rank of the first entry that a source can hold.
fn first_rank(source: &Source, direction: Direction) -> i64 {
    match direction {
        Direction::Forward => rank(source.min, direction),
        Direction::Backward => rank(source.max, direction),
    }
}

/// A number that is greater the earlier an entry comes in the scan.
fn rank(timestamp: TimestampNs, direction: Direction) -> i64 {
    match direction {
        Direction::Forward => !timestamp,
        Direction::Backward => timestamp,
    }
}
