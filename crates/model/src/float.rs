//! Floats as Prometheus writes, reads and marks them.

/// The bit pattern that marks a series as stale (Prometheus `model/value`).
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Whether `value` is the staleness marker.
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN
}

/// Writes a sample value as Prometheus' JSON does: Go's shortest form without an exponent, `NaN`, `+Inf`, `-Inf`;
/// like Go's JSON encoder an exponent is used below 1e-6 and from 1e21 on.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    let shortest = Shortest::of(value);
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        shortest.with_exponent()
    } else {
        shortest.plain()
    }
}

/// Appends what [`format_float`] gives, without an allocation for usual numbers.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    // Within these bounds the shortest digits come without an exponent.
    if !(1e-4..1e15).contains(&magnitude) {
        out.extend_from_slice(if value.to_bits() == 0 { b"0" } else { return write_rare(out, value) });
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

#[cold]
fn write_rare(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(format_float(value).as_bytes());
}

/// Writes a float as Go's `%g`: the shortest form, with an exponent below 1e-4 and from 1e21 on.
pub fn format_float_g(value: f64) -> String {
    if !value.is_finite() {
        return format_float(value);
    }
    let (magnitude, shortest) = (value.abs(), Shortest::of(value));
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        shortest.plain()
    } else {
        shortest.with_exponent()
    }
}

/// The fewest digits that give the value back; of several the closest, and of two as close the even one, as Go has it.
/// (The standard library's formatting takes the upper one.)
struct Shortest {
    sign: &'static str,
    digits: String,
    /// Where the point stands: 1 is behind the first digit.
    point: i32,
}

impl Shortest {
    fn of(finite: f64) -> Self {
        let sign = if finite.is_sign_negative() { "-" } else { "" };
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(finite.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let digits = all.trim_start_matches('0');
        let leading = (all.len() - digits.len()) as i32;
        let point = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0) - leading;
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Self { sign, digits: "0".to_owned(), point: 1 };
        }
        Self { sign, digits: digits.to_owned(), point }
    }

    fn plain(&self) -> String {
        let Self { sign, digits, point } = self;
        let count = digits.len() as i32;
        let zeros = |count: i32| "0".repeat(count.max(0) as usize);
        match *point {
            point if point <= 0 => format!("{sign}0.{}{digits}", zeros(-point)),
            point if point >= count => format!("{sign}{digits}{}", zeros(point - count)),
            point => {
                let (whole, fraction) = digits.split_at(point as usize);
                format!("{sign}{whole}.{fraction}")
            }
        }
    }

    /// Go writes at least two exponent digits and always a sign.
    fn with_exponent(&self) -> String {
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = self.point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}{first}{point}{rest}e{sign}{:02}", self.sign, exponent.abs())
    }
}

/// Adds `more` to `sum` and what rounding loses to `lost` (Neumaier's variant of Kahan's summation): the new sum and loss.
/// The result of a series of additions is the sum of both. Nothing is lost any more once the sum is infinite.
#[inline]
pub fn compensated_add(more: f64, sum: f64, lost: f64) -> (f64, f64) {
    let total = sum + more;
    let lost = if total.is_infinite() {
        0.0
    } else if sum.abs() >= more.abs() {
        lost + ((sum - total) + more)
    } else {
        lost + ((more - total) + sum)
    };
    (total, lost)
}

/// Reads a float as Prometheus' formats do: decimal, hexadecimal integers, `NaN`, `Inf`, `+Inf`, `-Inf` in any case.
pub fn parse_float(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.as_bytes().first()?.to_ascii_lowercase();
    let value = match lower {
        b'n' if digits.eq_ignore_ascii_case("nan") => f64::NAN,
        b'i' if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") => {
            f64::INFINITY
        }
        b'0'..=b'9' | b'.' => match digits.get(..2) {
            Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16).ok()? as f64,
            _ => digits.parse().ok()?,
        },
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e6, "1000000"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e30, "1e+30"),
            (1.5e-9, "1.5e-09"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e-7, "1.25e-07"),
            (0.000_001, "0.000001"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            // Two are as close: the even one.
            (-138_848_548_680_123.0 - 0.125, "-138848548680123.12"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(bits: u64) {
            let value = f64::from_bits(bits);
            if !value.is_nan() {
                for text in [format_float(value), format_float_g(value)] {
                    proptest::prop_assert_eq!(parse_float(&text).map(f64::to_bits), Some(bits), "{}", text);
                }
            }
        }

        #[test]
        fn both_ways_of_writing_agree(bits: u64, digits in -1_000_000_000_000i64..1_000_000_000_000, scale in 0..8) {
            for value in [f64::from_bits(bits), digits as f64 / 10f64.powi(scale), digits as f64] {
                let mut out = Vec::new();
                write_float(&mut out, value);
                proptest::prop_assert_eq!(String::from_utf8_lossy(&out), format_float(value));
            }
        }
    }

    #[test]
    fn floats_are_read_in_every_spelling() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5e3", 1500.0),
            ("-Inf", f64::NEG_INFINITY),
            ("inf", f64::INFINITY),
            ("0x1F", 31.0),
        ] {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
        for text in ["", "-", "abc", "1x", "--1", "n", "0x"] {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }
}
