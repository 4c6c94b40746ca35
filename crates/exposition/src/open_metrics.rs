//! OpenMetrics 0.0.1 and 1.0.0.

use model::MetricType;

use crate::error::Fault;
use crate::float::{parse_timestamp_seconds, parse_value};
use crate::series::{braces_end, series_end_like, unescape};
use crate::text::{family_name, line_end, token_len};
use crate::{Entry, ExemplarEntry, ExpositionError, MetadataKind, SampleEntry, SeriesText};

/// A body in OpenMetrics, read line by line. It has single spaces, no empty lines, and ends with `# EOF`.
#[derive(Debug)]
pub(crate) struct OpenMetricsLines<'a> {
    input: &'a [u8],
    at: usize,
    kind: MetricType,
    ended: bool,
}

impl<'a> OpenMetricsLines<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, kind: MetricType::Unknown, ended: false }
    }

    pub(crate) fn next_entry(&mut self, expected: &[u8]) -> Result<Option<Entry<'a>>, ExpositionError> {
        if self.ended {
            return Ok(None);
        }
        let read = match self.input.get(self.at) {
            None => return Err(ExpositionError::MissingEof),
            Some(b'#') => self.comment(),
            Some(_) => self.sample(expected).map(Some),
        };
        read.map_err(|fault| ExpositionError::at(self.input, fault))
    }

    fn comment(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let input = self.input;
        let end = line_end(input, self.at);
        if &input[self.at..end] == b"# EOF" {
            if end + 1 < input.len() {
                return Err(Fault { at: end + 1, reason: "unexpected data after # EOF" });
            }
            self.ended = true;
            return Ok(None);
        }
        let keyword_at = self.at + 2;
        let keyword = input.get(keyword_at..keyword_at + 5).unwrap_or_default();
        if !input[self.at..].starts_with(b"# ") || !matches!(keyword, b"HELP " | b"TYPE " | b"UNIT ") {
            return Err(Fault { at: self.at, reason: "expected # HELP, # TYPE, # UNIT or # EOF" });
        }
        let name_at = keyword_at + 5;
        let (family, name_end) = family_name(input, name_at)?;
        let rest_at = (name_end + 1).min(end);
        let rest = &input[rest_at..end];
        let kind = match keyword {
            b"TYPE " => {
                self.kind = metric_type(rest).ok_or(Fault { at: rest_at, reason: "invalid metric type" })?;
                MetadataKind::Type(self.kind)
            }
            b"HELP " => MetadataKind::Help(unescape(rest, rest_at)?),
            _ => {
                let unit = unescape(rest, rest_at)?;
                let suffixed = family.strip_suffix(unit.as_ref()).is_some_and(|name| name.ends_with('_'));
                if !unit.is_empty() && !suffixed {
                    return Err(Fault { at: rest_at, reason: "unit is not a suffix of the metric's name" });
                }
                MetadataKind::Unit(unit)
            }
        };
        self.at = (end + 1).min(input.len());
        Ok(Some(Entry::Metadata { family, kind }))
    }

    fn sample(&mut self, expected: &[u8]) -> Result<Entry<'a>, Fault> {
        let input = self.input;
        let end = series_end_like(input, self.at, expected)?;
        let series = SeriesText { bytes: &input[self.at..end], kind: self.kind, body: input, at: self.at };
        let value_at = space(input, end)?;
        let value_end = value_at + token_len(input, value_at);
        let value = parse_value(&input[value_at..value_end], value_at)?;
        let (timestamp, mut at) = self.timestamp(value_end)?;
        let mut exemplar = None;
        if input[at..].starts_with(b" # ") {
            let (found, after) = self.exemplar(at + 3)?;
            exemplar = Some(found);
            at = after;
        }
        if input.get(at) != Some(&b'\n') {
            return Err(Fault { at, reason: "expected the end of the line" });
        }
        self.at = at + 1;
        Ok(Entry::Sample(SampleEntry { series, value, timestamp, exemplar, start: None }))
    }

    /// A timestamp after a value that ends at `at`, if there is one; and the index after it.
    fn timestamp(&self, at: usize) -> Result<(Option<i64>, usize), Fault> {
        if self.input.get(at) != Some(&b' ') || self.input.get(at + 1) == Some(&b'#') {
            return Ok((None, at));
        }
        let len = token_len(self.input, at + 1);
        let timestamp = parse_timestamp_seconds(&self.input[at + 1..at + 1 + len], at + 1)?;
        Ok((Some(timestamp), at + 1 + len))
    }

    fn exemplar(&self, at: usize) -> Result<(ExemplarEntry<'a>, usize), Fault> {
        let input = self.input;
        if input.get(at) != Some(&b'{') {
            return Err(Fault { at, reason: "expected the exemplar's labels" });
        }
        let end = braces_end(input, at)?;
        let labels = SeriesText { bytes: &input[at..end], kind: MetricType::Unknown, body: input, at };
        let value_at = space(input, end)?;
        let value_end = value_at + token_len(input, value_at);
        let value = parse_value(&input[value_at..value_end], value_at)?;
        let (timestamp, at) = self.timestamp(value_end)?;
        Ok((ExemplarEntry { labels, value, timestamp }, at))
    }
}

fn space(input: &[u8], at: usize) -> Result<usize, Fault> {
    match input.get(at) {
        Some(b' ') => Ok(at + 1),
        _ => Err(Fault { at, reason: "expected one space" }),
    }
}

fn metric_type(text: &[u8]) -> Option<MetricType> {
    Some(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        _ => return None,
    })
}
