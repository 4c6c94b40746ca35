//! Functions on text.

use go_regex::Regex;
use go_template::{Args, CallError, Functions, Value};

use super::fail;

/// The longest text that `repeat`, `indent` and `align` make, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

pub(super) fn register(functions: &mut Functions) {
    register_cases_and_trims(functions);
    register_searches(functions);
    register_codings(functions);
}

fn register_cases_and_trims(functions: &mut Functions) {
    type Map = fn(&str) -> String;
    let maps: [(&str, Map); 8] = [
        ("ToLower", |s| s.to_lowercase()),
        ("ToUpper", |s| s.to_uppercase()),
        ("lower", |s| s.to_lowercase()),
        ("upper", |s| s.to_uppercase()),
        ("title", title),
        ("TrimSpace", |s| s.trim().to_owned()),
        ("trim", |s| s.trim().to_owned()),
        ("urlencode", |s| go_template::escape_query(s)),
    ];
    for (name, map) in maps {
        functions.add(name, 1, 1, move |args| Ok(Value::from(map(args.str(0)?))));
    }
    // The capitalised ones take the text first, the others last.
    type Trim = fn(&str, &str) -> String;
    let trims: [(&str, &str, Trim); 5] = [
        ("Trim", "trimAll", |s, set| s.trim_matches(|c| set.contains(c)).to_owned()),
        ("TrimLeft", "", |s, set| s.trim_start_matches(|c| set.contains(c)).to_owned()),
        ("TrimRight", "", |s, set| s.trim_end_matches(|c| set.contains(c)).to_owned()),
        ("TrimPrefix", "trimPrefix", |s, prefix| s.strip_prefix(prefix).unwrap_or(s).to_owned()),
        ("TrimSuffix", "trimSuffix", |s, suffix| s.strip_suffix(suffix).unwrap_or(s).to_owned()),
    ];
    for (text_first, text_last, trim) in trims {
        functions.add(text_first, 2, 2, move |args| Ok(Value::from(trim(args.str(0)?, args.str(1)?))));
        if !text_last.is_empty() {
            functions.add(text_last, 2, 2, move |args| Ok(Value::from(trim(args.str(1)?, args.str(0)?))));
        }
    }
}

fn register_searches(functions: &mut Functions) {
    functions.add("Replace", 4, 4, |args| {
        let count = usize::try_from(args.int(3)?).unwrap_or(usize::MAX);
        bounded(args.str(0)?.replacen(args.str(1)?, args.str(2)?, count))
    });
    functions.add("replace", 3, 3, |args| bounded(args.str(2)?.replace(args.str(0)?, args.str(1)?)));
    functions.add("contains", 2, 2, |args| Ok(Value::from(args.str(1)?.contains(args.str(0)?))));
    functions.add("hasPrefix", 2, 2, |args| Ok(Value::from(args.str(1)?.starts_with(args.str(0)?))));
    functions.add("hasSuffix", 2, 2, |args| Ok(Value::from(args.str(1)?.ends_with(args.str(0)?))));
    functions.add("count", 2, 2, |args| {
        let count = regex(args.str(0)?)?.inner().find_iter(args.str(1)?).count();
        Ok(Value::Int(count as i64))
    });
    functions.add("regexReplaceAll", 3, 3, |args| {
        bounded(regex(args.str(0)?)?.inner().replace_all(args.str(1)?, args.str(2)?).into_owned())
    });
    functions.add("regexReplaceAllLiteral", 3, 3, |args| {
        // `$$` is a dollar sign in a replacement.
        let literal = args.str(2)?.replace('$', "$$");
        bounded(regex(args.str(0)?)?.inner().replace_all(args.str(1)?, literal.as_str()).into_owned())
    });
    functions.add("trunc", 2, 2, |args| {
        let (count, text) = (args.int(0)?, args.str(1)?);
        let chars = text.chars().count() as i64;
        let kept =
            |skip: i64, take: i64| text.chars().skip(skip as usize).take(take as usize).collect::<String>();
        Ok(Value::from(if count < 0 { kept((chars + count).max(0), -count) } else { kept(0, count) }))
    });
    functions.add("substr", 3, 3, |args| {
        let (start, end, text) = (args.int(0)?.max(0), args.int(1)?, args.str(2)?);
        let chars = text.chars().count() as i64;
        let end = if end < 0 || end > chars { chars } else { end };
        let part = text.chars().skip(start as usize).take((end - start).max(0) as usize);
        Ok(Value::from(part.collect::<String>()))
    });
    functions.add("default", 1, 2, |args| {
        let given = args.value(1);
        Ok(if given.is_true() { given.clone() } else { args.value(0).clone() })
    });
}

fn register_codings(functions: &mut Functions) {
    functions.add("indent", 2, 2, |args| indent(args, ""));
    functions.add("nindent", 2, 2, |args| indent(args, "\n"));
    functions.add("repeat", 2, 2, |args| {
        let (count, text) = (args.int(0)?.max(0) as usize, args.str(1)?);
        if text.len().saturating_mul(count) > TEXT_BYTES_MAX {
            return fail(format!("repeat makes more than {TEXT_BYTES_MAX} bytes"));
        }
        Ok(Value::from(text.repeat(count)))
    });
    functions.add("alignLeft", 2, 2, |args| align(args, true));
    functions.add("alignRight", 2, 2, |args| align(args, false));
    functions.add("b64enc", 1, 1, |args| Ok(Value::from(base64_encode(args.str(0)?.as_bytes()))));
    functions.add("b64dec", 1, 1, |args| match base64_decode(args.str(0)?) {
        Some(text) => Ok(Value::from(text)),
        None => fail("illegal base64 data"),
    });
    functions.add("urldecode", 1, 1, |args| match url_decode(args.str(0)?) {
        Some(text) => Ok(Value::from(text)),
        None => fail("invalid URL escape"),
    });
}

fn bounded(text: String) -> Result<Value, CallError> {
    if text.len() > TEXT_BYTES_MAX {
        return fail(format!("a text of more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(Value::from(text))
}

fn regex(pattern: &str) -> Result<Regex, CallError> {
    Regex::new(pattern).map_err(|error| CallError::Message(error.to_string()))
}

/// Upper case for the first letter of each word.
fn title(text: &str) -> String {
    let mut at_start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if at_start {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        at_start = !(c.is_alphanumeric() || matches!(c, '_' | '\''));
    }
    out
}

fn indent(args: Args<'_>, before: &str) -> Result<Value, CallError> {
    let (count, text) = (args.int(0)?.clamp(0, 1000) as usize, args.str(1)?);
    let pad = " ".repeat(count);
    let lines = text.matches('\n').count() + 1;
    if text.len() + lines * count > TEXT_BYTES_MAX {
        return fail(format!("indent makes more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(Value::from(format!("{before}{pad}{}", text.replace('\n', &format!("\n{pad}")))))
}

/// Cuts or pads a text to so many characters.
fn align(args: Args<'_>, left: bool) -> Result<Value, CallError> {
    let (count, text) = (args.int(0)?, args.str(1)?);
    let chars = text.chars().count();
    let Ok(count) = usize::try_from(count) else { return Ok(Value::from(text)) };
    if count > TEXT_BYTES_MAX {
        return fail(format!("align makes more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(Value::from(match (count < chars, left) {
        (true, true) => text.chars().take(count).collect::<String>(),
        (true, false) => text.chars().skip(chars - count).collect(),
        (false, true) => format!("{text}{}", " ".repeat(count - chars)),
        (false, false) => format!("{}{text}", " ".repeat(count - chars)),
    }))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for idx in 0..4 {
            let symbol = BASE64[(bits >> (18 - 6 * idx) & 63) as usize];
            out.push(if idx <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    out
}

fn base64_decode(text: &str) -> Option<String> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    for chunk in body.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for byte in chunk {
            bits = bits << 6 | BASE64.iter().position(|symbol| symbol == byte)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn url_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                out.push((digit()? * 16 + digit()?) as u8);
            }
            byte => out.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
