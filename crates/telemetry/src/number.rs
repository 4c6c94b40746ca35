//! Numbers as the text formats of Prometheus write them (Go's shortest `%g`).

/// Writes `value` in its shortest form, with an exponent below 1e-4 and from 1e6 on, as Prometheus' own clients do.
pub(crate) fn format_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The same with a fraction always, as OpenMetrics asks for bounds.
pub(crate) fn format_bound(value: f64, fraction: bool) -> String {
    let text = format_number(value);
    if fraction && text.bytes().all(|b| b.is_ascii_digit() || b == b'-') { format!("{text}.0") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_number(value), text);
        }
        assert_eq!((format_bound(5.0, true), format_bound(0.5, true)), ("5.0".to_owned(), "0.5".to_owned()));
    }
}
