//! Numbers as the exposition formats write and read them.

use crate::error::Fault;

/// The bit pattern of an ordinary NaN, as distinct from the staleness marker.
pub(crate) const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Appends a float as Go's `%g` does: the shortest digits that read back the same, with an exponent below 1e-4 and
/// from 1e6 on.
pub fn format_g(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        out.push_str(mantissa);
        out.push('e');
        out.push(sign);
        if digits.len() < 2 {
            out.push('0');
        }
        return out.push_str(digits);
    }
    // Writing to a string cannot fail.
    std::fmt::Write::write_fmt(out, format_args!("{value}")).ok();
}

/// Appends a float as OpenMetrics writes `le` and `quantile`: like [`format_g`], with `.0` after a whole number.
pub(crate) fn format_open_metrics(out: &mut String, value: f64) {
    let start = out.len();
    format_g(out, value);
    if value.is_finite() && !out[start..].contains(['e', '.']) {
        out.push_str(".0");
    }
}

/// Reads a sample's value. Whole numbers, the bulk of all samples, take a short way.
pub(crate) fn parse_value(text: &[u8], at: usize) -> Result<f64, Fault> {
    if let Some(whole) = parse_whole(text) {
        return Ok(whole);
    }
    let fault = Fault { at, reason: "not a number" };
    let text = std::str::from_utf8(text).map_err(|_| fault)?;
    let value: f64 = text.parse().map_err(|_| fault)?;
    Ok(if value.is_nan() { f64::from_bits(NORMAL_NAN) } else { value })
}

/// A number of at most 15 digits and a sign: exact in a float.
fn parse_whole(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number = 0u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(if negative { -(number as f64) } else { number as f64 })
}

/// Reads milliseconds, as the text format writes timestamps.
pub(crate) fn parse_timestamp_ms(text: &[u8], at: usize) -> Result<i64, Fault> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Fault { at, reason: "timestamp is not a whole number of milliseconds" })
}

/// Reads seconds, as OpenMetrics writes timestamps, as milliseconds.
pub(crate) fn parse_timestamp_seconds(text: &[u8], at: usize) -> Result<i64, Fault> {
    let seconds = parse_value(text, at)?;
    let ms = seconds * 1000.0;
    if ms.is_nan() || ms.abs() > 9.2e18 {
        return Err(Fault { at, reason: "timestamp is not a time" });
    }
    Ok(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (value, g, open_metrics) in [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (0.25, "0.25", "0.25"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (1e100, "1e+100", "1e+100"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            let (mut a, mut b) = (String::new(), String::new());
            format_g(&mut a, value);
            format_open_metrics(&mut b, value);
            assert_eq!((a.as_str(), b.as_str()), (g, open_metrics));
        }
    }

    #[test]
    fn values_are_read() {
        for (text, value) in [
            ("1", 1.0),
            ("-0", -0.0),
            ("+5", 5.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("123456789012345678", 123_456_789_012_345_678.0),
        ] {
            let found = parse_value(text.as_bytes(), 0).expect(text);
            assert_eq!(found.to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(parse_value(b"NaN", 0).map(f64::to_bits), Ok(NORMAL_NAN));
        for text in ["", "-", "1_0", "0x1F", "1e", "--1", "1,5", "\u{e9}"] {
            assert!(parse_value(text.as_bytes(), 0).is_err(), "{text}");
        }
    }
}
