//! Parameters of a request, and the times among them.

use std::time::Duration;

use model::{TimestampNs, parse_duration_ms, parse_rfc3339_ns};
use url::form_urlencoded;

use crate::error::ApiError;

/// How far back a request without a start looks.
const SINCE: Duration = Duration::from_secs(3600);
/// Integers of so many digits are seconds, longer ones nanoseconds.
const SECONDS_DIGITS_MAX: usize = 10;

/// Names and values, of the URL and of a form in the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=b&c=d`.
    pub(crate) fn parse(query: &[u8]) -> Self {
        Self(form_urlencoded::parse(query).into_owned().collect())
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The value; none where it is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a repeated parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A number; `default` where it is absent.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| ApiError::bad_request(format!("cannot parse {name}: {text:?} is not a number"))),
        }
    }

    /// A time; `default` where it is absent.
    pub(crate) fn time(&self, name: &str, default: TimestampNs) -> Result<TimestampNs, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => parse_time(text).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "could not parse '{name}' parameter: cannot parse {text:?} to a valid timestamp"
                ))
            }),
        }
    }

    /// A span of time in ns: seconds with a fraction, or a duration; `None` where it is absent.
    pub(crate) fn span(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match parse_span(text) {
            Some(nanos) => Ok(Some(nanos)),
            None => Err(ApiError::bad_request(format!("cannot parse {text:?} to a valid duration ({name})"))),
        }
    }

    /// `start` and `end`, or `since` before the end (or before now, where the end lies in the future).
    pub(crate) fn bounds(&self, now: TimestampNs) -> Result<(TimestampNs, TimestampNs), ApiError> {
        let end = self.time("end", now)?;
        let since = match self.span("since")? {
            Some(since) => since,
            None => SINCE.as_nanos() as i64,
        };
        let start = self.time("start", end.min(now).saturating_sub(since))?;
        if end < start {
            return Err(ApiError::bad_request("end timestamp must not be before or equal to start time"));
        }
        Ok((start, end))
    }
}

fn parse_span(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = seconds * 1e9;
        return (nanos.is_finite() && nanos.abs() < 9e18).then_some(nanos as i64);
    }
    parse_duration_ms(text).ok()?.checked_mul(1_000_000)
}

fn parse_time(text: &str) -> Option<TimestampNs> {
    if text.contains('.')
        && let Ok(seconds) = text.parse::<f64>()
    {
        // Such times are exact to the millisecond.
        let millis = (seconds * 1000.0).round();
        return (millis.is_finite() && millis.abs() < 9e12).then(|| millis as i64 * 1_000_000);
    }
    match text.parse::<i64>() {
        Ok(number) if text.len() <= SECONDS_DIGITS_MAX => number.checked_mul(1_000_000_000),
        Ok(number) => Some(number),
        Err(_) => parse_rfc3339_ns(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_form() {
        for (text, nanos) in [
            ("1700000000", 1_700_000_000_000_000_000),
            ("4000000000", 4_000_000_000_000_000_000),
            ("1700000000000000001", 1_700_000_000_000_000_001),
            ("1700000000.123", 1_700_000_000_123_000_000),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500_000_000),
        ] {
            assert_eq!(parse_time(text), Some(nanos), "{text}");
        }
        for text in ["", "now", "1e400.0", "NaN.0"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        for (text, nanos) in
            [("2", 2_000_000_000), ("0.5", 500_000_000), ("1000ms", 1_000_000_000), ("1m", 60_000_000_000)]
        {
            assert_eq!(parse_span(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn a_range_without_a_start_is_the_hour_before() {
        let bounds = |query: &str, now| Params::parse(query.as_bytes()).bounds(now);
        let hour = 3_600_000_000_000;
        assert_eq!(bounds("", 2 * hour), Ok((hour, 2 * hour)));
        assert_eq!(bounds("end=99999999999999999", 2 * hour), Ok((hour, 99_999_999_999_999_999)));
        assert_eq!(bounds("since=30m", 2 * hour), Ok((hour + hour / 2, 2 * hour)));
        assert!(bounds("start=20&end=10", 0).is_err() && bounds("start=10&end=10", 0).is_ok());
    }
}
