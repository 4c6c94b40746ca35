//! The text format, versions 0.0.4 and 1.0.0.

use std::borrow::Cow;

use model::MetricType;

use crate::error::Fault;
use crate::float::{parse_timestamp_ms, parse_value};
use crate::series::{bare_name, series_end_like, skip_blanks, unescape};
use crate::{Entry, ExpositionError, MetadataKind, SampleEntry, SeriesText};

/// A body in the text format, read line by line.
#[derive(Debug)]
pub(crate) struct TextLines<'a> {
    input: &'a [u8],
    at: usize,
    kind: MetricType,
}

impl<'a> TextLines<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, kind: MetricType::Unknown }
    }

    pub(crate) fn next_entry(&mut self, expected: &[u8]) -> Result<Option<Entry<'a>>, ExpositionError> {
        self.read(expected).map_err(|fault| ExpositionError::at(self.input, fault))
    }

    fn read(&mut self, expected: &[u8]) -> Result<Option<Entry<'a>>, Fault> {
        loop {
            self.at = skip_blanks(self.input, self.at);
            match self.input.get(self.at) {
                None => return Ok(None),
                Some(b'\n') => self.at += 1,
                Some(b'#') => {
                    if let Some(entry) = self.comment()? {
                        return Ok(Some(entry));
                    }
                }
                Some(_) => return self.sample(expected).map(Some),
            }
        }
    }

    /// A HELP or TYPE line; `None` for any other comment.
    fn comment(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let end = line_end(self.input, self.at);
        let keyword_at = skip_blanks(self.input, self.at + 1);
        let keyword = &self.input[keyword_at..keyword_at + token_len(self.input, keyword_at)];
        let name_at = skip_blanks(self.input, keyword_at + keyword.len());
        let known = keyword == b"HELP" || keyword == b"TYPE";
        if keyword_at == self.at + 1 || !known || name_at == keyword_at + keyword.len() {
            self.at = end;
            return Ok(None);
        }
        let (family, name_end) = family_name(self.input, name_at)?;
        let rest_at = skip_blanks(self.input, name_end);
        let rest = self.input.get(rest_at..end).unwrap_or_default();
        self.at = end;
        let kind = if keyword == b"TYPE" {
            self.kind = match rest {
                b"counter" => MetricType::Counter,
                b"gauge" => MetricType::Gauge,
                b"histogram" => MetricType::Histogram,
                b"summary" => MetricType::Summary,
                b"untyped" => MetricType::Unknown,
                _ => return Err(Fault { at: rest_at, reason: "invalid metric type" }),
            };
            MetadataKind::Type(self.kind)
        } else {
            MetadataKind::Help(unescape(rest, rest_at)?)
        };
        Ok(Some(Entry::Metadata { family, kind }))
    }

    fn sample(&mut self, expected: &[u8]) -> Result<Entry<'a>, Fault> {
        let input = self.input;
        let end = series_end_like(input, self.at, expected)?;
        let series = SeriesText { bytes: &input[self.at..end], kind: self.kind, body: input, at: self.at };
        let value_at = skip_blanks(input, end);
        let value_end = value_at + token_len(input, value_at);
        let value = parse_value(&input[value_at..value_end], value_at)?;
        let mut rest = skip_blanks(input, value_end);
        let mut timestamp = None;
        if !matches!(input.get(rest), None | Some(b'\n')) {
            let len = token_len(input, rest);
            timestamp = Some(parse_timestamp_ms(&input[rest..rest + len], rest)?);
            rest = skip_blanks(input, rest + len);
        }
        match input.get(rest) {
            None => self.at = rest,
            Some(b'\n') => self.at = rest + 1,
            Some(_) => return Err(Fault { at: rest, reason: "unexpected text after the timestamp" }),
        }
        Ok(Entry::Sample(SampleEntry { series, value, timestamp, exemplar: None, start: None }))
    }
}

/// The bytes up to a blank or the end of the line.
pub(crate) fn token_len(input: &[u8], at: usize) -> usize {
    input[at..].iter().take_while(|b| !matches!(b, b' ' | b'\t' | b'\n')).count()
}

/// The index of the newline that ends the line of `at`, or the input's length.
pub(crate) fn line_end(input: &[u8], at: usize) -> usize {
    input[at..].iter().position(|b| *b == b'\n').map_or(input.len(), |len| at + len)
}

/// A family's name, bare or quoted, and the index after it.
pub(crate) fn family_name(input: &[u8], at: usize) -> Result<(Cow<'_, str>, usize), Fault> {
    let fault = Fault { at, reason: "not a metric name" };
    if input.get(at) == Some(&b'"') {
        let line = &input[at + 1..line_end(input, at)];
        let mut escaped = false;
        let close = line.iter().position(|byte| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        });
        let len = close.filter(|len| *len > 0).ok_or(fault)?;
        return Ok((unescape(&line[..len], at)?, at + len + 2));
    }
    let len = token_len(input, at);
    let name = bare_name(&input[at..at + len], true).ok_or(fault)?;
    Ok((Cow::Borrowed(name), at + len))
}
