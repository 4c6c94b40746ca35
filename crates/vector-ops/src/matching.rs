//! Matching of two sides: `on`, `ignoring`, `group_left`, `group_right`.

use hashbrown::HashMap;

use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL};

/// Which labels two series have to share to be combined. Names are sorted and unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    names: Vec<String>,
    on: bool,
}

impl Matching {
    /// `on (names)`: exactly these labels count; a missing one counts as empty.
    pub fn on(names: &[String]) -> Self {
        Self { names: sorted(names), on: true }
    }

    /// `ignoring (names)`: all other labels count, but for the metric name. No names is the default of both languages.
    pub fn ignoring(names: &[String]) -> Self {
        let mut names = sorted(names);
        if let Err(at) = names.binary_search_by(|name| name.as_str().cmp(METRIC_NAME_LABEL)) {
            names.insert(at, METRIC_NAME_LABEL.to_owned());
        }
        Self { names, on: false }
    }

    /// Whether it is `on`.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// The names that count (`on`) or do not (`ignoring`), sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What a series with these labels has to share with its partner.
    pub fn key(&self, labels: &Labels) -> Labels {
        labels.retain(|name| self.contains(name) == self.on)
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

/// The shared keys of two sides: series of left and right that have the same number may be combined.
#[derive(Clone, Debug, Default)]
pub struct MatchPlan {
    /// The key of each series of the left side.
    pub left: Vec<u32>,
    /// The key of each series of the right side.
    pub right: Vec<u32>,
    /// The labels of each key, in order of first appearance, left side first.
    pub keys: Vec<Labels>,
}

impl MatchPlan {
    /// Numbers the keys of both sides.
    pub fn new<'a>(
        matching: &Matching,
        left: impl IntoIterator<Item = &'a Labels>,
        right: impl IntoIterator<Item = &'a Labels>,
    ) -> Self {
        let mut known: HashMap<Labels, u32> = HashMap::new();
        let mut keys = Vec::new();
        let mut number = |labels: &Labels| {
            let next = keys.len() as u32;
            *known.entry(matching.key(labels)).or_insert_with_key(|key| {
                keys.push(key.clone());
                next
            })
        };
        let left = left.into_iter().map(&mut number).collect();
        let right = right.into_iter().map(&mut number).collect();
        Self { left, right, keys }
    }
}

/// What `group_left` and `group_right` do to the label set of the "many" side.
#[derive(Clone, Copy, Debug)]
pub struct Include<'a> {
    /// Labels that are taken from the "one" side; one that is missing there is removed.
    pub names: &'a [String],
    /// The labels of the "one" side's series.
    pub one: &'a Labels,
}

/// The label set of a binary operation's result. `many` is the series whose labels are kept: the left side of a one-to-one
/// match, the "many" side otherwise; `include` is given for the latter. `drop_name` says whether the metric name goes
/// (it stays where a comparison only filters).
pub fn result_labels(
    matching: &Matching,
    many: &Labels,
    include: Option<Include<'_>>,
    drop_name: bool,
) -> Labels {
    let Some(include) = include else {
        // One to one: what both sides share; `ignoring` keeps the name of a comparison's left side, `on` keeps it only if named.
        return many.retain(|name| {
            if name == METRIC_NAME_LABEL {
                !drop_name && (!matching.on || matching.contains(name))
            } else {
                matching.contains(name) == matching.on
            }
        });
    };
    if include.names.is_empty() {
        return if drop_name { many.without_metric_name() } else { many.clone() };
    }
    let mut builder = LabelsBuilder::from_labels(many);
    if drop_name {
        builder.remove(METRIC_NAME_LABEL);
    }
    for name in include.names {
        builder.set(name, include.one.value(name));
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn sides_share_the_labels_that_count() {
        let left = [set(&[("__name__", "l"), ("a", "1"), ("b", "1")]), set(&[("a", "2")])];
        let right = [set(&[("__name__", "r"), ("a", "1"), ("b", "2")]), set(&[("a", "3")])];
        let plan = MatchPlan::new(&Matching::on(&["a".into()]), &left, &right);
        assert_eq!((plan.left, plan.right), (vec![0, 1], vec![0, 2]));
        let plan = MatchPlan::new(&Matching::ignoring(&[]), &left, &right);
        assert_eq!((plan.left, plan.right), (vec![0, 1], vec![2, 3]));
        let plan = MatchPlan::new(&Matching::ignoring(&["b".into()]), &left, &right);
        assert_eq!((plan.left, plan.right), (vec![0, 1], vec![0, 2]));
    }

    #[test]
    fn results_keep_shared_labels_or_those_of_the_many_side() {
        let many = set(&[("__name__", "m"), ("a", "1"), ("b", "2")]);
        let one = set(&[("a", "1"), ("c", "3")]);
        let on = Matching::on(&["a".into()]);
        for (include, drop_name, expected) in [
            (None, true, "{a=\"1\"}"),
            (None, false, "{a=\"1\"}"),
            (Some(vec![]), true, "{a=\"1\", b=\"2\"}"),
            (Some(vec!["c".to_owned(), "b".to_owned()]), true, "{a=\"1\", c=\"3\"}"),
        ] {
            let include = include.as_ref().map(|names: &Vec<String>| Include { names, one: &one });
            assert_eq!(result_labels(&on, &many, include, drop_name).to_string(), expected);
        }
    }
}
