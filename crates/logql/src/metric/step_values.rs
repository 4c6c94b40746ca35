//! Values at steps: only the stretch between the first and the last one takes memory, as most of many series are short.

/// A value or none at each step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepRun<T> {
    first: usize,
    slots: Vec<Option<T>>,
}

impl<T> Default for StepRun<T> {
    fn default() -> Self {
        Self { first: 0, slots: Vec::new() }
    }
}

/// The values of a series.
pub(crate) type StepValues = StepRun<f64>;

impl<T: Copy> StepRun<T> {
    /// The same value at so many steps.
    pub(crate) fn filled(value: T, steps: usize) -> Self {
        Self { first: 0, slots: vec![Some(value); steps] }
    }

    pub(crate) fn get(&self, step: usize) -> Option<T> {
        self.slots.get(step.checked_sub(self.first)?).copied().flatten()
    }

    /// The place of a step's value.
    pub(crate) fn slot(&mut self, step: usize) -> &mut Option<T> {
        if self.slots.is_empty() {
            self.first = step;
        }
        if step < self.first {
            // As much again at least, so that going backward costs no more than going forward.
            let more = (self.first - step).max(self.slots.len()).min(self.first);
            self.slots.splice(0..0, std::iter::repeat_n(None, more));
            self.first -= more;
        }
        let at = step - self.first;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        &mut self.slots[at]
    }

    /// Makes room for steps that will be set.
    pub(crate) fn reserve(&mut self, steps: usize) {
        self.slots.reserve_exact(steps);
    }

    /// Steps and their values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, T)> + '_ {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, value)| value.map(|value| (self.first + at, value)))
    }

    /// Replaces each value; `None` takes it out.
    pub(crate) fn update(&mut self, mut change: impl FnMut(usize, T) -> Option<T>) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            *slot = slot.and_then(|value| change(self.first + at, value));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// The step after the last that has room.
    pub(crate) fn end(&self) -> usize {
        self.first + self.slots.len()
    }

    /// What the values take in memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::StepValues;

    #[test]
    fn values_come_back_in_whatever_order_they_are_set() {
        for order in [[5usize, 7, 2, 0, 9], [9, 7, 5, 2, 0], [0, 2, 5, 7, 9], [2, 9, 0, 7, 5]] {
            let mut values = StepValues::default();
            assert!(values.is_empty() && values.get(0).is_none());
            for step in order {
                *values.slot(step) = Some(step as f64);
            }
            let expected = [0, 2, 5, 7, 9].map(|step| (step, step as f64));
            assert_eq!(values.iter().collect::<Vec<_>>(), expected, "{order:?}");
            assert_eq!((values.get(5), values.get(4), values.get(10)), (Some(5.0), None, None));
            values.update(|step, value| (step > 2).then_some(value * 2.0));
            assert_eq!(values.iter().collect::<Vec<_>>(), [(5, 10.0), (7, 14.0), (9, 18.0)]);
            assert_eq!(values.end(), 10);
        }
    }
}
