//! Timestamps and ranges of time.

/// Milliseconds since the Unix epoch: metrics.
pub type TimestampMs = i64;
/// Nanoseconds since the Unix epoch: logs.
pub type TimestampNs = i64;

/// A closed range of milliseconds: both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first millisecond.
    pub start: TimestampMs,
    /// The last millisecond.
    pub end: TimestampMs,
}

impl TimeRange {
    /// Makes a range; both ends belong to it.
    pub fn new(start: TimestampMs, end: TimestampMs) -> Self {
        Self { start, end }
    }

    /// Whether `timestamp` lies in the range.
    pub fn contains(self, timestamp: TimestampMs) -> bool {
        (self.start..=self.end).contains(&timestamp)
    }

    /// Whether the two ranges share a millisecond.
    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Reads RFC 3339 (`2026-11-22T12:00:00.123456789Z`, `+02:00`) as nanoseconds since the epoch. `None` where it is not that
/// or lies outside what 64 bits of nanoseconds hold (1677 to 2262).
pub fn parse_rfc3339_ns(text: &str) -> Option<TimestampNs> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| bytes.get(*at) != Some(byte))
        || !matches!(bytes.get(10), Some(b'T' | b't' | b' '))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if bytes.get(at) == Some(&b'.') {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        nanos = bytes[at + 1..at + 1 + digits]
            .iter()
            .chain(std::iter::repeat(&b'0'))
            .take(9)
            .fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        at += 1 + digits;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if at + 1 == bytes.len() => 0,
        sign @ (b'+' | b'-') if at + 6 == bytes.len() && bytes[at + 3] == b':' => {
            let seconds = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Writes RFC 3339 in UTC as Go does: a fraction only where there is one, without zeros at its end.
pub fn format_rfc3339_ns(timestamp: TimestampNs) -> String {
    let (seconds, nanos) = (timestamp.div_euclid(1_000_000_000), timestamp.rem_euclid(1_000_000_000));
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos != 0 {
        text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// The reverse of [`days_from_civil`], from the same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_to_the_nanosecond() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T12:00:00Z", 1_795_348_800_000_000_000),
            ("2026-11-22T14:00:00.123456789+02:00", 1_795_348_800_123_456_789),
            ("2024-02-29T00:00:00.5Z", 1_709_164_800_500_000_000),
        ] {
            assert_eq!(parse_rfc3339_ns(text), Some(ns), "{text}");
            assert_eq!(parse_rfc3339_ns(&format_rfc3339_ns(ns)), Some(ns), "{text}");
        }
        assert_eq!(format_rfc3339_ns(1_795_348_800_120_000_000), "2026-11-22T12:00:00.12Z");
        assert_eq!(format_rfc3339_ns(-1), "1969-12-31T23:59:59.999999999Z");
        for text in [
            "",
            "2026-11-22",
            "2026-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-11-22T12:00:00",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00Zx",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339_ns(text), None, "{text}");
        }
    }
}
