//! The series that entries make: each is known by its labels, or, where they are folded into groups at once, by a hash alone.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use vector_ops::Grouping;

use super::StepSeries;
use super::fold::GroupFold;
use super::step_values::StepValues;
use crate::series_table::SeriesTable;

/// What makes the label set of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesKey<'a> {
    pub(super) grouping: Option<&'a Grouping>,
    /// The label whose value is taken: it is no label any more.
    pub(super) unwrapped: Option<&'a str>,
}

impl SeriesKey<'_> {
    pub(super) fn keeps(&self, name: &str) -> bool {
        if self.unwrapped == Some(name) {
            return false;
        }
        let Some(grouping) = self.grouping else { return true };
        let is_named = grouping.names().binary_search_by(|found| found.as_str().cmp(name)).is_ok();
        is_named != grouping.is_without()
    }
}

/// Numbers series, in order of first appearance.
#[derive(Debug)]
pub(super) enum SeriesSet<'a> {
    Kept(SeriesTable),
    Folded(FoldedSeries<'a>),
}

/// Series of which only the group is known.
#[derive(Debug)]
pub(super) struct FoldedSeries<'a> {
    key: SeriesKey<'a>,
    fold: GroupFold,
    /// Two hashes of its labels, which nobody can foresee, tell a series apart; its number.
    known: HashTable<(u64, u64, u32)>,
    hashers: [DefaultHashBuilder; 2],
    group_of: Vec<u32>,
    text: Vec<u8>,
}

impl<'a> SeriesSet<'a> {
    pub(super) fn kept() -> Self {
        Self::Kept(SeriesTable::default())
    }

    /// Series that go into groups by these labels.
    pub(super) fn folded(fold: GroupFold, grouping: &'a Grouping) -> Self {
        Self::Folded(FoldedSeries {
            key: SeriesKey { grouping: Some(grouping), unwrapped: None },
            fold,
            known: HashTable::new(),
            hashers: std::array::from_fn(|_| DefaultHashBuilder::default()),
            group_of: Vec::new(),
            text: Vec::new(),
        })
    }

    /// The number of the series with these labels, sorted by name, and whether it is new. Empty values do not count.
    pub(super) fn number(&mut self, labels: &[(&str, &str)]) -> (usize, bool) {
        match self {
            Self::Kept(table) => table.number(labels),
            Self::Folded(series) => series.number(labels),
        }
    }

    /// What knowing a series takes in memory.
    pub(super) fn heap_bytes_of(&self, idx: usize) -> usize {
        match self {
            Self::Kept(table) => table.labels(idx).heap_bytes() + 128,
            Self::Folded(_) => 64,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Kept(table) => table.len(),
            Self::Folded(series) => series.group_of.len(),
        }
    }

    /// Whether series go into groups, so that their order is that in which they are given.
    pub(super) fn is_folded(&self) -> bool {
        matches!(self, Self::Folded(_))
    }

    /// What groups take in memory.
    pub(super) fn folded_bytes(&self) -> usize {
        match self {
            Self::Kept(_) => 0,
            Self::Folded(series) => series.fold.heap_bytes(),
        }
    }

    /// Takes a series' values: into `out`, or into its group.
    pub(super) fn take(
        &mut self,
        idx: usize,
        values: impl Iterator<Item = (usize, f64)>,
        out: &mut Vec<StepSeries>,
    ) {
        match self {
            Self::Kept(table) => {
                let mut kept = StepValues::default();
                values.for_each(|(step, value)| *kept.slot(step) = Some(value));
                out.push(StepSeries { labels: table.labels(idx).clone(), values: kept });
            }
            Self::Folded(series) => {
                let group = series.group_of[idx] as usize;
                values.for_each(|(step, value)| series.fold.add(group, step, value));
            }
        }
    }

    /// The series: those of `out`, or the groups.
    pub(super) fn finish(self, out: Vec<StepSeries>) -> Vec<StepSeries> {
        match self {
            Self::Kept(_) => out,
            Self::Folded(series) => series.fold.finish(),
        }
    }
}

impl FoldedSeries<'_> {
    fn number(&mut self, labels: &[(&str, &str)]) -> (usize, bool) {
        self.text.clear();
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            // No UTF-8 has this byte.
            for part in [name, value] {
                self.text.extend_from_slice(part.as_bytes());
                self.text.push(0xFF);
            }
        }
        let [first, second] = &self.hashers;
        let (hash, other) = (first.hash_one(self.text.as_slice()), second.hash_one(self.text.as_slice()));
        if let Some((.., idx)) = self.known.find(hash, |known| known.0 == hash && known.1 == other) {
            return (*idx as usize, false);
        }
        let key = self.key;
        let of_group: Vec<(&str, &str)> =
            labels.iter().copied().filter(|(name, _)| key.keeps(name)).collect();
        let idx = self.group_of.len();
        self.group_of.push(self.fold.group(&of_group) as u32);
        self.known.insert_unique(hash, (hash, other, idx as u32), |known| known.0);
        (idx, true)
    }
}

#[cfg(test)]
mod tests {
    use logql_syntax::VectorOp;

    use super::*;

    #[test]
    fn folded_series_are_told_apart_by_all_their_labels() {
        let grouping = Grouping::by(&["g".to_owned()]);
        let fold = GroupFold::new(VectorOp::Count).expect("counts fold");
        let mut set = SeriesSet::folded(fold, &grouping);
        let mut out = Vec::new();
        for (labels, expected) in [
            (vec![("a", "1"), ("g", "x")], (0, true)),
            (vec![("a", "2"), ("g", "x")], (1, true)),
            (vec![("a", "1"), ("g", "x")], (0, false)),
            (vec![("a", "1"), ("b", ""), ("g", "x")], (0, false)),
            (vec![("a", "1"), ("g", "y")], (2, true)),
            (vec![("a", "1")], (3, true)),
            (vec![("a", ""), ("g", "1")], (4, true)),
        ] {
            assert_eq!(set.number(&labels), expected, "{labels:?}");
            if expected.1 {
                set.take(expected.0, [(2, 1.0), (4, 1.0)].into_iter(), &mut out);
            }
        }
        let groups = set.finish(out);
        let shown: Vec<_> =
            groups.iter().map(|group| (group.labels.to_string(), group.values.get(4))).collect();
        let expected = [("{g=\"x\"}", 2.0), ("{g=\"y\"}", 1.0), ("{}", 1.0), ("{g=\"1\"}", 1.0)];
        assert_eq!(shown, expected.map(|(labels, count)| (labels.to_owned(), Some(count))));
    }
}
