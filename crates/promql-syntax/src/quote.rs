//! Texts in quotes, as Go writes and reads them.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Writes `text` in double quotes with Go's escapes (`strconv.Quote`).
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{b}' => f.write_str("\\v")?,
                c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\x{:02x}", c as u32)?,
                c if c.is_control() || is_unprintable(c) => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Spaces other than " ", and marks that Go does not print.
fn is_unprintable(c: char) -> bool {
    (c != ' ' && c.is_whitespace())
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Takes the quotes and escapes off a text whose form the lexer has checked. Bytes that make no UTF-8 become U+FFFD.
/// `None` where it is not quoted right.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let quote = *quoted.as_bytes().first()?;
    let body = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quote == b'`' {
        // Go leaves carriage returns out of raw strings.
        return Some(body.replace('\r', ""));
    }
    if !body.contains('\\') {
        return Some(body.to_owned());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let simple = match chars.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '\'' => b'\'',
            '"' => b'"',
            digit @ '0'..='7' => {
                let first = digit.to_digit(8)?;
                let value = take_digits(&mut chars, 2, 8)? + first * 64;
                u8::try_from(value).ok()?
            }
            'x' => u8::try_from(take_digits(&mut chars, 2, 16)?).ok()?,
            kind @ ('u' | 'U') => {
                let code = take_digits(&mut chars, if kind == 'u' { 4 } else { 8 }, 16)?;
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        };
        out.push(simple);
    }
    Some(match String::from_utf8_lossy(&out) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

fn take_digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_unquoted_as_in_go() {
        for (quoted, text) in [
            (r#""a\"b""#, "a\"b"),
            (r"'a\'b'", "a'b"),
            ("`a\\n`", "a\\n"),
            (r#""\x41\101\u00e4\U0001F600\n""#, "AAä😀\n"),
        ] {
            assert_eq!(unquote(quoted).as_deref(), Some(text), "{quoted}");
        }
        assert_eq!(Quoted("a\"\\\n\u{1}ä\u{a0}").to_string(), "\"a\\\"\\\\\\n\\x01ä\\u00a0\"");
    }
}
