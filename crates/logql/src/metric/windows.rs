//! Windows of time: which steps an entry belongs to, and the counts or samples of a series.

use model::TimestampNs;

use super::Steps;

/// The windows `(t - range, t]` of all steps `t`, moved back by the offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) steps: Steps,
    pub(super) range: i64,
    pub(super) offset: i64,
}

impl Windows {
    /// The first nanosecond that a window covers.
    pub(super) fn first(&self) -> TimestampNs {
        self.steps.start.saturating_sub(self.offset).saturating_sub(self.range).saturating_add(1)
    }

    /// The nanosecond after the last that a window covers.
    pub(super) fn end(&self) -> TimestampNs {
        self.steps.last().saturating_sub(self.offset).saturating_add(1)
    }

    /// The steps whose windows hold `timestamp`, as a range of indexes that may be empty.
    pub(super) fn steps_of(&self, timestamp: TimestampNs) -> (usize, usize) {
        let moved = i128::from(timestamp) + i128::from(self.offset) - i128::from(self.steps.start);
        let step = i128::from(self.steps.step);
        // start + i * step >= t, and start + i * step < t + range.
        let ceil = |value: i128| -> i128 { -(-value).div_euclid(step) };
        let low = ceil(moved).max(0);
        let high = ceil(moved + i128::from(self.range)).min(self.steps.count as i128);
        (low as usize, high.max(low) as usize)
    }

    /// Whether the store can count for these windows: the width of its buckets, if there are not too many of them.
    pub(super) fn bucket_width(&self) -> Option<(i64, usize)> {
        const BUCKETS_MAX: i64 = 200_000;
        let width = if self.steps.count <= 1 { self.range } else { gcd(self.range, self.steps.step) };
        let buckets = self.end().checked_sub(self.first())?.div_euclid(width);
        (buckets > 0 && buckets <= BUCKETS_MAX).then_some((width, buckets as usize))
    }
}

/// The steps of timestamp after timestamp: found once for neighbours that lie in the same windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepFinder {
    windows: Windows,
    /// The width of the stretches of time whose timestamps lie in the same windows.
    width: i64,
    /// The stretch of the last timestamp, and its steps.
    from: TimestampNs,
    to: TimestampNs,
    steps: (usize, usize),
}

impl StepFinder {
    pub(super) fn new(windows: Windows) -> Self {
        let width = windows.bucket_width().map_or(1, |(width, _)| width);
        Self { windows, width, from: 0, to: 0, steps: (0, 0) }
    }

    pub(super) fn steps_of(&mut self, timestamp: TimestampNs) -> (usize, usize) {
        if !(self.from..self.to).contains(&timestamp) {
            let first = self.windows.first();
            let past = timestamp.saturating_sub(first).rem_euclid(self.width);
            self.from = timestamp.saturating_sub(past);
            self.to = self.from.saturating_add(self.width);
            self.steps = self.windows.steps_of(timestamp);
        }
        self.steps
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Counts of entries, and bytes, by step: kept as differences, so that an entry costs the same however many windows hold it.
#[derive(Clone, Debug)]
pub(super) struct StepCounts {
    entries: Vec<i64>,
    amounts: Vec<f64>,
}

impl StepCounts {
    pub(super) fn new(steps: usize) -> Self {
        Self { entries: vec![0; steps + 1], amounts: vec![0.0; steps + 1] }
    }

    pub(super) fn add(&mut self, (low, high): (usize, usize), entries: i64, amount: f64) {
        if low < high {
            self.entries[low] += entries;
            self.entries[high] -= entries;
            self.amounts[low] += amount;
            self.amounts[high] -= amount;
        }
    }

    /// The amount at each step that has entries.
    pub(super) fn values(&self, scale: f64) -> Vec<Option<f64>> {
        let (mut entries, mut amount) = (0, 0.0);
        let last = self.entries.len() - 1;
        self.entries[..last]
            .iter()
            .zip(&self.amounts)
            .map(|(entry_change, amount_change)| {
                entries += entry_change;
                amount += amount_change;
                (entries > 0).then_some(amount / scale)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{StepCounts, StepFinder, Steps, Windows};

    #[test]
    fn windows_are_open_on_the_left_and_closed_on_the_right() {
        let steps = Steps::range(100, 200, 50).expect("three steps");
        let windows = Windows { steps, range: 60, offset: 0 };
        let mut finder = StepFinder::new(windows);
        for (timestamp, expected) in [
            (39, (0, 0)),
            (40, (0, 0)),
            (41, (0, 1)),
            (100, (0, 2)),
            (90, (0, 1)),
            (91, (0, 2)),
            (101, (1, 2)),
            (141, (1, 3)),
            (150, (1, 3)),
            (151, (2, 3)),
            (200, (2, 3)),
            (201, (3, 3)),
        ] {
            let (low, high) = windows.steps_of(timestamp);
            assert_eq!(finder.steps_of(timestamp), (low, high), "{timestamp}");
            let is_empty = low >= high;
            assert!(
                (low, high) == expected || (is_empty && expected.0 == expected.1),
                "{timestamp}: {low}..{high}"
            );
        }
        assert_eq!((windows.first(), windows.end()), (41, 201));
        let moved = Windows { offset: 10, ..windows };
        assert_eq!((moved.first(), moved.end(), moved.steps_of(31)), (31, 191, (0, 1)));
        assert_eq!(windows.bucket_width(), Some((10, 16)));
    }

    #[test]
    fn counts_add_up() {
        let mut counts = StepCounts::new(3);
        counts.add((0, 2), 1, 10.0);
        counts.add((1, 3), 2, 5.0);
        counts.add((2, 2), 9, 9.0);
        assert_eq!(counts.values(1.0), [Some(10.0), Some(15.0), Some(5.0)]);
    }
}
