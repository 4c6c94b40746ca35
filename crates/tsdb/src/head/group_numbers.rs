//! Numbers the groups of an aggregation by the pairs of its series: no text is looked at but once per group.

use hashbrown::HashMap;
use metric_storage_api::{AggregationHint, SeriesGroups};
use model::METRIC_NAME_LABEL;

use super::label_index::{LabelIndex, PairId, SymbolId};

/// No group yet.
const NONE: u32 = u32::MAX;

/// Groups in the making.
#[derive(Debug)]
pub(crate) struct GroupNumbers<'a> {
    index: &'a LabelIndex,
    kept: Kept,
    /// By the one pair that is kept, or by its absence in the last place: for groups by one label.
    by_pair: Vec<u32>,
    by_pairs: HashMap<Box<[PairId]>, u32>,
    key: Vec<PairId>,
    groups: SeriesGroups,
}

#[derive(Debug)]
enum Kept {
    /// Each series is a group of its own.
    All,
    By(Vec<SymbolId>),
    Without(Vec<SymbolId>),
}

impl<'a> GroupNumbers<'a> {
    /// Groups as the hint says; without one each series is its own.
    pub(crate) fn new(index: &'a LabelIndex, hint: Option<&AggregationHint>) -> Self {
        let symbols = |names: &[String]| -> Vec<SymbolId> {
            let mut symbols: Vec<SymbolId> = names.iter().filter_map(|name| index.symbol(name)).collect();
            symbols.sort_unstable();
            symbols.dedup();
            symbols
        };
        let kept = match hint {
            None => Kept::All,
            Some(AggregationHint::By(names)) => Kept::By(symbols(names)),
            Some(AggregationHint::Without(names)) => {
                let mut symbols = symbols(names);
                symbols.extend(index.symbol(METRIC_NAME_LABEL));
                Kept::Without(symbols)
            }
        };
        let (by_pair, by_pairs) = (Vec::new(), HashMap::new());
        Self { index, kept, by_pair, by_pairs, key: Vec::new(), groups: SeriesGroups::default() }
    }

    /// Gives the next series its group.
    pub(crate) fn add(&mut self, pairs: &[PairId]) {
        let index = self.index;
        self.key.clear();
        let group = match &self.kept {
            Kept::All => {
                self.key.extend_from_slice(pairs);
                self.new_group()
            }
            Kept::By(names) if names.len() <= 1 => {
                let name = names.first();
                let pair = pairs.iter().copied().find(|pair| Some(&index.name_of(*pair)) == name);
                self.key.extend(pair);
                self.group_of_pair(pair)
            }
            Kept::By(names) => {
                self.key.extend(pairs.iter().filter(|pair| names.contains(&index.name_of(**pair))));
                self.group_of_key()
            }
            Kept::Without(names) => {
                self.key.extend(pairs.iter().filter(|pair| !names.contains(&index.name_of(**pair))));
                self.group_of_key()
            }
        };
        self.groups.of.push(group);
    }

    /// The groups, and how much memory they take.
    pub(crate) fn finish(self) -> (SeriesGroups, u64) {
        let labels: usize = self.groups.labels.iter().map(model::Labels::heap_bytes).sum();
        let bytes = self.groups.of.len() * 4 + labels;
        (self.groups, bytes as u64)
    }

    fn group_of_pair(&mut self, pair: Option<PairId>) -> u32 {
        // The first place is for series that lack the label.
        let at = pair.map_or(0, |pair| pair as usize + 1);
        if self.by_pair.len() <= at {
            self.by_pair.resize(at + 1, NONE);
        }
        if self.by_pair[at] == NONE {
            self.by_pair[at] = self.new_group();
        }
        self.by_pair[at]
    }

    fn group_of_key(&mut self) -> u32 {
        if let Some(group) = self.by_pairs.get(self.key.as_slice()) {
            return *group;
        }
        let group = self.new_group();
        self.by_pairs.insert(self.key.as_slice().into(), group);
        group
    }

    fn new_group(&mut self) -> u32 {
        self.groups.labels.push(self.index.labels(&self.key));
        (self.groups.labels.len() - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    #[test]
    fn groups_are_those_of_the_labels() {
        let mut index = LabelIndex::default();
        let mut series = Vec::new();
        for (number, labels) in [
            [("__name__", "m"), ("a", "1"), ("b", "1")].as_slice(),
            &[("__name__", "m"), ("a", "2"), ("b", "1")],
            &[("__name__", "n"), ("a", "1")],
        ]
        .iter()
        .enumerate()
        {
            let pairs = index.intern(&Labels::from_pairs(labels.iter().copied()), &[]);
            index.add_series(&pairs, number as u32);
            series.push(pairs);
        }
        let by = |names: &[&str]| AggregationHint::By(names.iter().map(|name| (*name).to_owned()).collect());
        let without =
            |names: &[&str]| AggregationHint::Without(names.iter().map(|name| (*name).to_owned()).collect());
        for (hint, of, labels) in [
            (Some(by(&[])), vec![0, 0, 0], vec!["{}"]),
            (Some(by(&["zz"])), vec![0, 0, 0], vec!["{}"]),
            (Some(by(&["a"])), vec![0, 1, 0], vec!["{a=\"1\"}", "{a=\"2\"}"]),
            (Some(by(&["b"])), vec![0, 0, 1], vec!["{b=\"1\"}", "{}"]),
            (Some(by(&["b", "__name__", "b"])), vec![0, 0, 1], vec!["m{b=\"1\"}", "n"]),
            (Some(without(&["b"])), vec![0, 1, 0], vec!["{a=\"1\"}", "{a=\"2\"}"]),
            (None, vec![0, 1, 2], vec!["m{a=\"1\", b=\"1\"}", "m{a=\"2\", b=\"1\"}", "n{a=\"1\"}"]),
        ] {
            let mut numbers = GroupNumbers::new(&index, hint.as_ref());
            series.iter().for_each(|pairs| numbers.add(pairs));
            let (groups, _) = numbers.finish();
            let texts: Vec<String> = groups.labels.iter().map(ToString::to_string).collect();
            assert_eq!((groups.of, texts), (of, labels.iter().map(|text| (*text).to_owned()).collect()));
        }
    }
}
