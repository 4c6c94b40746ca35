//! `| logfmt`: `key=value` pairs.

use std::ops::Range;

use logql_syntax::Extraction;

use super::json::unescape_into;
use super::sanitize_into;
use crate::line_labels::{LineLabels, error_kind};

/// `| logfmt`, compiled.
#[derive(Debug)]
pub(super) struct LogfmtStage {
    strict: bool,
    keep_empty: bool,
    fields: Vec<Extraction>,
}

impl LogfmtStage {
    pub(super) fn new(strict: bool, keep_empty: bool, fields: &[Extraction]) -> Self {
        Self { strict, keep_empty, fields: fields.to_vec() }
    }

    pub(super) fn run(&self, line: &str, labels: &mut LineLabels) {
        let mut found = vec![false; self.fields.len()];
        let mut decoder = Decoder::new(line);
        let (mut name, mut value) = (String::new(), String::new());
        loop {
            match decoder.next(&mut value) {
                Ok(None) => break,
                Err(reason) if self.strict => {
                    labels.set_error(error_kind::LOGFMT, &reason);
                    return;
                }
                Err(_) => decoder.skip_word(),
                Ok(Some(key)) if self.fields.is_empty() => {
                    if value.is_empty() && !self.keep_empty {
                        continue;
                    }
                    name.clear();
                    sanitize_into(&mut name, key);
                    if !name.is_empty() {
                        labels.extract(&name, &value);
                    }
                }
                Ok(Some(key)) => self.take_named(key, &value, &mut found, labels),
            }
        }
        for (field, found) in self.fields.iter().zip(&found) {
            if !found {
                set_field(labels, &field.label, "");
            }
        }
    }

    /// Sets the labels that ask for `key`; its first value counts.
    fn take_named(&self, key: &str, value: &str, found: &mut [bool], labels: &mut LineLabels) {
        for (field, found) in self.fields.iter().zip(found) {
            if field.source == key && !*found {
                *found = true;
                set_field(labels, &field.label, value);
            }
        }
    }
}

/// Sets a field that is named as an argument: it replaces what other parsers have found.
pub(super) fn set_field(labels: &mut LineLabels, name: &str, value: &str) {
    let mut buf = String::new();
    let name = labels.field_name(name, &mut buf).to_owned();
    labels.set(&name, value);
}

/// Walks over pairs.
pub(crate) struct Decoder<'l> {
    line: &'l str,
    at: usize,
    /// Where the last value stands, without its quotes.
    pub(crate) place: Range<usize>,
}

impl<'l> Decoder<'l> {
    pub(crate) fn new(line: &'l str) -> Self {
        Self { line, at: 0, place: 0..0 }
    }

    /// The next key, its value in `value`.
    pub(crate) fn next(&mut self, value: &mut String) -> Result<Option<&'l str>, String> {
        value.clear();
        self.place = self.at..self.at;
        let bytes = self.line.as_bytes();
        while bytes.get(self.at).is_some_and(|b| *b <= b' ') {
            self.at += 1;
        }
        let start = self.at;
        while let Some(b) = bytes.get(self.at)
            && *b > b' '
            && !matches!(b, b'=' | b'"')
        {
            self.at += 1;
        }
        let key = &self.line[start..self.at];
        match bytes.get(self.at) {
            None if key.is_empty() => return Ok(None),
            Some(b'"') => return self.fail("unexpected '\"'"),
            Some(b'=') if key.is_empty() => return self.fail("unexpected '='"),
            Some(b'=') => self.at += 1,
            _ => return Ok(Some(key)),
        }
        if bytes.get(self.at) == Some(&b'"') {
            self.quoted(value)?;
        } else {
            self.bare(value)?;
        }
        Ok(Some(key))
    }

    fn quoted(&mut self, value: &mut String) -> Result<(), String> {
        let bytes = self.line.as_bytes();
        let start = self.at + 1;
        let mut end = start;
        loop {
            match bytes.get(end) {
                None => return self.fail("unterminated quoted value"),
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
            }
        }
        let Some(inner) = self.line.get(start..end) else { return self.fail("invalid quoted value") };
        if !unescape_into(value, inner) {
            return self.fail("invalid quoted value");
        }
        self.place = start..end;
        self.at = end + 1;
        Ok(())
    }

    fn bare(&mut self, value: &mut String) -> Result<(), String> {
        let bytes = self.line.as_bytes();
        let start = self.at;
        while let Some(b) = bytes.get(self.at)
            && *b > b' '
        {
            if matches!(b, b'=' | b'"') {
                return self.fail(&format!("unexpected {:?}", char::from(*b)));
            }
            self.at += 1;
        }
        self.place = start..self.at;
        value.push_str(&self.line[start..self.at]);
        Ok(())
    }

    fn fail<T>(&self, reason: &str) -> Result<T, String> {
        Err(format!("logfmt syntax error at pos {} : {reason}", self.at + 1))
    }

    /// Goes to the blank after what could not be read.
    pub(crate) fn skip_word(&mut self) {
        let bytes = self.line.as_bytes();
        while bytes.get(self.at).is_some_and(|b| *b > b' ') {
            self.at += 1;
        }
    }
}
