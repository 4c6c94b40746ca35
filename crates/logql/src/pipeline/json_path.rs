//! Paths into a JSON document: `a.b["quoted key"][0]`.

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath {
    pub(super) steps: Vec<PathStep>,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// Reads a path; `None` where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (step, tail) = bracket(inner)?;
                steps.push(step);
                rest = tail;
            } else {
                let body = match rest.strip_prefix('.') {
                    Some(body) if !steps.is_empty() => body,
                    None if steps.is_empty() => rest,
                    _ => return None,
                };
                let end = body.find(['.', '[']).unwrap_or(body.len());
                let key = &body[..end];
                let is_name = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'));
                if key.is_empty() || !is_name {
                    return None;
                }
                steps.push(PathStep::Key(key.to_owned()));
                rest = &body[end..];
            }
        }
        (!steps.is_empty()).then_some(Self { steps })
    }
}

fn bracket(inner: &str) -> Option<(PathStep, &str)> {
    if let Some(quoted) = inner.strip_prefix('"') {
        let end = quoted.find('"')?;
        let tail = quoted[end + 1..].strip_prefix(']')?;
        return Some((PathStep::Key(quoted[..end].to_owned()), tail));
    }
    let end = inner.find(']')?;
    let idx = inner[..end].trim().parse().ok()?;
    Some((PathStep::Index(idx), &inner[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{JsonPath, PathStep};

    #[test]
    fn paths_are_read() {
        let key = |name: &str| PathStep::Key(name.to_owned());
        for (text, steps) in [
            ("a", vec![key("a")]),
            ("a.b[0].c", vec![key("a"), key("b"), PathStep::Index(0), key("c")]),
            ("[\"a b\"].c", vec![key("a b"), key("c")]),
            ("a[\"b.c\"]", vec![key("a"), key("b.c")]),
            ("[1]", vec![PathStep::Index(1)]),
        ] {
            assert_eq!(JsonPath::parse(text).map(|path| path.steps), Some(steps), "{text}");
        }
        for bad in ["", ".", "a.", "a..b", "a[", "a[x]", "a b", "[\"x]", ".a"] {
            assert_eq!(JsonPath::parse(bad), None, "{bad}");
        }
    }
}
