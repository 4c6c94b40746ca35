//! The groups of a match.

/// The groups of one match in a text.
#[derive(Debug)]
pub struct Captures<'t>(pub(crate) regex::Captures<'t>);

impl<'t> Captures<'t> {
    /// The text of the group with this number (0 is the whole match); `None` where it took no part.
    pub fn get(&self, group: usize) -> Option<&'t str> {
        self.0.get(group).map(|found| found.as_str())
    }

    /// The text of the group with this name; `None` where it took no part or does not exist.
    pub fn name(&self, name: &str) -> Option<&'t str> {
        self.0.name(name).map(|found| found.as_str())
    }

    /// The bytes of the whole match in the text.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.0.get(0).map_or(0..0, |found| found.range())
    }

    /// The number of groups, the whole match included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no group; never so, as the whole match is one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `template` with its groups filled in, as [`crate::Regex::replace_all`] describes.
    pub fn expand(&self, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            match reference(rest) {
                Some((name, len)) => {
                    out.push_str(self.group(name).unwrap_or_default());
                    rest = &rest[len..];
                }
                None => out.push('$'),
            }
        }
        out.push_str(rest);
    }

    fn group(&self, name: &str) -> Option<&'t str> {
        let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        if is_number { self.get(name.parse().ok()?) } else { self.name(name) }
    }
}

/// The name after a `$` and how many bytes it takes.
fn reference(text: &str) -> Option<(&str, usize)> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    match text.strip_prefix('{') {
        Some(inner) => {
            let len = inner.bytes().take_while(is_name).count();
            (len > 0 && inner[len..].starts_with('}')).then(|| (&inner[..len], len + 2))
        }
        None => {
            let len = text.bytes().take_while(is_name).count();
            (len > 0).then(|| (&text[..len], len))
        }
    }
}
