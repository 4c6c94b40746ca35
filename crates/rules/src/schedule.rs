//! When a group is due.

use model::TimestampMs;

/// Evenly spaced slots; groups are spread over their interval by a hash of their file and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

impl Schedule {
    pub(crate) fn new(file: &str, group: &str, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in file.bytes().chain([b';']).chain(group.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits alone of this hash are poor.
        let offset_ms = ((hash ^ (hash >> 32)) % interval_ms as u64) as i64;
        Self { interval_ms, offset_ms }
    }

    /// The last slot at or before `now`.
    pub(crate) fn at_or_before(self, now: TimestampMs) -> TimestampMs {
        (now - self.offset_ms).div_euclid(self.interval_ms) * self.interval_ms + self.offset_ms
    }

    /// The first slot after `now`.
    pub(crate) fn after(self, now: TimestampMs) -> TimestampMs {
        self.at_or_before(now) + self.interval_ms
    }

    /// How many slots lie between two slots, neither counted.
    pub(crate) fn between(self, earlier: TimestampMs, later: TimestampMs) -> u64 {
        ((later - earlier) / self.interval_ms - 1).max(0) as u64
    }
}
