//! Parameters of a request: the query string and, for a POST, the form.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use go_regex::CompiledMatcher;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use model::{TimeRange, TimestampMs, parse_duration_ms, parse_rfc3339_ns};

use super::error::ApiError;

const FORM_BYTES_MAX: usize = 10 << 20;
/// Times that nothing lies beyond, far enough from the ends of the type for arithmetic.
pub(crate) const TIME_MIN: TimestampMs = i64::MIN / 4;
pub(crate) const TIME_MAX: TimestampMs = i64::MAX / 4;

/// All parameters, those of the form first.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the parameters of a request; its head is given back.
    pub(crate) async fn read(request: Request) -> Result<(Self, Parts), ApiError> {
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::new();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            let form = to_bytes(body, FORM_BYTES_MAX)
                .await
                .map_err(|error| ApiError::bad_data(format!("error parsing form values: {error}")))?;
            pairs.extend(url::form_urlencoded::parse(&form).into_owned());
        }
        let query = parts.uri.query().unwrap_or_default();
        pairs.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok((Self(pairs), parts))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Like [`Self::get`]; an empty value counts as none.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A time, where the parameter is there and not empty.
    pub(crate) fn time(&self, name: &str) -> Result<Option<TimestampMs>, ApiError> {
        self.non_empty(name)
            .map(|text| {
                parse_time(text).ok_or_else(|| {
                    ApiError::invalid_parameter(
                        name,
                        format_args!("cannot parse {text:?} to a valid timestamp"),
                    )
                })
            })
            .transpose()
    }

    pub(crate) fn required_time(&self, name: &str) -> Result<TimestampMs, ApiError> {
        let missing = || ApiError::invalid_parameter(name, "cannot parse \"\" to a valid timestamp");
        self.time(name)?.ok_or_else(missing)
    }

    /// A duration in ms, where the parameter is there and not empty.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.non_empty(name)
            .map(|text| {
                parse_duration(text).ok_or_else(|| {
                    ApiError::invalid_parameter(
                        name,
                        format_args!("cannot parse {text:?} to a valid duration"),
                    )
                })
            })
            .transpose()
    }

    pub(crate) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        Ok(self.duration_ms("timeout")?.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())))
    }

    /// The most results wanted; 0 is all.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.non_empty("limit") else { return Ok(0) };
        text.parse().map_err(|_| ApiError::invalid_parameter("limit", "limit must be non-negative"))
    }

    /// `start` and `end`, wide open where they are missing.
    pub(crate) fn range(&self) -> Result<TimeRange, ApiError> {
        let start = self.time("start")?.unwrap_or(TIME_MIN);
        let end = self.time("end")?.unwrap_or(TIME_MAX);
        if end < start {
            return Err(ApiError::invalid_parameter(
                "end",
                "end timestamp must not be before start timestamp",
            ));
        }
        Ok(TimeRange::new(start, end))
    }

    /// `match[]`, each with at least one matcher that an empty value does not pass.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<CompiledMatcher>>, ApiError> {
        selectors(&self.all("match[]"))
    }
}

/// Parses and compiles selectors.
pub(crate) fn selectors(texts: &[&str]) -> Result<Vec<Vec<CompiledMatcher>>, ApiError> {
    texts
        .iter()
        .map(|text| {
            let invalid = |error: &dyn std::fmt::Display| ApiError::invalid_parameter("match[]", error);
            let matchers =
                promql::parse_selector(text, promql::Features::all()).map_err(|error| invalid(&error))?;
            let compiled: Result<Vec<_>, _> = matchers.into_iter().map(CompiledMatcher::new).collect();
            let compiled = compiled.map_err(|error| invalid(&error))?;
            if compiled.iter().all(CompiledMatcher::matches_empty) {
                return Err(invalid(&"match[] must contain at least one non-empty matcher"));
            }
            Ok(compiled)
        })
        .collect()
}

/// Seconds as a float, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Option<TimestampMs> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return ms.is_finite().then(|| (ms as i64).clamp(TIME_MIN, TIME_MAX));
    }
    match text {
        "-292273086-05-16T16:47:06Z" => Some(TIME_MIN),
        "292277025-08-18T07:12:54.999999999Z" => Some(TIME_MAX),
        _ => parse_rfc3339_ns(text).map(|ns| ns.div_euclid(1_000_000)),
    }
}

/// Seconds as a float, or Prometheus' spelling; in ms.
fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        return (ms.is_finite() && ms.abs() < 9e15).then_some(ms as i64);
    }
    parse_duration_ms(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_have_two_spellings() {
        for (text, ms) in [
            ("1795361336.313", Some(1_795_361_336_313)),
            ("0", Some(0)),
            ("-1.5", Some(-1500)),
            ("1795361336000", Some(1_795_361_336_000_000)),
            ("2026-11-22T12:00:00Z", Some(1_795_348_800_000)),
            ("NaN", None),
            ("x", None),
        ] {
            assert_eq!(parse_time(text), ms, "{text}");
        }
        for (text, ms) in [
            ("0.5", Some(500)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("x", None),
            ("Inf", None),
        ] {
            assert_eq!(parse_duration(text), ms, "{text}");
        }
    }

    #[test]
    fn a_selector_needs_a_matcher_that_means_something() {
        assert_eq!(selectors(&["up", "{job=~\"a.*\"}"]).expect("valid").len(), 2);
        for text in ["{}", "{a=\"\"}", "{a=~\".*\"}", "up{", "{a=~\"(\"}"] {
            assert!(selectors(&[text]).is_err(), "{text}");
        }
    }
}
