//! Durations in Prometheus' and in Go's spelling.

use std::fmt;

/// Why a duration could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDurationError {
    /// What was given.
    pub text: String,
    /// The spelling that was expected.
    pub expected: &'static str,
}

impl fmt::Display for ParseDurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a duration: {}", self.text, self.expected)
    }
}

impl std::error::Error for ParseDurationError {}

const UNITS_MS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads Prometheus' `1d2h3m4s5ms`: units y w d h m s ms, largest first, each at most once; a bare `0` is zero.
/// In milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<i64, ParseDurationError> {
    let fail = || ParseDurationError {
        text: text.to_owned(),
        expected: "write numbers with units y, w, d, h, m, s, ms, largest first, such as 1h30m",
    };
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total, mut next_unit) = (text, 0i64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| fail())?;
        let unit_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + unit_len];
        let position = UNITS_MS.iter().position(|(name, _)| *name == unit).ok_or_else(fail)?;
        if position < next_unit {
            return Err(fail());
        }
        next_unit = position + 1;
        total =
            number.checked_mul(UNITS_MS[position].1).and_then(|ms| total.checked_add(ms)).ok_or_else(fail)?;
        rest = &rest[digits + unit_len..];
    }
    if next_unit == 0 { Err(fail()) } else { Ok(total) }
}

/// Writes milliseconds as Prometheus does: `1h30m`, `0s`, days and weeks only where they divide evenly.
pub fn format_duration_ms(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let mut rest = ms;
    if ms < 0 {
        out.push('-');
        rest = -ms;
    }
    for (position, (name, unit)) in UNITS_MS.into_iter().enumerate() {
        // Years, weeks and days are shown only if nothing smaller remains beside them.
        if position < 3 && rest % unit != 0 {
            continue;
        }
        if rest >= unit {
            out.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    out
}

/// Reads Go's `1h2m3.5s` (also `100µs`, `-1.5h`) and Prometheus' d, w, y after it; a bare `0` is zero. In nanoseconds.
pub fn parse_go_duration_ns(text: &str) -> Result<i64, ParseDurationError> {
    let fail = || ParseDurationError {
        text: text.to_owned(),
        expected: "write numbers with units h, m, s, ms, us, ns, such as 1h30m or 1.5s",
    };
    let (sign, body) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if body == "0" {
        return Ok(0);
    }
    if body.is_empty() {
        return Err(fail());
    }
    let (mut rest, mut total) = (body, 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number = &rest[..digits];
        let unit_len = rest[digits..]
            .chars()
            .take_while(|c| !c.is_ascii_digit() && *c != '.')
            .map(char::len_utf8)
            .sum::<usize>();
        let unit = match &rest[digits..digits + unit_len] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            "y" => 31_536_000_000_000_000,
            _ => return Err(fail()),
        };
        let part = match number.parse::<i64>() {
            Ok(whole) => whole.checked_mul(unit).ok_or_else(fail)?,
            Err(_) => (number.parse::<f64>().map_err(|_| fail())? * unit as f64) as i64,
        };
        total = total.checked_add(part).ok_or_else(fail)?;
        rest = &rest[digits + unit_len..];
    }
    Ok(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_durations() {
        for (text, ms) in [
            ("0", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "m", "1m1h", "1m1m", "1.5h", "-1m", "99999999999999y", "1ä"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for (ms, text) in [
            (0, "0s"),
            (5_400_000, "1h30m"),
            (604_800_000, "1w"),
            (86_400_000, "1d"),
            (90_000_000, "25h"),
            (-300_000, "-5m"),
        ] {
            assert_eq!(format_duration_ms(ms), text);
        }
    }

    #[test]
    fn go_durations() {
        for (text, ns) in [
            ("1h2m3.5s", 3_723_500_000_000),
            ("100µs", 100_000),
            ("-1.5h", -5_400_000_000_000),
            ("0", 0),
            ("30d", 2_592_000_000_000_000),
        ] {
            assert_eq!(parse_go_duration_ns(text), Ok(ns), "{text}");
        }
        for text in ["", "5", "-", "h", "1.2.3s", "9999999999h"] {
            assert!(parse_go_duration_ns(text).is_err(), "{text}");
        }
    }
}
