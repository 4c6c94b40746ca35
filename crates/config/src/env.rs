//! Environment variables in texts, in the two spellings that the originals have. Callers choose one, or none.

use std::fmt;

/// Why a text could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// A `${` without its `}`; the byte offset of it.
    Unclosed(usize),
    /// `${VAR:?message}` with `VAR` unset or empty.
    Required {
        /// The variable.
        name: String,
        /// The text after `:?`.
        message: String,
    },
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed(offset) => write!(f, "\"${{\" at byte {offset} has no closing brace"),
            Self::Required { name, message } => {
                write!(f, "environment variable {name} is not set: {message}")
            }
        }
    }
}

impl std::error::Error for ExpandError {}

/// Expands `$NAME` and `${NAME}` with what `lookup` knows, unset ones to nothing, `$$` to `$`: Prometheus' external labels.
pub fn expand_posix(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            out.push_str(&lookup(name).unwrap_or_default());
            rest = after;
        } else {
            let name_len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            if name_len == 0 {
                out.push('$');
                continue;
            }
            out.push_str(&lookup(&rest[..name_len]).unwrap_or_default());
            rest = &rest[name_len..];
        }
    }
    out.push_str(rest);
    out
}

/// Expands `${NAME}`, `${NAME:default}`, `${NAME:-default}` (also where empty), `${NAME-default}`, `${NAME:?message}` and,
/// with `bare`, `$NAME`; `$$` becomes `$`: Loki's `-config.expand-env` (bare) and Vector's configuration (bare). Unset
/// variables without a default become nothing and are named to `unset`.
pub fn expand_braced(
    text: &str,
    bare: bool,
    lookup: impl Fn(&str) -> Option<String>,
    mut unset: impl FnMut(&str),
) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let offset = text.len() - rest.len() + at;
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(braced) = rest.strip_prefix('{') {
            let (body, after) = braced.split_once('}').ok_or(ExpandError::Unclosed(offset))?;
            out.push_str(&braced_value(body, &lookup, &mut unset)?);
            rest = after;
        } else {
            let name_len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let name = &rest[..name_len];
            if !bare || name_len == 0 || name.as_bytes()[0].is_ascii_digit() {
                out.push('$');
                continue;
            }
            out.push_str(&plain_value(name, &lookup, &mut unset));
            rest = &rest[name_len..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn plain_value(name: &str, lookup: &impl Fn(&str) -> Option<String>, unset: &mut impl FnMut(&str)) -> String {
    lookup(name).unwrap_or_else(|| {
        unset(name);
        String::new()
    })
}

fn braced_value(
    body: &str,
    lookup: &impl Fn(&str) -> Option<String>,
    unset: &mut impl FnMut(&str),
) -> Result<String, ExpandError> {
    let name_len = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, operation) = body.split_at(name_len);
    let value = lookup(name);
    let set = value.clone().filter(|value| !value.is_empty());
    if let Some(message) = operation.strip_prefix(":?") {
        return set
            .ok_or_else(|| ExpandError::Required { name: name.to_owned(), message: message.to_owned() });
    }
    if let Some(message) = operation.strip_prefix('?') {
        return value
            .ok_or_else(|| ExpandError::Required { name: name.to_owned(), message: message.to_owned() });
    }
    if let Some(default) = operation.strip_prefix(":-").or_else(|| operation.strip_prefix(':')) {
        return Ok(set.unwrap_or_else(|| default.to_owned()));
    }
    if let Some(default) = operation.strip_prefix('-') {
        return Ok(value.unwrap_or_else(|| default.to_owned()));
    }
    Ok(plain_value(body, lookup, unset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("h1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn posix_spelling() {
        for (text, expected) in [
            ("$HOST-${HOST}", "h1-h1"),
            ("$$HOST", "$HOST"),
            ("a$", "a$"),
            ("${NO}x", "x"),
            ("${HOST", "${HOST"),
        ] {
            assert_eq!(expand_posix(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn braced_spelling() {
        for (text, expected) in [
            ("${HOST}:$HOST", "h1:h1"),
            ("${NO:-d}${NO:e}${EMPTY:-f}${EMPTY-g}", "def"),
            ("$$x $1", "$x $1"),
            ("${HOST:?m}", "h1"),
        ] {
            assert_eq!(expand_braced(text, true, lookup, |_| ()).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(expand_braced("$HOST", false, lookup, |_| ()).as_deref(), Ok("$HOST"));
        assert_eq!(expand_braced("a${", true, lookup, |_| ()), Err(ExpandError::Unclosed(1)));
        let mut unset = Vec::new();
        assert!(expand_braced("${EMPTY:?set it}", true, lookup, |_| ()).is_err());
        assert_eq!(
            expand_braced("$A${B}", true, lookup, |name| unset.push(name.to_owned())).as_deref(),
            Ok("")
        );
        assert_eq!(unset, ["A", "B"]);
    }
}
