//! Grouping: `by` and `without`.

use hashbrown::HashMap;
use std::borrow::Cow;

use model::{Labels, METRIC_NAME_LABEL};

/// Which labels an aggregation keeps. Names are sorted and unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    names: Vec<String>,
    without: bool,
}

impl Grouping {
    /// `by (names)`; without names everything is one group.
    pub fn by(names: &[String]) -> Self {
        Self { names: sorted(names), without: false }
    }

    /// `without (names)`; the metric name is always left out, too.
    pub fn without(names: &[String]) -> Self {
        let mut names = sorted(names);
        if let Err(at) = names.binary_search_by(|name| name.as_str().cmp(METRIC_NAME_LABEL)) {
            names.insert(at, METRIC_NAME_LABEL.to_owned());
        }
        Self { names, without: true }
    }

    /// The names that are kept (`by`) or left out (`without`), sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether [`Self::names`] are left out.
    pub fn is_without(&self) -> bool {
        self.without
    }

    /// The label set of the group that a series with these labels belongs to.
    pub fn key(&self, labels: &Labels) -> Labels {
        if !self.without && self.names.is_empty() {
            return Labels::empty();
        }
        labels.retain(|name| self.contains(name) != self.without)
    }

    /// As [`Self::key`], from single labels: for a series whose labels would have to be put together first. `None` for
    /// `without`, which needs all of them.
    pub fn key_from<'l>(&self, mut label: impl FnMut(&str) -> Option<Cow<'l, str>>) -> Option<Labels> {
        if self.without {
            return None;
        }
        let pairs: Vec<(&str, Cow<'l, str>)> = self
            .names
            .iter()
            .filter_map(|name| Some((name.as_str(), label(name)?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Some(Labels::from_sorted(pairs.iter().map(|(name, value)| (*name, value.as_ref()))))
    }

    fn contains(&self, name: &str) -> bool {
        self.names.binary_search_by(|found| found.as_str().cmp(name)).is_ok()
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

/// The groups of many series.
#[derive(Clone, Debug, Default)]
pub struct GroupPlan {
    /// The group of each series, in the order the series were given: an index into `labels`.
    pub group_of: Vec<u32>,
    /// The label set of each group, in order of first appearance.
    pub labels: Vec<Labels>,
}

impl GroupPlan {
    /// Numbers the groups of `series`.
    pub fn new<'a>(grouping: &Grouping, series: impl IntoIterator<Item = &'a Labels>) -> Self {
        Self::from_keys(series.into_iter().map(|labels| grouping.key(labels)))
    }

    /// Numbers the groups of series whose keys are known.
    pub fn from_keys(keys: impl IntoIterator<Item = Labels>) -> Self {
        let mut plan = Self::default();
        let mut known: HashMap<Labels, u32> = HashMap::new();
        for key in keys {
            let next = plan.labels.len() as u32;
            let group = *known.entry(key).or_insert_with_key(|key| {
                plan.labels.push(key.clone());
                next
            });
            plan.group_of.push(group);
        }
        plan
    }

    /// The indexes of the series of each group, in the order the series were given.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (series, group) in self.group_of.iter().enumerate() {
            members[*group as usize].push(series);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn groups_are_numbered_in_order_of_appearance() {
        let series = [
            set(&[("__name__", "m"), ("a", "1"), ("b", "1")]),
            set(&[("__name__", "m"), ("a", "2"), ("b", "1")]),
            set(&[("__name__", "n"), ("a", "1"), ("b", "2")]),
        ];
        for (grouping, groups, labels) in [
            (Grouping::by(&[]), vec![0, 0, 0], vec!["{}"]),
            (Grouping::by(&["a".into(), "zz".into()]), vec![0, 1, 0], vec!["{a=\"1\"}", "{a=\"2\"}"]),
            (Grouping::by(&["__name__".into()]), vec![0, 0, 1], vec!["m", "n"]),
            (Grouping::without(&["b".into()]), vec![0, 1, 0], vec!["{a=\"1\"}", "{a=\"2\"}"]),
            (Grouping::without(&["a".into(), "b".into()]), vec![0, 0, 0], vec!["{}"]),
        ] {
            let from_single = |one: &Labels| {
                grouping.key_from(|name| one.get(name).map(|value| Cow::Owned(value.to_owned())))
            };
            assert!(series.iter().all(|one| from_single(one).is_none_or(|key| key == grouping.key(one))));
            let plan = GroupPlan::new(&grouping, &series);
            let texts: Vec<String> = plan.labels.iter().map(ToString::to_string).collect();
            assert_eq!((plan.group_of, texts), (groups, labels.iter().map(|t| (*t).to_owned()).collect()));
        }
        let plan = GroupPlan::new(&Grouping::by(&["a".into()]), &series);
        assert_eq!(plan.members(), [vec![0, 2], vec![1]]);
    }
}
