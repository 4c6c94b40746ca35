//! What a silence's annotations ask of us: to come back every week, to end with its alerts, to warn before its end.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use model::parse_duration_ms;

use crate::time_interval::{TimeInterval, parse_minute, parse_weekdays};

/// `true`: the silence ends once every alert that it mutes is resolved, at its end at the latest.
pub const UNTIL_RESOLVED: &str = "watchbell_until_resolved";
/// `[days] [HH:MM-HH:MM] [zone]`, several ones with `;` between them: only then does the silence mute.
pub const RECURRENCE: &str = "watchbell_recurrence";
/// A duration: so long before its end there is an alert if the silence still mutes something.
pub const WARN_BEFORE: &str = "watchbell_warn_before";

/// The wishes, read.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Whether it ends with its alerts.
    pub until_resolved: bool,
    /// When it mutes; always where empty.
    pub recurrence: Vec<TimeInterval>,
    /// How long before its end it warns, in ns.
    pub warn_before_ns: Option<i64>,
}

impl Wishes {
    /// Reads a silence's annotations; those of others mean nothing to us.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut wishes = Self::default();
        if let Some(text) = annotations.get(UNTIL_RESOLVED) {
            wishes.until_resolved = match text.as_str() {
                "true" => true,
                "false" | "" => false,
                _ => return Err(format!("{UNTIL_RESOLVED}: true or false is needed, not {text:?}")),
            };
        }
        if let Some(text) = annotations.get(RECURRENCE) {
            for part in text.split(';') {
                let interval = interval(part).map_err(|reason| format!("{RECURRENCE}: {reason}"))?;
                wishes.recurrence.push(interval);
            }
        }
        if let Some(text) = annotations.get(WARN_BEFORE) {
            let ms = parse_duration_ms(text).map_err(|error| format!("{WARN_BEFORE}: {error}"))?;
            wishes.warn_before_ns = Some(ms.saturating_mul(1_000_000));
        }
        Ok(wishes)
    }

    /// Whether the silence mutes at this time, as far as its recurrence goes.
    pub fn mutes(&self, now_ns: i64) -> bool {
        self.recurrence.is_empty() || self.recurrence.iter().any(|interval| interval.contains(now_ns))
    }
}

/// Each word is known by its looks: a time has a colon and a dash, days are days, and the rest is a zone.
fn interval(text: &str) -> Result<TimeInterval, String> {
    let mut interval = TimeInterval::default();
    for word in text.split_whitespace() {
        let is_time = word.starts_with(|first: char| first.is_ascii_digit());
        if let (true, Some((start, end))) = (is_time, word.split_once('-')) {
            let (start, end) = (parse_minute(start)?, parse_minute(end)?);
            if start == end {
                return Err(format!("{word} is no time at all"));
            }
            if start < end {
                interval.times.push((start, end));
            } else {
                // Over midnight: each day has its evening and its morning.
                interval.times.extend([(start, 24 * 60), (0, end)]);
            }
        } else if let Ok(days) = parse_weekdays(word) {
            interval.weekdays.push(days);
        } else {
            let zone = TimeZone::get(word).map_err(|_| format!("{word:?} is no time, day or time zone"))?;
            interval.location = Some(zone);
        }
    }
    if interval.times.is_empty() && interval.weekdays.is_empty() {
        return Err(format!("{text:?} has neither days nor times"));
    }
    interval.times.retain(|(start, end)| start < end);
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Result<Wishes, String> {
        Wishes::read(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn recurrences_are_read_and_hold_in_their_zone() {
        // Tuesday, 2023-11-14 22:13 UTC, 23:13 in Berlin.
        let now = 1_700_000_000 * 1_000_000_000;
        for (text, holds) in [
            ("monday:friday", true),
            ("saturday", false),
            ("22:00-23:00", true),
            ("22:00-23:00 Europe/Berlin", false),
            ("23:00-24:00 Europe/Berlin", true),
            ("tuesday 23:00-06:00 Europe/Berlin", true),
            ("tuesday 23:30-06:00 Europe/Berlin", false),
            ("sunday; 22:00-22:30", true),
        ] {
            assert_eq!(read(RECURRENCE, text).unwrap().mutes(now), holds, "{text}");
        }
        for bad in ["", "Mars/Olympus", "25:00-26:00", "10:00-10:00", "Europe/Berlin", "monday;"] {
            assert!(read(RECURRENCE, bad).is_err(), "{bad}");
        }
        assert!(read(UNTIL_RESOLVED, "maybe").is_err() && read(WARN_BEFORE, "soon").is_err());
        assert_eq!(read(WARN_BEFORE, "15m").unwrap().warn_before_ns, Some(900 * 1_000_000_000));
        assert!(read(UNTIL_RESOLVED, "true").unwrap().until_resolved);
        assert!(read("other", "x").unwrap().mutes(now));
    }
}
