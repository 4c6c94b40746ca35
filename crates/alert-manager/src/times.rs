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
