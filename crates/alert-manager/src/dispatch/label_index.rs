//! Which alerts have a label: what filters and silences ask for is found without looking at the alerts.

use std::collections::HashMap;

use go_regex::CompiledMatcher;
use model::Labels;
use roaring::RoaringBitmap;

use crate::matchers::MatcherSet;

/// By name and value, the places of the alerts that have it.
#[derive(Debug, Default)]
pub(super) struct LabelIndex {
    names: HashMap<Box<str>, HashMap<Box<str>, Places>>,
    /// The places of all alerts.
    all: RoaringBitmap,
}

/// Many values are those of one alert alone.
#[derive(Debug)]
enum Places {
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Places {
    fn add_to(&self, places: &mut RoaringBitmap) {
        match self {
            Self::One(place) => drop(places.insert(*place)),
            Self::Many(many) => *places |= &**many,
        }
    }
}

impl LabelIndex {
    pub(super) fn add(&mut self, labels: &Labels, place: u32) {
        self.all.insert(place);
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), HashMap::new());
            }
            let Some(values) = self.names.get_mut(name) else {
                continue;
            };
            match values.get_mut(value) {
                None => drop(values.insert(value.into(), Places::One(place))),
                Some(Places::Many(many)) => drop(many.insert(place)),
                Some(one @ Places::One(_)) => {
                    let mut many = RoaringBitmap::from([place]);
                    one.add_to(&mut many);
                    *one = Places::Many(Box::new(many));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, labels: &Labels, place: u32) {
        self.all.remove(place);
        for (name, value) in labels.iter() {
            let Some(values) = self.names.get_mut(name) else {
                continue;
            };
            let is_over = match values.get_mut(value) {
                Some(Places::One(one)) => *one == place,
                Some(Places::Many(many)) => {
                    many.remove(place);
                    many.is_empty()
                }
                None => false,
            };
            if is_over {
                values.remove(value);
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// The places of the alerts whose labels match all, of all or `among` some; `labels`: those at a place.
    pub(super) fn matching<'s>(
        &self,
        matchers: &MatcherSet,
        among: Option<&RoaringBitmap>,
        labels: &dyn Fn(u32) -> Option<&'s Labels>,
    ) -> RoaringBitmap {
        // Those that are cheap first: what they leave may be little enough to be looked at.
        let mut order: Vec<&CompiledMatcher> = matchers.iter().collect();
        order.sort_by_key(|matcher| matcher.literal_values().is_none());
        let mut found: Option<RoaringBitmap> = among.cloned();
        for matcher in order {
            found = Some(match found {
                None => self.matching_one(matcher),
                Some(left) if left.is_empty() => return left,
                Some(left) if left.len() < self.values(matcher) => {
                    let matches = |place: &u32| {
                        labels(*place).is_some_and(|labels| matcher.matches(labels.value(matcher.name())))
                    };
                    left.iter().filter(matches).collect()
                }
                Some(left) => left & self.matching_one(matcher),
            });
        }
        found.unwrap_or_else(|| self.all.clone())
    }

    /// How many values would have to be looked at.
    fn values(&self, matcher: &CompiledMatcher) -> u64 {
        match matcher.literal_values() {
            Some(values) => values.len() as u64,
            None => self.names.get(matcher.name()).map_or(0, |values| values.len() as u64),
        }
    }

    fn matching_one(&self, matcher: &CompiledMatcher) -> RoaringBitmap {
        let matches_empty = matcher.matches_empty();
        let mut found = RoaringBitmap::new();
        if let Some(values) = self.names.get(matcher.name()) {
            match matcher.literal_values().filter(|_| !matches_empty) {
                Some(literals) => {
                    literals
                        .iter()
                        .filter_map(|value| values.get(*value))
                        .for_each(|one| one.add_to(&mut found));
                }
                // Of a matcher that takes alerts without the label: what it does not take.
                None => {
                    let prefix = matcher.literal_prefix();
                    let matches = |value: &str| value.starts_with(prefix) && matcher.matches(value);
                    let wanted = values.iter().filter(|(value, _)| matches(value) != matches_empty);
                    wanted.for_each(|(_, one)| one.add_to(&mut found));
                }
            }
        }
        if matches_empty { &self.all - found } else { found }
    }
}

#[cfg(test)]
mod tests;
