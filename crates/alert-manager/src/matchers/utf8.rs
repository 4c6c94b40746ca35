//! The UTF-8 grammar: names and values are tokens or quoted strings.

use model::Matcher;

use super::operator;

pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let trimmed = text.trim();
    let (body, braces) = match trimmed.strip_prefix('{') {
        Some(inner) => match inner.strip_suffix('}') {
            Some(inner) => (inner, true),
            None => return Err("0:end: expected a closing brace".to_owned()),
        },
        None => (trimmed, false),
    };
    let mut rest = body.trim_start();
    let mut matchers = Vec::new();
    if rest.is_empty() {
        return if braces { Ok(matchers) } else { Err("expected a matcher".to_owned()) };
    }
    loop {
        let name = token(&mut rest).map_err(|error| format!("label name: {error}"))?;
        rest = rest.trim_start();
        let (op, len) = operator(rest).ok_or("expected an operator such as '=', '!=', '=~' or '!~'")?;
        rest = rest[len..].trim_start();
        let value = token(&mut rest).map_err(|error| format!("label value: {error}"))?;
        if name.is_empty() {
            return Err("label name is empty".to_owned());
        }
        matchers.push(Matcher::new(name, op, value));
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(matchers);
        }
        if !braces {
            return Err(format!("unexpected {rest}: several matchers need braces around them"));
        }
        rest = rest.strip_prefix(',').ok_or("expected a comma or a closing brace")?.trim_start();
        // A comma may end the list.
        if rest.is_empty() {
            return Ok(matchers);
        }
    }
}

fn token(rest: &mut &str) -> Result<String, String> {
    if let Some(quoted) = rest.strip_prefix('"') {
        return string(quoted, rest);
    }
    let reserved = |c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c);
    let end = rest.find(reserved).unwrap_or(rest.len());
    if end == 0 {
        return Err(match rest.chars().next() {
            Some(c) => format!("unexpected {c}"),
            None => "unexpected end of input".to_owned(),
        });
    }
    let (word, after) = rest.split_at(end);
    *rest = after;
    Ok(word.to_owned())
}

fn string<'t>(quoted: &'t str, rest: &mut &'t str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &quoted[at + 1..];
                return Ok(out);
            }
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(c @ ('"' | '\\' | '\'')) => out.push(c),
                _ => return Err("unknown escape in a quoted string".to_owned()),
            },
            c => out.push(c),
        }
    }
    Err("missing a closing quote".to_owned())
}
