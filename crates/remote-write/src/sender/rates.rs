//! How fast samples come and go, and how many shards that takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// The weight of the newest interval in the averages.
const WEIGHT: f64 = 0.2;
/// How much of what waits is to be caught up with in an interval.
const CATCH_UP: f64 = 0.05;

/// Counts since the last look, and averages.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    came: AtomicU64,
    dropped: AtomicU64,
    sent: AtomicU64,
    /// Time spent on sending, in microseconds.
    spent_us: AtomicU64,
    average: Mutex<Averages>,
}

/// Per second.
#[derive(Debug, Default)]
struct Averages {
    is_set: bool,
    came: f64,
    sent: f64,
    /// Seconds of sending in a second, over all shards.
    spent: f64,
    sent_lately: bool,
}

impl Rates {
    pub(crate) fn note_in(&self) {
        self.came.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_sent(&self, count: u64, took: Duration) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.spent_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// Whether anything was sent between the last two looks.
    pub(crate) fn has_sent_lately(&self) -> bool {
        self.average.lock().sent_lately
    }

    /// How many shards the load of the last interval and what waits ask for.
    pub(crate) fn desired_shards(&self, interval: Duration, present: usize, pending: usize) -> f64 {
        let seconds = interval.as_secs_f64();
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed) as f64 / seconds;
        let (came, sent, spent) = (take(&self.came), take(&self.sent), take(&self.spent_us) / 1e6);
        take(&self.dropped);
        let mut average = self.average.lock();
        let weight = if average.is_set { WEIGHT } else { 1.0 };
        let mix = |held: f64, new: f64| held + weight * (new - held);
        (average.came, average.sent, average.spent) =
            (mix(average.came, came), mix(average.sent, sent), mix(average.spent, spent));
        average.is_set = true;
        average.sent_lately = sent > 0.0;
        if average.sent <= 0.0 {
            return present as f64;
        }
        let seconds_per_sample = average.spent / average.sent;
        seconds_per_sample * (average.came + CATCH_UP * pending as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_the_load() {
        let second = Duration::from_secs(1);
        for (came, sent, spent_ms, pending, expected) in [
            // Nothing sent: nothing known.
            (100, 0, 0, 100, 3.0),
            // 1 ms a sample, 1000 a second: one shard is busy all the time.
            (1000, 1000, 1000, 0, 1.0),
            // Twice as much comes as can be sent.
            (2000, 1000, 1000, 0, 2.0),
            // What waits counts.
            (1000, 1000, 1000, 20_000, 2.0),
        ] {
            let rates = Rates::default();
            (0..came).for_each(|_| rates.note_in());
            rates.note_sent(sent, Duration::from_millis(spent_ms));
            let desired = rates.desired_shards(second, 3, pending);
            assert!((desired - expected).abs() < 1e-9, "{came} {sent}: {desired}");
            assert_eq!(rates.has_sent_lately(), sent > 0);
        }
    }
}
