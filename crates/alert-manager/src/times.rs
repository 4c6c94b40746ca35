//! Times as the API and messages write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::TimestampNs;

const SECOND: i64 = 1_000_000_000;

/// RFC 3339 in UTC with as many digits as the time has.
pub fn rfc3339(ns: TimestampNs) -> String {
    layout(ns, "2006-01-02T15:04:05.999999999Z07:00")
}

/// RFC 3339 in UTC with milliseconds, as the API has it.
pub fn rfc3339_ms(ns: TimestampNs) -> String {
    layout(ns, "2006-01-02T15:04:05.000Z07:00")
}

/// How many days a writer knows: alerts that are shown together have begun within some.
const DAYS: usize = 16;

/// Appends times as [`rfc3339_ms`] writes them: many times, mostly of a few days.
#[derive(Debug)]
pub struct TimeWriter {
    /// Days since the epoch and their `2026-11-22T`, each at its remainder.
    days: [(i64, String); DAYS],
}

impl TimeWriter {
    /// A writer that knows no day.
    pub fn new() -> Self {
        Self { days: std::array::from_fn(|_| (i64::MIN, String::new())) }
    }

    /// Appends a time.
    pub fn push(&mut self, out: &mut Vec<u8>, ns: TimestampNs) {
        const MS: i64 = SECOND / 1000;
        const DAY_MS: i64 = 86_400_000;
        let all_ms = ns.div_euclid(MS);
        let (day, ms) = (all_ms.div_euclid(DAY_MS), all_ms.rem_euclid(DAY_MS));
        let (known, date) = &mut self.days[day.rem_euclid(DAYS as i64) as usize];
        if *known != day {
            *known = day;
            *date = rfc3339(ns).chars().take("2026-11-22T".len()).collect();
        }
        out.extend_from_slice(date.as_bytes());
        let (second, ms) = (ms / 1000, ms % 1000);
        let two = |number: i64| [number / 10, number % 10].map(|digit| b'0' + digit as u8);
        for (number, then) in [(second / 3600, b':'), (second / 60 % 60, b':'), (second % 60, b'.')] {
            out.extend_from_slice(&two(number));
            out.push(then);
        }
        out.push(b'0' + (ms / 100) as u8);
        out.extend_from_slice(&two(ms % 100));
        out.push(b'Z');
    }
}

impl Default for TimeWriter {
    fn default() -> Self {
        Self::new()
    }
}

fn layout(ns: TimestampNs, layout: &str) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    go_template::format_time(&timestamp.to_zoned(TimeZone::UTC), layout)
}

/// A duration in ns.
pub fn ns(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds as ns.
pub const fn seconds(seconds: i64) -> i64 {
    seconds * SECOND
}

/// ns as seconds.
pub fn as_seconds(ns: TimestampNs) -> f64 {
    ns as f64 / SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_milliseconds_agree() {
        let mut writer = TimeWriter::new();
        // Two of them lie so far apart that one takes the other's place among the days.
        let apart = 16 * 86_400 * SECOND;
        for ns in [
            0,
            1,
            999_999,
            1_000_000,
            -1,
            -SECOND,
            i64::MAX,
            i64::MIN,
            1_709_164_800 * SECOND + 5_999_999,
            apart,
            2,
        ] {
            let mut out = Vec::new();
            writer.push(&mut out, ns);
            assert_eq!(String::from_utf8(out).unwrap(), rfc3339_ms(ns), "{ns}");
        }
    }
}
