//! `| pattern`: literals with `<name>` between them.

use crate::LogqlError;
use crate::line_labels::LineLabels;

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Literal(&'a str),
    Capture(&'a str),
}

/// Cuts a pattern into literals and captures; what looks like neither is literal.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut literal_start, mut at) = (0, 0);
    while let Some(open) = text[at..].find('<').map(|found| at + found) {
        let name_len =
            text[open + 1..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let name = &text[open + 1..open + 1 + name_len];
        let closes = text.as_bytes().get(open + 1 + name_len) == Some(&b'>');
        if !closes || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            at = open + 1;
            continue;
        }
        if literal_start < open {
            pieces.push(Piece::Literal(&text[literal_start..open]));
        }
        pieces.push(Piece::Capture(name));
        at = open + name_len + 2;
        literal_start = at;
    }
    if literal_start < text.len() {
        pieces.push(Piece::Literal(&text[literal_start..]));
    }
    pieces
}

/// `| pattern`, compiled.
#[derive(Debug)]
pub(super) struct PatternStage {
    /// What the line has to start with.
    prefix: String,
    /// Captures with the literal after each; the last may have none. `None` as a name discards.
    captures: Vec<(Option<String>, String)>,
}

impl PatternStage {
    pub(super) fn new(text: &str) -> Result<Self, LogqlError> {
        let fail = |reason: String| Err(LogqlError::Invalid(format!("pattern {text:?}: {reason}")));
        let mut stage = Self { prefix: String::new(), captures: Vec::new() };
        let mut after_capture = false;
        for piece in pieces(text) {
            match piece {
                Piece::Literal(literal) => {
                    match stage.captures.last_mut() {
                        Some(last) => last.1.push_str(literal),
                        None => stage.prefix.push_str(literal),
                    }
                    after_capture = false;
                }
                Piece::Capture(name) if after_capture => {
                    return fail(format!("found consecutive capture '<{name}>'"));
                }
                Piece::Capture(name) => {
                    let name = (name != "_").then(|| name.to_owned());
                    let is_taken = stage.captures.iter().any(|(found, _)| found.is_some() && *found == name);
                    if let (true, Some(name)) = (is_taken, &name) {
                        return fail(format!("duplicate capture name: {name}"));
                    }
                    stage.captures.push((name, String::new()));
                    after_capture = true;
                }
            }
        }
        if stage.captures.iter().all(|(name, _)| name.is_none()) {
            return fail("at least one named capture is required".to_owned());
        }
        Ok(stage)
    }

    pub(super) fn run(&self, line: &str, labels: &mut LineLabels) {
        let Some(mut rest) = line.strip_prefix(self.prefix.as_str()) else { return };
        if line.is_empty() {
            return;
        }
        for (name, literal) in &self.captures {
            let end = if literal.is_empty() {
                None
            } else {
                memchr::memmem::find(rest.as_bytes(), literal.as_bytes())
            };
            if let Some(name) = name {
                labels.extract(name, end.map_or(rest, |end| &rest[..end]));
            }
            // Without the literal that follows, the capture has taken the rest of the line.
            let Some(end) = end else { return };
            rest = &rest[end + literal.len()..];
        }
    }
}
