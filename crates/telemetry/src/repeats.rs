//! Repeated log events are let through a few at a time.

use std::collections::HashMap;
use std::time::Duration;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// Events of exactly the same text per window.
const SAME_TEXT_MAX: u32 = 3;
/// Events of one place in the program per window.
const SAME_PLACE_MAX: u32 = 100;
/// Texts and places that are remembered per window.
const REMEMBERED_MAX: usize = 4096;

/// Counts events per window. The caller tells the time.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    window_start: Duration,
    texts: HashMap<u64, u32>,
    places: HashMap<usize, Place>,
}

#[derive(Debug, Default)]
struct Place {
    passed: u32,
    suppressed: u64,
}

impl Repeats {
    /// Whether an event may pass: `Some(n)` with the number of events of its place that were held back before it.
    pub(crate) fn admit(&mut self, now: Duration, place: usize, text: u64) -> Option<u64> {
        if now.saturating_sub(self.window_start) >= WINDOW {
            self.window_start = now;
            self.texts.clear();
            self.places.retain(|_, place| {
                place.passed = 0;
                place.suppressed > 0
            });
        }
        if self.texts.len() >= REMEMBERED_MAX {
            self.texts.clear();
        }
        if self.places.len() >= REMEMBERED_MAX {
            self.places.clear();
        }
        let same_text = self.texts.entry(text).or_default();
        *same_text += 1;
        let place = self.places.entry(place).or_default();
        if *same_text > SAME_TEXT_MAX || place.passed >= SAME_PLACE_MAX {
            place.suppressed += 1;
            return None;
        }
        place.passed += 1;
        Some(std::mem::take(&mut place.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_text_passes_three_times_per_window() {
        let mut repeats = Repeats::default();
        let at = Duration::from_secs;
        let passed: Vec<_> = (0..6).map(|_| repeats.admit(at(1), 7, 1)).collect();
        assert_eq!(passed, [Some(0), Some(0), Some(0), None, None, None]);
        assert_eq!(
            repeats.admit(at(2), 7, 2),
            Some(3),
            "another text of the place tells of the ones held back"
        );
        assert_eq!(repeats.admit(at(2), 8, 1), None, "the text counts, wherever it comes from");
        assert_eq!(repeats.admit(at(30), 7, 1), Some(0));
    }

    #[test]
    fn one_place_cannot_flood_with_different_texts() {
        let mut repeats = Repeats::default();
        let passed = (0..1000).filter(|text| repeats.admit(Duration::ZERO, 7, *text).is_some()).count();
        assert_eq!(passed, 100);
    }
}
