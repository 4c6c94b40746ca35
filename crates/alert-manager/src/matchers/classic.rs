//! The classic grammar: quotes around values are optional.

use model::Matcher;

use super::{is_classic_name, operator};

pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix('{').unwrap_or(trimmed);
    let inner = inner.strip_suffix('}').filter(|_| trimmed.starts_with('{')).unwrap_or(inner);
    split(inner)?.into_iter().map(one).collect()
}

/// The parts between commas that stand outside of quotes.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut in_quotes, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if in_quotes {
        return Err("a quote is not closed".to_owned());
    }
    if !text[start..].trim().is_empty() || parts.is_empty() {
        parts.push(&text[start..]);
    }
    if text.trim().is_empty() { Ok(Vec::new()) } else { Ok(parts) }
}

fn one(text: &str) -> Result<Matcher, String> {
    let text = text.trim();
    let name_len =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_len);
    if !is_classic_name(name) {
        return Err(format!("invalid label name in {text:?}"));
    }
    let rest = rest.trim_start();
    let (op, len) = operator(rest).ok_or_else(|| format!("no operator in {text:?}"))?;
    let raw = rest[len..].trim();
    let (raw, is_quoted) = match raw.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (raw, false),
    };
    let mut value = String::new();
    let mut chars = raw.char_indices();
    let mut closed = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            '"' if is_quoted && at + 1 == raw.len() => closed = true,
            '"' => return Err(format!("matcher value contains unescaped double quote: {raw}")),
            c => value.push(c),
        }
    }
    if is_quoted != closed {
        return Err(format!("a quote is not closed in {text:?}"));
    }
    Ok(Matcher::new(name, op, value))
}
