//! Time intervals: when notifications are muted or active.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// An interval; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct TimeInterval {
    /// Minutes of the day, the end not included.
    pub times: Vec<(u16, u16)>,
    /// Days of the week, Sunday 0.
    pub weekdays: Vec<RangeInclusive<i32>>,
    /// Days of the month, negative ones from its end.
    pub days_of_month: Vec<(i32, i32)>,
    /// Months, January 1.
    pub months: Vec<RangeInclusive<i32>>,
    /// Years.
    pub years: Vec<RangeInclusive<i32>>,
    /// Where the clock is read; UTC where not given.
    pub location: Option<TimeZone>,
}

impl TimeInterval {
    /// Whether the interval contains an instant.
    pub fn contains(&self, now_ns: i64) -> bool {
        let Ok(timestamp) = Timestamp::from_nanosecond(i128::from(now_ns)) else {
            return false;
        };
        let now = timestamp.to_zoned(self.location.clone().unwrap_or(TimeZone::UTC));
        let minute = now.hour() as u16 * 60 + now.minute() as u16;
        let weekday = i32::from(now.weekday().to_sunday_zero_offset());
        let holds = |ranges: &[RangeInclusive<i32>], value: i32| {
            ranges.is_empty() || ranges.iter().any(|range| range.contains(&value))
        };
        (self.times.is_empty() || self.times.iter().any(|(start, end)| (*start..*end).contains(&minute)))
            && (self.days_of_month.is_empty()
                || self.days_of_month.iter().any(|days| contains_day(*days, &now)))
            && holds(&self.weekdays, weekday)
            && holds(&self.months, i32::from(now.month()))
            && holds(&self.years, i32::from(now.year()))
    }
}

fn contains_day((begin, end): (i32, i32), now: &Zoned) -> bool {
    let days = i32::from(now.days_in_month());
    let from_end = |day: i32| if day < 0 { days + day + 1 } else { day };
    // A range that lies outside of this month does not hold; one that leaves it ends with it.
    if begin > days {
        return false;
    }
    let (begin, end) = (from_end(begin).max(1), from_end(end).min(days));
    (begin..=end).contains(&i32::from(now.day()))
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads `HH:MM` as a minute of the day; `24:00` is its end.
pub fn parse_minute(text: &str) -> Result<u16, String> {
    let fail = || format!("couldn't parse timestamp {text}, invalid format");
    let (hour, minute) = text.split_once(':').ok_or_else(fail)?;
    let number = |digits: &str| -> Result<u16, String> {
        if digits.len() == 2 { digits.parse().map_err(|_| fail()) } else { Err(fail()) }
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    if minute > 59 || total > 24 * 60 { Err(fail()) } else { Ok(total) }
}

fn parse_range(text: &str, number: impl Fn(&str) -> Option<i32>) -> Result<(i32, i32), String> {
    let (begin, end) = text.split_once(':').unwrap_or((text, text));
    let read = |part: &str| number(part.trim()).ok_or_else(|| format!("{part:?} is not a valid value"));
    let (begin, end) = (read(begin)?, read(end)?);
    if begin > end && (begin < 0) == (end < 0) {
        return Err(format!("start {begin} of a range must not be after its end {end}"));
    }
    Ok((begin, end))
}

/// Reads `monday:friday` or `saturday`.
pub fn parse_weekdays(text: &str) -> Result<RangeInclusive<i32>, String> {
    let day =
        |name: &str| WEEKDAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).map(|idx| idx as i32);
    parse_range(text, day).map(|(begin, end)| begin..=end)
}

/// Reads `1:5`, `-3:-1` or `31`.
pub fn parse_days_of_month(text: &str) -> Result<(i32, i32), String> {
    let day = |text: &str| text.parse::<i32>().ok().filter(|day| *day != 0 && (-31..=31).contains(day));
    let (begin, end) = parse_range(text, day)?;
    if begin < 0 && end > 0 {
        return Err("end day must be negative if start day is negative".to_owned());
    }
    Ok((begin, end))
}

/// Reads `january:march`, `1:3` or `december`.
pub fn parse_months(text: &str) -> Result<RangeInclusive<i32>, String> {
    let month = |text: &str| {
        let named =
            MONTHS.iter().position(|month| month.eq_ignore_ascii_case(text)).map(|idx| idx as i32 + 1);
        named.or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
    };
    parse_range(text, month).map(|(begin, end)| begin..=end)
}

/// Reads `2026:2028` or `2026`.
pub fn parse_years(text: &str) -> Result<RangeInclusive<i32>, String> {
    parse_range(text, |text| text.parse().ok()).map(|(begin, end)| begin..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_contain_what_they_say() {
        let at = |text: &str| model::parse_rfc3339_ns(text).expect(text);
        let zone = |name: &str| Some(TimeZone::get(name).expect(name));
        let business = || TimeInterval {
            times: vec![(9 * 60, 17 * 60)],
            weekdays: vec![parse_weekdays("monday:friday").expect("a range")],
            ..TimeInterval::default()
        };
        for (interval, time, expected) in [
            (business(), "2026-11-20T09:00:00Z", true),
            (business(), "2026-11-20T16:59:59Z", true),
            (business(), "2026-11-20T17:00:00Z", false),
            (business(), "2026-11-22T12:00:00Z", false),
            (
                TimeInterval { location: zone("America/New_York"), ..business() },
                "2026-11-20T13:59:00Z",
                false,
            ),
            (TimeInterval { location: zone("America/New_York"), ..business() }, "2026-11-20T14:00:00Z", true),
            (
                TimeInterval { days_of_month: vec![(-3, -1)], ..TimeInterval::default() },
                "2026-02-26T00:00:00Z",
                true,
            ),
            (
                TimeInterval { days_of_month: vec![(-3, -1)], ..TimeInterval::default() },
                "2026-02-25T00:00:00Z",
                false,
            ),
            (
                TimeInterval { days_of_month: vec![(31, 31)], ..TimeInterval::default() },
                "2026-02-28T00:00:00Z",
                false,
            ),
            (
                TimeInterval { days_of_month: vec![(28, 31)], ..TimeInterval::default() },
                "2026-02-28T00:00:00Z",
                true,
            ),
            (
                TimeInterval { months: vec![11..=12], years: vec![2026..=2026], ..TimeInterval::default() },
                "2026-11-01T00:00:00Z",
                true,
            ),
            (TimeInterval { months: vec![1..=2], ..TimeInterval::default() }, "2026-11-01T00:00:00Z", false),
            (TimeInterval::default(), "2026-11-01T00:00:00Z", true),
        ] {
            assert_eq!(interval.contains(at(time)), expected, "{interval:?} {time}");
        }
        assert_eq!(parse_minute("24:00"), Ok(1440));
        for bad in ["24:01", "9:00", "0900", "aa:bb", "12:60"] {
            assert!(parse_minute(bad).is_err(), "{bad}");
        }
        assert!(parse_weekdays("friday:monday").is_err() && parse_weekdays("blursday").is_err());
        assert!(
            parse_days_of_month("0").is_err()
                && parse_days_of_month("-1:5").is_err()
                && parse_days_of_month("32").is_err()
        );
        assert!(
            parse_months("13").is_err()
                && parse_months("may:10").is_ok()
                && parse_years("2026:2025").is_err()
        );
    }
}
