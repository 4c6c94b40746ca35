//! Durations, sizes and quoted strings as LogQL writes them.

use model::{parse_duration_ms, parse_float, parse_go_duration_ns};

/// The units of sizes, and what each stands for: unlike limits in configuration files, `KB` is 1000 here.
const SIZE_UNITS: [(&str, u64); 13] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("kiB", 1 << 10),
];

/// Reads a number, decimal or hexadecimal.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| parse_float(text)).flatten()
}

/// Reads a duration in Prometheus' form or else in Go's, in ns.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    match parse_duration_ms(text) {
        Ok(ms) => ms.checked_mul(1_000_000),
        Err(_) => parse_go_duration_ns(text).ok(),
    }
}

/// Reads a size.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let unit = SIZE_UNITS.iter().find(|(name, _)| *name == &text[split..])?.1;
    let number: f64 = text[..split].parse().ok()?;
    Some((number * unit as f64) as u64)
}

/// The size as it is printed and read back to the same number.
pub(crate) fn format_bytes(bytes: u64) -> String {
    let unit = SIZE_UNITS
        .iter()
        .filter(|(name, unit)| {
            *name != "kB" && *name != "kiB" && bytes >= *unit && bytes.is_multiple_of(*unit)
        })
        .max_by_key(|(_, unit)| *unit);
    match unit {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// The duration as Go prints it, with fractions of a second where needed.
pub(crate) fn format_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if nanos < 0 {
        out.push('-');
    }
    let total = nanos.unsigned_abs();
    let (seconds, rest) = (total / 1_000_000_000, total % 1_000_000_000);
    if seconds == 0 {
        let (unit, name) = match rest {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        out.push_str(&with_fraction(rest / unit, rest % unit, unit));
        out.push_str(name);
        return out;
    }
    if seconds >= 3600 {
        out.push_str(&format!("{}h", seconds / 3600));
    }
    if seconds % 3600 >= 60 {
        out.push_str(&format!("{}m", seconds % 3600 / 60));
    }
    if seconds % 60 != 0 || rest != 0 {
        out.push_str(&with_fraction(seconds % 60, rest, 1_000_000_000));
        out.push('s');
    }
    out
}

fn with_fraction(whole: u64, rest: u64, unit: u64) -> String {
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Undoes Go's quoting of what stands between double quotes. `None` where an escape is malformed.
pub(crate) fn unquote(inner: &str) -> Option<String> {
    if !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next()?;
        let simple = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '"' | '\'' => escape as u8,
            'x' => u8::try_from(take_digits(&mut chars, 2, 16, 0)?).ok()?,
            '0'..='7' => u8::try_from(take_digits(&mut chars, 2, 8, escape.to_digit(8)?)?).ok()?,
            'u' | 'U' => {
                let digits = if escape == 'u' { 4 } else { 8 };
                let c = char::from_u32(take_digits(&mut chars, digits, 16, 0)?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        };
        out.push(simple);
    }
    // Bytes above 0x7f given by `\x` need not be UTF-8; lines are, so that nothing could match them.
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn take_digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32, start: u32) -> Option<u32> {
    let mut value = start;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

/// Quotes as Go does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
