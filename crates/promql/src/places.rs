//! Places for callers that evaluate on their own threads, instead of on the pool's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts callers. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<AtomicUsize>);

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl Places {
    /// A place, where fewer than `most` are taken.
    pub(crate) fn take(&self, most: usize) -> Option<Place<'_>> {
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(&self.0))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let places = Places::default();
        let (first, second) = (places.take(2), places.clone().take(2).is_some());
        assert!(first.is_some() && second, "a clone counts, and gives back when it is done");
        let third = places.take(2);
        assert!(third.is_some() && places.take(2).is_none());
        drop(first);
        assert!(places.take(2).is_some());
    }
}
