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

/// The same as [`rfc3339_ms`], appended.
pub fn push_rfc3339_ms(out: &mut Vec<u8>, ns: TimestampNs) {
    const MS: i64 = SECOND / 1000;
    let text = model::format_rfc3339_ns(ns.saturating_sub(ns.rem_euclid(SECOND)));
    let ms = ns.rem_euclid(SECOND) / MS;
    out.extend(text.bytes().take_while(|byte| !matches!(byte, b'.' | b'Z')));
    out.push(b'.');
    out.extend([ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit as u8));
    out.push(b'Z');
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
        for ns in
            [0, 1, 999_999, 1_000_000, -1, -SECOND, i64::MAX, i64::MIN, 1_709_164_800 * SECOND + 5_999_999]
        {
            let mut out = Vec::new();
            push_rfc3339_ms(&mut out, ns);
            assert_eq!(String::from_utf8(out).unwrap(), rfc3339_ms(ns), "{ns}");
        }
    }
}
