//! When a target is scraped: spread over the interval, at the same place after a restart.

use std::time::Duration;

use model::TimestampMs;

/// The first time after `now` that lies `offset` behind a multiple of the interval.
pub(crate) fn next_slot(now: TimestampMs, interval: Duration, hash: u64) -> TimestampMs {
    let interval = (interval.as_millis() as i64).max(1);
    let offset = (hash % interval.unsigned_abs()) as i64;
    let slot = now - now.rem_euclid(interval) + offset;
    if slot > now { slot } else { slot + interval }
}

/// The scrape's timestamp: the slot's where the scrape started nearly then.
pub(crate) fn adjusted(
    now: TimestampMs,
    slot: TimestampMs,
    tolerance_ms: i64,
    interval: Duration,
) -> TimestampMs {
    let tolerance = tolerance_ms.min(interval.as_millis() as i64 / 100);
    if (now - slot).abs() <= tolerance { slot } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_at_the_offset_of_the_hash() {
        let interval = Duration::from_secs(10);
        for (now, hash, slot) in
            [(20_000, 3_000, 23_000), (23_000, 3_000, 33_000), (25_500, 3_000, 33_000), (0, 10_000, 10_000)]
        {
            assert_eq!(next_slot(now, interval, hash), slot);
        }
        assert_eq!(adjusted(1002, 1000, 2, interval), 1000);
        assert_eq!(adjusted(1003, 1000, 2, interval), 1003);
        assert_eq!(adjusted(1002, 1000, 2, Duration::from_millis(100)), 1002);
    }
}
