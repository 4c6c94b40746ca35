//! Escaping of text for HTML, JavaScript and URLs.

use std::fmt::Write as _;

/// Escapes `< > & ' "` and NUL, as Go's `html` function does.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes for a URL's query: all but letters, digits and `-_.~`; a space becomes `+`.
pub fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => push_percent(&mut out, byte),
        }
    }
    out
}

/// Escapes for the inside of a JavaScript string.
pub(crate) fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => push_unicode(&mut out, c),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => push_unicode(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

fn push_unicode(out: &mut String, c: char) {
    write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string can't fail");
}

pub(crate) fn push_percent(out: &mut String, byte: u8) {
    write!(out, "%{byte:02X}").expect("writing to a string can't fail");
}
