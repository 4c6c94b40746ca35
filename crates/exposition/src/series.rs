//! A series as a body writes it, and the labels that it spells.

use std::borrow::Cow;

use model::{BUCKET_LABEL, LabelsBuilder, METRIC_NAME_LABEL, MetricType, QUANTILE_LABEL};

use crate::ExpositionError;
use crate::error::Fault;
use crate::float::{format_open_metrics, parse_value};

/// The bytes that spell a series: `name{label="value",…}`. Not checked until [`SeriesText::labels`] is called.
#[derive(Clone, Copy, Debug)]
pub struct SeriesText<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) kind: MetricType,
    /// The whole body and where `bytes` begins in it, for the line number of an error.
    pub(crate) body: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> SeriesText<'a> {
    /// A series by its bytes alone: errors tell lines as if nothing stood before it.
    pub fn new(bytes: &'a [u8], kind: MetricType) -> Self {
        Self { bytes, kind, body: bytes, at: 0 }
    }

    /// The bytes: the same bytes under the same type always spell the same labels.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The type that the body gave for the family, `Unknown` where it gave none.
    pub fn kind(&self) -> MetricType {
        self.kind
    }

    /// Checks the series and puts its labels into `labels`, which is emptied first. Empty values are left out;
    /// `le` and `quantile` are written as OpenMetrics writes floats.
    ///
    /// # Errors
    /// Where the bytes are not a series: syntax, encoding, a repeated name.
    pub fn labels(&self, labels: &mut LabelsBuilder) -> Result<(), ExpositionError> {
        labels.retain(|_, _| false);
        parse_series(self.bytes, self.kind, labels).map_err(|fault| {
            ExpositionError::at(self.body, Fault { at: self.at + fault.at, reason: fault.reason })
        })
    }
}

/// The index after a series that begins at `at`: where its value is to follow. Looks at quotes and braces only.
pub(crate) fn series_end(input: &[u8], at: usize) -> Result<usize, Fault> {
    let mut idx = at;
    while let Some(byte) = input.get(idx) {
        match byte {
            b'{' => return braces_end(input, idx),
            b' ' | b'\t' => {
                // A brace may follow after blanks.
                let next = skip_blanks(input, idx);
                return if input.get(next) == Some(&b'{') { braces_end(input, next) } else { Ok(idx) };
            }
            b'\n' => return Err(Fault { at: idx, reason: "expected a value after the series" }),
            _ => idx += 1,
        }
    }
    Err(Fault { at: idx, reason: "expected a value after the series" })
}

/// The same where `expected`, which an earlier line of this or another body had, may well stand here again.
pub(crate) fn series_end_like(input: &[u8], at: usize, expected: &[u8]) -> Result<usize, Fault> {
    let end = at + expected.len();
    let braced = expected.last() == Some(&b'}');
    let stands = !expected.is_empty() && input.get(at..end) == Some(expected);
    if stands
        && (braced || input.get(end) == Some(&b' ') && input.get(end + 1).is_some_and(|b| is_number(*b)))
    {
        return Ok(end);
    }
    series_end(input, at)
}

/// Whether a value may begin so. Not blanks, after which a brace could follow.
fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

pub(crate) fn skip_blanks(input: &[u8], mut at: usize) -> usize {
    while matches!(input.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// The index after the `}` that closes the brace at `at`.
pub(crate) fn braces_end(input: &[u8], at: usize) -> Result<usize, Fault> {
    let mut idx = at + 1;
    while let Some(byte) = input.get(idx) {
        match byte {
            b'}' => return Ok(idx + 1),
            b'"' => idx = quote_end(input, idx)?,
            b'\n' => break,
            _ => idx += 1,
        }
    }
    Err(Fault { at, reason: "missing } after labels" })
}

/// The index after the quote that closes the one at `at`.
fn quote_end(input: &[u8], at: usize) -> Result<usize, Fault> {
    let mut idx = at + 1;
    while let Some(byte) = input.get(idx) {
        match byte {
            b'"' => return Ok(idx + 1),
            b'\\' => idx += 2,
            _ => idx += 1,
        }
    }
    Err(Fault { at, reason: "missing closing quote" })
}

/// Reads `name{…}`, `{"name",…}` or `{…}` (an exemplar's labels) whole.
pub(crate) fn parse_series(text: &[u8], kind: MetricType, labels: &mut LabelsBuilder) -> Result<(), Fault> {
    let name_end = text.iter().position(|b| matches!(b, b'{' | b' ' | b'\t')).unwrap_or(text.len());
    if name_end > 0 {
        let name = bare_name(&text[..name_end], true).ok_or(Fault { at: 0, reason: "not a metric name" })?;
        labels.set(METRIC_NAME_LABEL, name);
    }
    let open = skip_blanks(text, name_end);
    match text.get(open) {
        None if name_end > 0 => return Ok(()),
        Some(b'{') => {}
        _ => return Err(Fault { at: open, reason: "expected a metric name or {" }),
    }
    let mut at = skip_blanks(text, open + 1);
    while text.get(at) != Some(&b'}') {
        at = parse_pair(text, at, kind, labels)?;
        at = skip_blanks(text, at);
        match text.get(at) {
            Some(b',') => at = skip_blanks(text, at + 1),
            Some(b'}') => {}
            _ => return Err(Fault { at, reason: "expected , or } after a label" }),
        }
    }
    if at + 1 == text.len() { Ok(()) } else { Err(Fault { at: at + 1, reason: "unexpected text after }" }) }
}

/// Reads `label="value"`, `"quoted label"="value"` or `"quoted metric name"`; the index after it.
fn parse_pair(text: &[u8], at: usize, kind: MetricType, labels: &mut LabelsBuilder) -> Result<usize, Fault> {
    let (name, quoted, name_end) = if text.get(at) == Some(&b'"') {
        let end = quote_end(text, at)?;
        (unescape(&text[at + 1..end - 1], at)?, true, end)
    } else {
        let len = text[at..].iter().take_while(|b| !matches!(b, b'=' | b' ' | b'\t' | b',' | b'}')).count();
        let name = bare_name(&text[at..at + len], false).ok_or(Fault { at, reason: "not a label name" })?;
        (Cow::Borrowed(name), false, at + len)
    };
    let equals = skip_blanks(text, name_end);
    if text.get(equals) != Some(&b'=') {
        if quoted && !name.is_empty() && labels.get(METRIC_NAME_LABEL).is_none() {
            labels.set(METRIC_NAME_LABEL, &name);
            return Ok(name_end);
        }
        return Err(Fault { at: equals, reason: "expected = after a label name" });
    }
    let open = skip_blanks(text, equals + 1);
    if text.get(open) != Some(&b'"') {
        return Err(Fault { at: open, reason: "expected a quoted label value" });
    }
    let end = quote_end(text, open)?;
    let value = unescape(&text[open + 1..end - 1], open)?;
    if name.is_empty() {
        return Err(Fault { at, reason: "empty label name" });
    }
    if labels.get(&name).is_some() {
        return Err(Fault { at, reason: "label name is not unique" });
    }
    labels.set(&name, &normalized(kind, &name, value));
    Ok(end)
}

/// `le` and `quantile` have one spelling, so that `1` and `1.0` are the same series.
fn normalized<'a>(kind: MetricType, name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    let is_float = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => name == BUCKET_LABEL,
        MetricType::Summary => name == QUANTILE_LABEL,
        _ => false,
    };
    if !is_float {
        return value;
    }
    match parse_value(value.as_bytes(), 0) {
        Ok(number) => {
            let mut out = String::new();
            format_open_metrics(&mut out, number);
            Cow::Owned(out)
        }
        Err(_) => value,
    }
}

/// A name without quotes; with `:` where it is a metric's.
pub(crate) fn bare_name(text: &[u8], metric: bool) -> Option<&str> {
    let valid = |b: u8| b == b'_' || b.is_ascii_alphanumeric() || (metric && b == b':');
    if text.first()?.is_ascii_digit() || !text.iter().all(|b| valid(*b)) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

/// Undoes `\\`, `\"` and `\n`; other escapes stay as they are.
pub(crate) fn unescape(text: &[u8], at: usize) -> Result<Cow<'_, str>, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault { at, reason: "not valid UTF-8" })?;
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(escaped @ ('\\' | '"')) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Ok(Cow::Owned(out))
}
