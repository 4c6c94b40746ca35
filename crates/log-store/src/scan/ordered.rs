//! Handing out entries in order of time across streams, looking at sources only when their turn comes, and piece by piece.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use log_storage_api::{Direction, ScanSink, ScanStats, SinkFlow};
use model::TimestampNs;

use super::Plan;
use super::source::{OpenSource, RowsBatch, Source};
use crate::error::{BlockError, Result};

/// How many rows of a source are looked at first: a scan with a limit often needs no more.
const FIRST_ROWS: usize = 64;
/// So many rows are worth a thread of their own.
const MANY_ROWS: usize = 1024;
/// Each time so many times as many as the time before.
const ROWS_GROWTH: usize = 4;

/// Where an entry stands in the order of the scan: the greatest comes first. Entries of one time are told apart by their
/// stream, those of one stream by the order in which they came.
type Key = (i64, Reverse<u32>, i64);

/// Rows that pass, and how many of them have been handed out.
struct Cursor {
    open: Arc<OpenSource>,
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

/// A source, or the rest of one, that has not been looked at.
struct Pending {
    /// The rank of the first entry that it can hold.
    rank: i64,
    source: Source,
    rest: Option<Rest>,
}

/// The rows of an open source that have not been looked at.
struct Rest {
    open: Arc<OpenSource>,
    rows: Range<usize>,
    /// How many of them are next.
    count: usize,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

pub(super) fn merge(
    plan: &Plan<'_>,
    sources: Vec<Source>,
    limit: usize,
    sink: &mut dyn ScanSink,
    stats: &mut ScanStats,
) -> Result<()> {
    let direction = plan.scan.direction;
    let pending = |source| Pending { rank: first_rank(&source, direction), source, rest: None };
    let mut pending: BinaryHeap<Pending> = sources.into_iter().map(pending).collect();
    let mut cursors: BinaryHeap<Cursor> = BinaryHeap::new();
    let mut left = limit;
    let mut vetting = Vetting { count: plan.at_once() };
    while left > 0 {
        look_at_due(plan, &mut pending, &mut cursors, &mut vetting, stats)?;
        let Some(mut cursor) = cursors.pop() else { break };
        let other = cursors.peek().map(Cursor::key);
        let unseen = pending.peek().map(|pending| pending.rank);
        let goes_first =
            |key: &&Key| other.is_none_or(|other| **key > other) && unseen.is_none_or(|rank| key.0 > rank);
        let run = cursor.keys[cursor.next..].iter().take(left).take_while(goes_first).count();
        let end = cursor.next + run;
        let batch = RowsBatch::new(&cursor.open, &cursor.rows[cursor.next..end], &[]);
        if batch.hand_out(sink)? == SinkFlow::Stop {
            break;
        }
        left -= run;
        cursor.next = end;
        if cursor.next < cursor.rows.len() {
            cursors.push(cursor);
        }
    }
    stats.blocks_skipped += pending.iter().filter(|pending| pending.rest.is_none()).count() as u64;
    Ok(())
}

/// How many sources are held against the filters at once, before any of their rows is looked at: more and more as long as
/// none is left.
struct Vetting {
    count: usize,
}

/// The most sources that are vetted at once: what they take is reserved.
const VETTED_MAX: usize = 64;

impl Vetting {
    /// Opens the next sources, on several threads; those that the filters rule out are gone.
    fn run(
        &mut self,
        plan: &Plan<'_>,
        pending: &mut BinaryHeap<Pending>,
        stats: &mut ScanStats,
    ) -> Result<()> {
        let mut next = Vec::new();
        while next.len() < self.count
            && pending.peek().is_some_and(|pending| pending.rest.is_none())
            && let Some(taken) = pending.pop()
        {
            next.push(taken);
        }
        let opened = plan.each(&next, stats, |pending, stats| {
            let Some((open, rows)) = plan.open(&pending.source, stats)? else { return Ok(None) };
            match open.vet(&plan.filters) {
                Ok(()) if open.is_ruled_out() => Ok(None),
                Ok(()) => Ok(Some(Rest { open: Arc::new(open), rows, count: FIRST_ROWS })),
                Err(error) => plan.forgive(&pending.source, error, stats).map(|()| None),
            }
        })?;
        let before = pending.len();
        let kept = next.into_iter().zip(opened);
        pending.extend(
            kept.filter_map(|(pending, rest)| rest.map(|rest| Pending { rest: Some(rest), ..pending })),
        );
        let found = pending.len() > before;
        self.count = if found { plan.at_once() } else { (self.count * 2).min(VETTED_MAX) };
        Ok(())
    }
}

/// Looks at every source that may hold an entry as early as the first one known.
fn look_at_due(
    plan: &Plan<'_>,
    pending: &mut BinaryHeap<Pending>,
    cursors: &mut BinaryHeap<Cursor>,
    vetting: &mut Vetting,
    stats: &mut ScanStats,
) -> Result<()> {
    while let Some(first) = pending.peek() {
        if cursors.peek().is_some_and(|cursor| first.rank < cursor.key().0) {
            break;
        }
        if first.rest.is_none() && !plan.filters.is_empty() {
            vetting.run(plan, pending, stats)?;
            continue;
        }
        let due = take_due(plan, pending);
        let looked = plan.each(&due, stats, |pending, stats| look(plan, pending, stats))?;
        for (Pending { source, .. }, (cursor, rest)) in due.into_iter().zip(looked) {
            cursors.extend(cursor);
            pending.extend(rest.map(|(rank, rest)| Pending { rank, source, rest: Some(rest) }));
        }
    }
    Ok(())
}

/// The next source; with those behind it where many rows of each are looked at next, as that pays on several threads.
fn take_due(plan: &Plan<'_>, pending: &mut BinaryHeap<Pending>) -> Vec<Pending> {
    let has_many = |pending: &Pending| pending.rest.as_ref().is_some_and(|rest| rest.count >= MANY_ROWS);
    let mut due: Vec<Pending> = pending.pop().into_iter().collect();
    while due.iter().all(has_many)
        && due.len() < plan.at_once()
        && pending.peek().is_some_and(has_many)
        && let Some(next) = pending.pop()
    {
        due.push(next);
    }
    due
}

/// Looks at the next rows of a source; a damaged one has none.
fn look(plan: &Plan<'_>, pending: &Pending, stats: &mut ScanStats) -> Result<Looked> {
    plan.ctx.check()?;
    let opened;
    let rest = match &pending.rest {
        Some(rest) => rest,
        None => match plan.open(&pending.source, stats)? {
            Some((open, rows)) => {
                opened = Rest { open: Arc::new(open), rows, count: FIRST_ROWS };
                &opened
            }
            None => return Ok((None, None)),
        },
    };
    match look_at(plan, &pending.source, rest, stats) {
        Ok(looked) => Ok(looked),
        Err(error) => plan.forgive(&pending.source, error, stats).map(|()| (None, None)),
    }
}

/// The next rows of a source that pass, if any do, and what is left of it, with the rank of its first entry.
type Looked = (Option<Cursor>, Option<(i64, Rest)>);

fn look_at(
    plan: &Plan<'_>,
    source: &Source,
    rest: &Rest,
    stats: &mut ScanStats,
) -> std::result::Result<Looked, BlockError> {
    let open = &rest.open;
    let (Range { start, end }, count) = (rest.rows.clone(), rest.count);
    let direction = plan.scan.direction;
    let (now, later) = match direction {
        Direction::Forward => {
            let cut = end.min(start + count);
            (start..cut, cut..end)
        }
        Direction::Backward => {
            let cut = start.max(end.saturating_sub(count));
            (cut..end, start..cut)
        }
    };
    let (rows, _) = plan.select_rows(open, now, stats)?;
    let times = open.times()?;
    let later = if later.is_empty() || open.is_ruled_out() {
        None
    } else {
        let first = if direction == Direction::Forward { later.start } else { later.end - 1 };
        let rest = Rest { open: Arc::clone(open), rows: later, count: count * ROWS_GROWTH };
        Some((rank(times[first], direction), rest))
    };
    if rows.is_empty() {
        return Ok((None, later));
    }
    let keys = rows.iter().map(|row| key(source, *row, times[*row as usize], direction)).collect();
    Ok((Some(Cursor { open: Arc::clone(open), rows, keys, next: 0 }), later))
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
