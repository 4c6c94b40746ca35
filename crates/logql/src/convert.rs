//! Texts of labels as numbers.

use model::{parse_float, parse_go_duration_ns};

/// Reads a number as Go's `ParseFloat` does.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    parse_float(text).ok_or_else(|| format!("{text:?} is not a number"))
}

/// Reads a duration as Go's `ParseDuration` does (no days, weeks or years), in ns.
pub(crate) fn duration_ns(text: &str) -> Result<i64, String> {
    let fail = || format!("{text:?} is not a duration");
    if text.contains(['d', 'w', 'y']) {
        return Err(fail());
    }
    parse_go_duration_ns(text).map_err(|_| fail())
}

/// Reads a size as people write it: `5 MB`, `1,024`, `3gib`; units in any case, `K` is 1000 and `Ki` 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let fail = || format!("{text:?} is not a size");
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let digits = text[..split].replace(',', "");
    let number: f64 = digits.parse().map_err(|_| fail())?;
    let (base, power) = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => (1f64, 0),
        "k" | "kb" => (1000.0, 1),
        "m" | "mb" => (1000.0, 2),
        "g" | "gb" => (1000.0, 3),
        "t" | "tb" => (1000.0, 4),
        "p" | "pb" => (1000.0, 5),
        "e" | "eb" => (1000.0, 6),
        "ki" | "kib" => (1024.0, 1),
        "mi" | "mib" => (1024.0, 2),
        "gi" | "gib" => (1024.0, 3),
        "ti" | "tib" => (1024.0, 4),
        "pi" | "pib" => (1024.0, 5),
        "ei" | "eib" => (1024.0, 6),
        _ => return Err(fail()),
    };
    let value = number * base.powi(power);
    if value >= u64::MAX as f64 { Err(fail()) } else { Ok(value as u64) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration_ns, number};

    #[test]
    fn texts_are_numbers() {
        for (text, value) in
            [("5MB", 5_000_000), ("1,024", 1024), ("3 gib", 3 << 30), ("1.5KiB", 1536), ("7B", 7)]
        {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        assert!(bytes("x").is_err() && bytes("5 XB").is_err() && bytes("99999999999EB").is_err());
        assert_eq!(duration_ns("1h2.5s"), Ok(3_602_500_000_000));
        assert!(duration_ns("1d").is_err() && duration_ns("5").is_err());
        assert!(number("1e3") == Ok(1000.0) && number("abc").is_err());
    }
}
