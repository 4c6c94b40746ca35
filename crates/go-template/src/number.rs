//! Go's number constants and quoted strings.

use crate::Value;

/// Reads a number as Go does: decimal, 0x, 0o, 0b, underscores, floats. An int where it is written as one.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => Some((16, &lower[2..])),
        Some("0o") => Some((8, &lower[2..])),
        Some("0b") => Some((2, &lower[2..])),
        _ if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) => {
            Some((8, &lower[1..]))
        }
        _ => None,
    };
    if let Some((radix, digits)) = radix {
        let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
        return i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Value::Int);
    }
    if lower.bytes().all(|b| b.is_ascii_digit()) {
        let magnitude: i128 = lower.parse().ok()?;
        return i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Value::Int);
    }
    if !lower.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-')) {
        return None;
    }
    let value: f64 = lower.parse().ok()?;
    value.is_finite().then_some(Value::Float(if negative { -value } else { value }))
}

/// Takes the quotes and escapes off a Go string or character constant. `None` where an escape is unknown.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next()? {
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'r' => bytes.push(b'\r'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            '"' if quote == '"' => bytes.push(b'"'),
            '\'' if quote == '\'' => bytes.push(b'\''),
            'x' => bytes.push(u8::try_from(digits(&mut chars, 2, 16)?).ok()?),
            'u' => push_char(&mut bytes, digits(&mut chars, 4, 16)?)?,
            'U' => push_char(&mut bytes, digits(&mut chars, 8, 16)?)?,
            first @ '0'..='7' => {
                let rest = digits(&mut chars, 2, 8)?;
                bytes.push(u8::try_from(first.to_digit(8)? * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}
