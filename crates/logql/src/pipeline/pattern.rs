//! `| pattern`: literals with `<name>` between them.

use std::ops::Range;

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
pub(crate) struct PatternStage {
    /// What the line has to start with.
    prefix: String,
    /// Captures with the literal after each; the last may have none. `None` as a name discards.
    captures: Vec<(Option<String>, String)>,
}

impl PatternStage {
    pub(crate) fn new(text: &str) -> Result<Self, LogqlError> {
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
        self.places(line, |name, place| labels.extract(name, &line[place]));
    }

    /// Visits the captures that have a name, and where their values stand.
    pub(crate) fn places(&self, line: &str, mut visit: impl FnMut(&str, Range<usize>)) {
        if line.is_empty() || !line.starts_with(self.prefix.as_str()) {
            return;
        }
        let mut at = self.prefix.len();
        for (name, literal) in &self.captures {
            let end = find_from(line, at, literal);
            if let Some(name) = name {
                visit(name, at..end.unwrap_or(line.len()));
            }
            // Without the literal that follows, the capture has taken the rest of the line.
            let Some(end) = end else { return };
            at = end + literal.len();
        }
    }

    /// Whether captures stand where they stand in the line whatever digits, or hexadecimal ones where a letter stands, are in
    /// the places given in their order.
    pub(crate) fn is_fixed(&self, line: &str, varying: &[Range<usize>]) -> bool {
        let may_hold = |slot: &Range<usize>, literal: &str| {
            let is_hex = line[slot.clone()].contains(|c: char| c.is_ascii_alphabetic());
            literal.bytes().any(|b| if is_hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() })
        };
        let text = line.as_bytes();
        let prefix = self.prefix.as_bytes();
        if let Some(slot) = varying.first().filter(|slot| slot.start < prefix.len()) {
            let before = slot.start;
            let next = &self.prefix.get(before..before + 1);
            // Text before it, or the first byte of it, tells that no such line begins with the prefix.
            return prefix[..before] != text[..before] || !next.is_none_or(|next| may_hold(slot, next));
        }
        if !text.starts_with(prefix) {
            return true;
        }
        let mut at = prefix.len();
        for (_, literal) in &self.captures {
            let found = find_from(line, at, literal);
            let searched = at..found.map_or(line.len(), |end| end + literal.len());
            let mut touched =
                varying.iter().filter(|slot| slot.start < searched.end && slot.end > searched.start);
            // A literal is found in what varies only where it has a byte that may stand there.
            if touched.any(|slot| may_hold(slot, literal)) {
                return false;
            }
            if found.is_none() {
                return true;
            }
            at = searched.end;
        }
        true
    }
}

/// Where a literal stands at or after a place; `None` as well where it is empty.
fn find_from(line: &str, at: usize, literal: &str) -> Option<usize> {
    if literal.is_empty() {
        return None;
    }
    memchr::memmem::find(&line.as_bytes()[at..], literal.as_bytes()).map(|found| at + found)
}
