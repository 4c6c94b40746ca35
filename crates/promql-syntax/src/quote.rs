//! Texts in quotes, as Go reads them.

use std::borrow::Cow;

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
    }
}
