//! A rule as a configuration writes it.

use model::is_legacy_label_name;

/// A rule's keys; `None` where the configuration leaves a key out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// Labels whose values are joined.
    pub source_labels: Option<Vec<String>>,
    /// Joins them; `;` by default.
    pub separator: Option<String>,
    /// Matches the joined values, anchored; `(.*)` by default.
    pub regex: Option<String>,
    /// For `hashmod`.
    pub modulus: Option<u64>,
    /// Which label is set.
    pub target_label: Option<String>,
    /// What it is set to; `$1` by default.
    pub replacement: Option<String>,
    /// The action's name; `replace` by default.
    pub action: Option<String>,
}

/// Which label names are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    Legacy,
}

impl NameScheme {
    /// Whether `name` may name a label.
    pub fn is_valid(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether `template` may become a label's name once its `$` references are filled in.
    pub(crate) fn is_valid_template(self, template: &str) -> bool {
        match self {
            Self::Utf8 => !template.is_empty(),
            Self::Legacy => is_legacy_template(template),
        }
    }
}

/// A legacy name with `$name`, `$1` or `${name}` in it.
fn is_legacy_template(template: &str) -> bool {
    let mut rest = template;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if c == '$' {
            let Some(len) = reference_len(&rest[1..]) else {
                return false;
            };
            rest = &rest[1 + len..];
        } else if c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit()) {
            rest = &rest[1..];
        } else {
            return false;
        }
        first = false;
    }
    !first
}

/// The length of the reference after a `$`.
fn reference_len(text: &str) -> Option<usize> {
    let word = |text: &str| text.bytes().take_while(|b| *b == b'_' || b.is_ascii_alphanumeric()).count();
    match text.strip_prefix('{') {
        Some(inner) => {
            let len = word(inner);
            (len > 0 && inner[len..].starts_with('}')).then_some(len + 2)
        }
        None => Some(word(text)).filter(|len| *len > 0),
    }
}
