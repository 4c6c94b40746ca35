//! `| json`: fields of an object become labels, nested ones with their path joined by `_`.

use logql_syntax::Extraction;

use super::json_path::{JsonPath, PathStep};
use super::logfmt::set_field;
use super::sanitize_into;
use crate::LogqlError;
use crate::line_labels::{LineLabels, error_kind};

/// How deeply objects are looked into.
const DEPTH_MAX: usize = 128;

/// `| json`, compiled.
#[derive(Debug)]
pub(super) struct JsonStage {
    fields: Vec<(String, JsonPath)>,
}

impl JsonStage {
    pub(super) fn new(fields: &[Extraction]) -> Result<Self, LogqlError> {
        let fields = fields
            .iter()
            .map(|field| {
                let path = JsonPath::parse(&field.source).ok_or_else(|| {
                    LogqlError::Invalid(format!("cannot parse expression [{}]", field.source))
                })?;
                Ok((field.label.clone(), path))
            })
            .collect::<Result<_, LogqlError>>()?;
        Ok(Self { fields })
    }

    pub(super) fn run(&self, line: &str, labels: &mut LineLabels) {
        if line.is_empty() {
            return;
        }
        let outcome = if self.fields.is_empty() {
            let mut value = String::new();
            flatten(line, &mut |name, raw, is_label| {
                if is_label {
                    value.clear();
                    value_text(raw, &mut value);
                    labels.extract(name, &value);
                }
            })
        } else {
            self.named_fields(line, labels)
        };
        if let Err(reason) = outcome {
            labels.set_error(error_kind::JSON, &reason);
        }
    }

    fn named_fields(&self, line: &str, labels: &mut LineLabels) -> Result<(), String> {
        if !line.starts_with(['{', '[', '"']) {
            return Err("expecting a JSON value".to_owned());
        }
        let mut text = String::new();
        let mut outcome = Ok(());
        for (label, path) in &self.fields {
            text.clear();
            let mut scanner = Scanner::new(line);
            match find(&mut scanner, &path.steps) {
                Ok(Some(raw)) => value_text(raw, &mut text),
                Ok(None) => {}
                Err(reason) => outcome = Err(reason),
            }
            set_field(labels, label, &text);
        }
        outcome
    }
}

/// The text that a value becomes: strings without quotes, null as nothing, all else as it stands.
fn value_text(raw: &str, out: &mut String) {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => {
            if !unescape_into(out, inner) {
                out.clear();
                out.push_str(inner);
            }
        }
        None if raw == "null" => {}
        None => out.push_str(raw),
    }
}

/// The raw text of the value at `path`.
fn find<'l>(scanner: &mut Scanner<'l>, path: &[PathStep]) -> Result<Option<&'l str>, String> {
    scanner.skip_blanks();
    let Some((step, rest)) = path.split_first() else { return scanner.value(0).map(Some) };
    let (open, close) = match step {
        PathStep::Key(_) => (b'{', b'}'),
        PathStep::Index(_) => (b'[', b']'),
    };
    if scanner.peek() != Some(open) {
        return Ok(None);
    }
    scanner.at += 1;
    let mut key = String::new();
    let mut idx = 0;
    loop {
        scanner.skip_blanks();
        if scanner.take(close) {
            return Ok(None);
        }
        let is_wanted = match step {
            PathStep::Key(wanted) => {
                let raw = scanner.string()?;
                scanner.skip_blanks();
                scanner.expect(b':')?;
                key.clear();
                raw == wanted || (raw.contains('\\') && unescape_into(&mut key, raw) && key == *wanted)
            }
            PathStep::Index(wanted) => *wanted == idx,
        };
        if is_wanted {
            return find(scanner, rest);
        }
        scanner.value(0)?;
        idx += 1;
        scanner.skip_blanks();
        if !scanner.take(b',') && scanner.peek() != Some(close) {
            return scanner.fail("expecting ',' or the end");
        }
    }
}

/// Visits the values of an object and those nested in it: the name as a label, the value as it stands in the line, and
/// whether it makes a label: arrays, nulls and what has no name make none.
pub(crate) fn flatten<'l>(line: &'l str, visit: &mut dyn FnMut(&str, &'l str, bool)) -> Result<(), String> {
    let mut flattener = Flattener { name: String::new(), key: String::new(), visit };
    let mut scanner = Scanner::new(line);
    scanner.skip_blanks();
    if scanner.peek() == Some(b'{') {
        flattener.object(&mut scanner, 0)
    } else {
        Err("expecting a JSON object".to_owned())
    }
}

struct Flattener<'v, 'l> {
    /// The name so far.
    name: String,
    key: String,
    visit: &'v mut dyn FnMut(&str, &'l str, bool),
}

impl<'l> Flattener<'_, 'l> {
    fn object(&mut self, scanner: &mut Scanner<'l>, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return scanner.fail("nested too deeply");
        }
        scanner.expect(b'{')?;
        scanner.skip_blanks();
        if scanner.take(b'}') {
            return Ok(());
        }
        loop {
            scanner.skip_blanks();
            let raw_key = scanner.string()?;
            scanner.skip_blanks();
            scanner.expect(b':')?;
            scanner.skip_blanks();
            self.member(raw_key, scanner, depth)?;
            scanner.skip_blanks();
            if scanner.take(b'}') {
                return Ok(());
            }
            scanner.expect(b',')?;
        }
    }

    fn member(&mut self, raw_key: &str, scanner: &mut Scanner<'l>, depth: usize) -> Result<(), String> {
        let name_len = self.name.len();
        self.key.clear();
        let key = if raw_key.contains('\\') && unescape_into(&mut self.key, raw_key) {
            self.key.as_str()
        } else {
            raw_key
        };
        let is_named = !key.trim().is_empty();
        if is_named {
            if name_len > 0 {
                self.name.push('_');
            }
            sanitize_into(&mut self.name, key);
        }
        let outcome = match scanner.peek() {
            Some(b'{') if is_named => self.object(scanner, depth + 1),
            first => scanner.value(depth).map(|raw| {
                let is_label = is_named && !matches!(first, Some(b'[' | b'n'));
                (self.visit)(&self.name, raw, is_label);
            }),
        };
        self.name.truncate(name_len);
        outcome
    }
}

/// Walks over JSON text.
pub(super) struct Scanner<'l> {
    text: &'l str,
    at: usize,
}

impl<'l> Scanner<'l> {
    pub(super) fn new(text: &'l str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { self.fail(&format!("expecting {:?}", char::from(byte))) }
    }

    fn fail<T>(&self, reason: &str) -> Result<T, String> {
        Err(format!("malformed JSON at byte {}: {reason}", self.at))
    }

    /// A string, without its quotes and with its escapes.
    pub(super) fn string(&mut self) -> Result<&'l str, String> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek() {
                None => return self.fail("string without an end"),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        let Some(raw) = self.text.get(start..self.at) else { return self.fail("malformed string") };
        self.at += 1;
        Ok(raw)
    }

    /// Any value, as it stands.
    pub(super) fn value(&mut self, depth: usize) -> Result<&'l str, String> {
        self.skip_blanks();
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{' | b'[') => self.skip_nested(depth)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => {
                while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                    self.at += 1;
                }
            }
            _ => return self.fail("expecting a value"),
        }
        Ok(&self.text[start..self.at])
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail(&format!("expecting {word}"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes an object or array by counting brackets: strings are the only place where one means something else.
    fn skip_nested(&mut self, depth: usize) -> Result<(), String> {
        let mut open = depth;
        loop {
            match self.peek() {
                None => return self.fail("value without an end"),
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
            }
            self.at += 1;
            if open == depth {
                return Ok(());
            }
        }
    }
}

/// Undoes JSON's escapes. `false` where one is malformed.
pub(super) fn unescape_into(out: &mut String, raw: &str) -> bool {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut chars = rest[at + 1..].chars();
        let Some(escape) = chars.next() else { return false };
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            '"' | '\\' | '/' | '\'' => out.push(escape),
            'u' => {
                let Some(unit) = hex4(&mut chars) else { return false };
                let is_high = (0xd800..0xdc00).contains(&unit);
                let mut after = chars.clone();
                let low = if is_high && after.next() == Some('\\') && after.next() == Some('u') {
                    hex4(&mut after).filter(|low| (0xdc00..0xe000).contains(low))
                } else {
                    None
                };
                let code = match low {
                    Some(low) => {
                        chars = after;
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    None => unit,
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return false,
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    true
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}
