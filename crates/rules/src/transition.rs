//! What has become of a rule's alerts, for as far back as it is kept.

use std::collections::VecDeque;

use model::{Labels, TimestampMs};

use crate::AlertState;

/// So many changes of a rule are kept.
const KEPT_MAX: usize = 200;

/// A change of one alert's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The evaluation that saw it.
    pub at: TimestampMs,
    /// Which alert.
    pub labels: Labels,
    /// Where it stood; an alert that was not there was inactive.
    pub from: AlertState,
    /// Where it stands from then on.
    pub to: AlertState,
    /// The expression's value at the last evaluation that had it.
    pub value: f64,
}

/// The latest changes of a rule's alerts, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<Transition>);

impl History {
    /// Adds the changes of one evaluation.
    pub(crate) fn add(&mut self, mut transitions: Vec<Transition>) {
        transitions.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.0.extend(transitions);
        let over = self.0.len().saturating_sub(KEPT_MAX);
        self.0.drain(..over);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Transition> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_changes_are_kept() {
        let mut history = History::default();
        let change = |at| Transition {
            at,
            labels: Labels::from_pairs([("n", at.to_string())]),
            from: AlertState::Inactive,
            to: AlertState::Firing,
            value: 1.0,
        };
        (0..300).for_each(|at| history.add(vec![change(at)]));
        let kept: Vec<i64> = history.iter().map(|change| change.at).collect();
        assert_eq!(kept, (100..300).collect::<Vec<_>>());
    }
}
