//! One verb on one value.

use super::{Spec, float, format_items, format_value};
use crate::Value;

/// `%v` without flags.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::NoValue | Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float::shortest(*value),
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => text.to_string(),
        Value::List(values) => {
            format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(" "))
        }
        Value::Map(map) => {
            let items: Vec<(Value, Value)> =
                map.entries.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())).collect();
            format_items(&items, true)
        }
        Value::Object(object) => object.display(),
        Value::Function(_) => "func".to_owned(),
    }
}

/// A verb with its flags.
pub(super) fn format(verb: char, spec: &Spec, value: &Value) -> String {
    match verb {
        'T' => return string(spec, 's', type_shown(value)),
        'v' => return default_verb(spec, value),
        'p' if matches!(value, Value::Function(_)) => return spec.pad("0x0"),
        _ => {}
    }
    if let (Value::Object(object), 's' | 'q') = (value, verb) {
        return string(spec, verb, &object.display());
    }
    match value.to_basic() {
        Value::Nil | Value::NoValue => format!("%!{verb}(<nil>)"),
        Value::Bool(value) if verb == 't' => spec.pad(if value { "true" } else { "false" }),
        Value::Int(value) if "dbooOxXcqU".contains(verb) => integer(spec, verb, value),
        Value::Float(value) if "eEfFgG".contains(verb) => float_verb(spec, verb, value),
        basic if basic.as_str().is_some() && "sqxX".contains(verb) => {
            string(spec, verb, basic.as_str().unwrap_or_default())
        }
        Value::List(values) => {
            let inner: Vec<String> = values.iter().map(|value| format(verb, spec, value)).collect();
            format!("[{}]", inner.join(" "))
        }
        Value::Map(map) => {
            let inner: Vec<String> = map
                .entries
                .iter()
                .map(|(key, value)| {
                    format!("{}:{}", string(spec, verb_of_text(verb), key), format(verb, spec, value))
                })
                .collect();
            format!("map[{}]", inner.join(" "))
        }
        basic => format!("%!{verb}({}={})", value.type_name(), plain(&basic)),
    }
}

fn verb_of_text(verb: char) -> char {
    if "sqxX".contains(verb) { verb } else { 's' }
}

fn type_shown(value: &Value) -> &str {
    match value {
        Value::Nil | Value::NoValue => "<nil>",
        value => value.type_name(),
    }
}

fn default_verb(spec: &Spec, value: &Value) -> String {
    if spec.sharp {
        return spec.pad(&go_syntax(value));
    }
    match value {
        Value::Int(value) => integer(spec, 'd', *value),
        Value::Float(value) => match spec.precision {
            Some(_) => float_verb(spec, 'g', *value),
            None => spec.pad_number(&signed(spec, float::shortest(*value))),
        },
        value => match value.as_str() {
            Some(text) => string(spec, 's', text),
            None => spec.pad(&plain(value)),
        },
    }
}

/// `%#v`
fn go_syntax(value: &Value) -> String {
    match value {
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => quoted(text),
        Value::List(values) => {
            let inner: Vec<String> = values.iter().map(go_syntax).collect();
            format!("{}{{{}}}", value.type_name(), inner.join(", "))
        }
        Value::Map(map) => {
            let inner: Vec<String> = map
                .entries
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), go_syntax(value)))
                .collect();
            format!("{}{{{}}}", value.type_name(), inner.join(", "))
        }
        Value::Nil | Value::NoValue => "<nil>".to_owned(),
        value => format_value(value),
    }
}

fn signed(spec: &Spec, digits: String) -> String {
    match digits.strip_prefix('+') {
        // An infinity brings its sign along.
        Some(rest) if !spec.plus => {
            if spec.space {
                format!(" {rest}")
            } else {
                digits
            }
        }
        Some(_) => digits,
        None if digits.starts_with('-') => digits,
        None if spec.plus => format!("+{digits}"),
        None if spec.space => format!(" {digits}"),
        None => digits,
    }
}

fn float_verb(spec: &Spec, verb: char, value: f64) -> String {
    let text = signed(spec, float::formatted(verb, value, spec.precision, spec.sharp));
    if value.is_finite() { spec.pad_number(&text) } else { Spec { zero: false, ..*spec }.pad(&text) }
}

fn integer(spec: &Spec, verb: char, value: i64) -> String {
    let magnitude = value.unsigned_abs();
    let character = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    let mut digits = match verb {
        'c' => return spec.pad(&character.to_string()),
        'q' => return spec.pad(&format!("'{}'", escape_char(character, '\''))),
        'U' => return spec.pad(&format!("U+{magnitude:04X}")),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    if let Some(precision) = spec.precision {
        digits =
            if precision == 0 && magnitude == 0 { String::new() } else { format!("{digits:0>precision$}") };
    }
    let prefix = match verb {
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        'b' if spec.sharp => "0b",
        'o' if spec.sharp => "0",
        'O' => "0o",
        _ => "",
    };
    let text = signed(spec, format!("{}{prefix}{digits}", if value < 0 { "-" } else { "" }));
    if spec.precision.is_some() { Spec { zero: false, ..*spec }.pad(&text) } else { spec.pad_number(&text) }
}

fn string(spec: &Spec, verb: char, text: &str) -> String {
    let cut: String = match spec.precision {
        Some(count) if verb != 'x' && verb != 'X' => text.chars().take(count).collect(),
        _ => text.to_owned(),
    };
    match verb {
        'q' if spec.sharp && !cut.contains(['`', '\n', '\r']) => spec.pad(&format!("`{cut}`")),
        'q' if spec.plus => spec.pad(&ascii_only(&quoted(&cut))),
        'q' => spec.pad(&quoted(&cut)),
        'x' | 'X' => {
            let bytes = cut.as_bytes();
            let taken = &bytes[..spec.precision.unwrap_or(bytes.len()).min(bytes.len())];
            let hex: Vec<String> = taken
                .iter()
                .map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
                .collect();
            spec.pad(&hex.join(if spec.space { " " } else { "" }))
        }
        _ => spec.pad(&cut),
    }
}

/// A Go string literal.
fn quoted(text: &str) -> String {
    let inner: String = text.chars().map(|c| escape_char(c, '"')).collect();
    format!("\"{inner}\"")
}

/// `%+q`: what is not ASCII as escapes.
fn ascii_only(quoted: &str) -> String {
    quoted
        .chars()
        .map(|c| match u32::from(c) {
            0..0x80 => c.to_string(),
            code @ 0x80..0x10000 => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        })
        .collect()
}

fn escape_char(c: char, quote: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        c if c == quote => format!("\\{quote}"),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}
