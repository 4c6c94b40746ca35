//! Scalars as YAML 1.1 (and so the originals' parser) reads them.

/// `true`, `yes`, `on`, `y` and their opposites, in the three usual cases.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    Some(match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => true,
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => false,
        _ => return None,
    })
}

/// Decimal, `0x`, `0o` or `0`-led octal, `0b`; `_` between digits; floats without a fraction such as `1e3`.
pub(crate) fn parse_int(text: &str) -> Option<i128> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    if !digits.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let value = match digits.get(..2) {
        Some("0x" | "0X") => unsigned(&digits[2..], 16)?,
        Some("0o" | "0O") => unsigned(&digits[2..], 8)?,
        Some("0b" | "0B") => unsigned(&digits[2..], 2)?,
        Some(_) if digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) => {
            unsigned(digits, 8)?
        }
        _ => match unsigned(digits, 10) {
            Some(value) => value,
            None => {
                let float: f64 = digits.parse().ok()?;
                (float.fract() == 0.0 && float < 1e19).then_some(float as i128)?
            }
        },
    };
    Some(if negative { -value } else { value })
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    (!digits.starts_with(['+', '-'])).then(|| i128::from_str_radix(digits, radix).ok())?
}

/// A float with YAML's `.inf`, `.nan` and Go's spellings beside the usual ones.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    match plain.as_str() {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        other => model::parse_float(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_yaml_1_1_spellings() {
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("-7", -7),
            ("0x1F", 31),
            ("0o17", 15),
            ("017", 15),
            ("0b101", 5),
            ("1_000", 1000),
            ("1e3", 1000),
        ] {
            assert_eq!(parse_int(text), Some(value), "{text}");
        }
        for text in ["", "-", "abc", "1.5", "0x", "0xg", "09", "--1", "+-1", "1e300"] {
            assert_eq!(parse_int(text), None, "{text}");
        }
        assert_eq!(parse_float("1e-3"), Some(0.001));
        assert_eq!(parse_float("-.inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_bool("Off"), Some(false));
        assert_eq!(parse_bool("oN"), None);
    }
}
