//! JSON pieces of streamed answers, as Prometheus and Loki write them.

use std::fmt::Write as _;

use model::format_float;

/// Appends a JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Not raw, so that no answer can end a script element it is pasted into.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", c as u32).ok();
            }
            c if (c as u32) < 0x20 => {
                write!(out, "\\u{:04x}", c as u32).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends an object of strings.
pub(crate) fn object<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    for (idx, (name, value)) in pairs.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        string(out, value);
    }
    out.push('}');
}

/// Appends a list of strings.
pub(crate) fn strings<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (idx, text) in texts.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        string(out, text);
    }
    out.push(']');
}

/// Appends milliseconds as seconds: whole ones without a fraction.
pub(crate) fn seconds(out: &mut String, ms: i64) {
    write!(out, "{}", ms as f64 / 1000.0).ok();
}

/// Appends `[seconds,"value"]`.
pub(crate) fn sample(out: &mut String, ms: i64, value: f64) {
    out.push('[');
    seconds(out, ms);
    write!(out, ",\"{}\"]", format_float(value)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_written_as_the_originals_do() {
        let mut out = String::new();
        sample(&mut out, 1_795_361_336_313, 1e30);
        sample(&mut out, 4000, f64::NAN);
        object(&mut out, [("a", "x\"\n<é")].into_iter());
        assert_eq!(out, "[1795361336.313,\"1e+30\"][4,\"NaN\"]{\"a\":\"x\\\"\\n\\u003cé\"}");
        let parsed: serde_json::Value = serde_json::from_str("{\"a\":\"x\\\"\\n\\u003cé\"}").unwrap();
        assert_eq!(parsed["a"], "x\"\n<é");
    }
}
