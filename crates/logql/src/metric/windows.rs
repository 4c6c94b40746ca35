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
pub(super) enum StepCounts {
    /// Few of them, with the steps between which they count: most series of many have one entry.
    Few(Vec<Counted>),
    Dense {
        entries: Vec<i64>,
        amounts: Vec<f64>,
    },
}

/// Entries that the same steps count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    low: u32,
    high: u32,
    entries: i64,
    amount: f64,
}

impl StepCounts {
    pub(super) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    /// Adds entries to the steps `low..high` of `steps`. Returns how much memory that has taken.
    pub(super) fn add(
        &mut self,
        steps: usize,
        (low, high): (usize, usize),
        entries: i64,
        amount: f64,
    ) -> usize {
        if low >= high {
            return 0;
        }
        let mut taken = 0;
        if let Self::Few(few) = self {
            let one = Counted { low: low as u32, high: high as u32, entries, amount };
            if let Some(last) = few.last_mut()
                && (last.low, last.high) == (one.low, one.high)
            {
                last.entries += entries;
                last.amount += amount;
                return 0;
            }
            // As long as the list takes no more than what stands for all steps.
            if few.len() * size_of::<Counted>() < (steps + 1) * 16 {
                let before = few.capacity();
                few.push(one);
                return (few.capacity() - before) * size_of::<Counted>();
            }
            let few = std::mem::take(few);
            *self = Self::Dense { entries: vec![0; steps + 1], amounts: vec![0.0; steps + 1] };
            taken = (steps + 1) * 16;
            for one in few {
                self.change(one);
            }
        }
        self.change(Counted { low: low as u32, high: high as u32, entries, amount });
        taken
    }

    fn change(&mut self, one: Counted) {
        let Self::Dense { entries, amounts } = self else { return };
        let (low, high) = (one.low as usize, one.high as usize);
        entries[low] += one.entries;
        entries[high] -= one.entries;
        amounts[low] += one.amount;
        amounts[high] -= one.amount;
    }

    /// Steps that have entries and the amount there.
    pub(super) fn values(&self, scale: f64) -> impl Iterator<Item = (usize, f64)> {
        let changes = match self {
            Self::Few(few) => {
                let mut changes = Vec::with_capacity(few.len() * 2);
                for one in few {
                    changes.push((one.low as usize, one.entries, one.amount));
                    changes.push((one.high as usize, -one.entries, -one.amount));
                }
                changes.sort_by_key(|change| change.0);
                changes
            }
            Self::Dense { entries, amounts } => {
                let changes = entries.iter().zip(amounts).enumerate();
                changes.map(|(step, (entries, amount))| (step, *entries, *amount)).collect()
            }
        };
        let (mut entries, mut amount, mut next) = (0, 0.0, 0);
        let steps = changes.first().map_or(0, |change| change.0)..changes.last().map_or(0, |change| change.0);
        steps.filter_map(move |step| {
            while let Some(change) = changes.get(next).filter(|change| change.0 == step) {
                entries += change.1;
                amount += change.2;
                next += 1;
            }
            (entries > 0).then_some((step, amount / scale))
        })
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
        let mut counts = StepCounts::new();
        let added = [((0, 2), 1, 10.0), ((1, 3), 2, 5.0), ((2, 2), 9, 9.0), ((5, 6), 1, 1.0)];
        let expected = [(0, 10.0), (1, 15.0), (2, 5.0), (5, 1.0)];
        for (range, entries, amount) in added {
            counts.add(7, range, entries, amount);
        }
        assert!(matches!(counts, StepCounts::Few(_)));
        assert_eq!(counts.values(1.0).collect::<Vec<_>>(), expected);
        for step in 0..7 {
            counts.add(7, (step, 7), 1, 0.0);
        }
        assert!(matches!(counts, StepCounts::Dense { .. }));
        let expected = [10.0, 15.0, 5.0, 0.0, 0.0, 1.0, 0.0];
        assert_eq!(
            counts.values(2.0).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6].map(|s| (s, expected[s] / 2.0))
        );
    }
}
