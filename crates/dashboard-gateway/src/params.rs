//! Parameters of the originals' query APIs, from the query string and a form body together.

use std::time::Duration;

use bytes::Bytes;

/// Bytes of a form body.
pub(crate) const FORM_BYTES_MAX: usize = 1 << 20;

/// Names and values in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: Option<&str>, form: &Bytes) -> Self {
        let mut pairs = Vec::new();
        for part in [form.as_ref(), query.unwrap_or("").as_bytes()] {
            let decoded = url::form_urlencoded::parse(part);
            pairs.extend(decoded.map(|(name, value)| (name.into_owned(), value.into_owned())));
        }
        Self(pairs)
    }

    /// The first value of a name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect()
    }
}

/// Prometheus' time: seconds with a fraction, or RFC 3339. In milliseconds.
pub(crate) fn time_ms(name: &str, text: &str) -> Result<i64, String> {
    let fail = || format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return if ms.abs() < 9e15 { Ok(ms as i64) } else { Err(fail()) };
    }
    model::parse_rfc3339_ns(text).map(|ns| ns.div_euclid(1_000_000)).ok_or_else(fail)
}

/// Prometheus' duration: seconds with a fraction, or `1m30s`. In milliseconds.
pub(crate) fn duration_ms(name: &str, text: &str) -> Result<i64, String> {
    let fail = || format!("invalid parameter {name:?}: cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return if ms.abs() < 9e15 { Ok(ms as i64) } else { Err(fail()) };
    }
    model::parse_duration_ms(text).map_err(|_| fail())
}

/// Loki's time: nanoseconds, seconds with a fraction (at most ten digits before it), or RFC 3339. In nanoseconds.
pub(crate) fn time_ns(name: &str, text: &str) -> Result<i64, String> {
    let fail = || format!("could not parse '{name}' parameter: cannot parse {text:?} to a valid timestamp");
    if text.contains('.')
        && let Ok(seconds) = text.parse::<f64>()
    {
        return if seconds.abs() < 9e9 { Ok((seconds * 1e9) as i64) } else { Err(fail()) };
    }
    match text.parse::<i64>() {
        Ok(number) if text.trim_start_matches('-').len() <= 10 => Ok(number * 1_000_000_000),
        Ok(number) => Ok(number),
        Err(_) => model::parse_rfc3339_ns(text).ok_or_else(fail),
    }
}

/// Loki's step: seconds with a fraction, or a duration in Go's or Prometheus' spelling. In nanoseconds.
pub(crate) fn step_ns(text: &str) -> Result<i64, String> {
    let fail = || format!("could not parse 'step' parameter: cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.abs() < 9e9 { Ok((seconds * 1e9) as i64) } else { Err(fail()) };
    }
    model::parse_go_duration_ns(text).map_err(|_| fail())
}

/// A `timeout` parameter.
pub(crate) fn timeout(text: Option<&str>) -> Result<Option<Duration>, String> {
    text.map(|text| duration_ms("timeout", text).map(|ms| Duration::from_millis(ms.unsigned_abs())))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_apis() {
        for (text, ms) in
            [("1795361336.313", 1_795_361_336_313), ("0", 0), ("2026-11-22T15:36:08.310Z", 1_795_361_768_310)]
        {
            assert_eq!(time_ms("start", text), Ok(ms), "{text}");
        }
        for (text, ns) in [
            ("1795361336", 1_795_361_336_000_000_000),
            ("1795361336.5", 1_795_361_336_500_000_000),
            ("1795361336000000001", 1_795_361_336_000_000_001),
            ("4000000000", 4_000_000_000_000_000_000),
        ] {
            assert_eq!(time_ns("start", text), Ok(ns), "{text}");
        }
        assert!(time_ms("start", "tomorrow").is_err() && time_ns("start", "NaN").is_err());
        assert!(time_ms("start", "inf").is_err() && duration_ms("step", "").is_err());
        assert_eq!(
            (step_ns("0.5"), step_ns("1000ms"), step_ns("1m")),
            (Ok(500_000_000), Ok(1_000_000_000), Ok(60_000_000_000))
        );
    }
}
