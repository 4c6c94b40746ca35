//! Fields of JSON and logfmt lines, and captures of patterns, as a store can answer them: from what its lines have in common, without putting lines
//! together.

use std::ops::Range;

use log_storage_api::{FieldFinder, FieldVerdict};
use logql_syntax::{Stage, StageKind};

use crate::LogqlError;
use crate::line_labels::{ERROR_DETAILS_LABEL, ERROR_LABEL};
use crate::pipeline::{CompiledLabelFilter, LogfmtDecoder, PatternStage, flatten_json, sanitize_into};

/// How a line is parsed.
#[derive(Debug)]
enum Format {
    Json,
    Logfmt,
    Pattern(PatternStage),
}

/// The parser at the start of a pipeline, and the filters behind it that look at one field each.
#[derive(Debug)]
pub(crate) struct Fields {
    format: Format,
    names: Vec<String>,
    filters: Vec<CompiledLabelFilter>,
    /// For each filter the number of its field.
    filter_fields: Vec<usize>,
    /// Whether the pipeline has nothing but the parser and these filters.
    pub(crate) is_all: bool,
}

impl Fields {
    /// What of a pipeline can be answered by fields; `None` where it does not begin with a parser of all fields.
    pub(crate) fn of(stages: &[&Stage]) -> Result<Option<Self>, LogqlError> {
        let Some((parser, rest)) = stages.split_first() else { return Ok(None) };
        let format = match &parser.kind {
            StageKind::Json(named) if named.is_empty() => Format::Json,
            StageKind::Logfmt { strict: false, keep_empty: false, fields } if fields.is_empty() => {
                Format::Logfmt
            }
            StageKind::Pattern(text) => Format::Pattern(PatternStage::new(text)?),
            _ => return Ok(None),
        };
        let (names, filters, filter_fields) = (Vec::new(), Vec::new(), Vec::new());
        let mut fields = Self { format, names, filters, filter_fields, is_all: true };
        for stage in rest {
            let StageKind::LabelFilter(filter) = &stage.kind else {
                fields.is_all = false;
                break;
            };
            if !fields.add_filter(CompiledLabelFilter::new(filter)?) {
                fields.is_all = false;
                break;
            }
        }
        Ok(Some(fields))
    }

    fn add_filter(&mut self, filter: CompiledLabelFilter) -> bool {
        if let CompiledLabelFilter::And(filters) = filter {
            return filters.into_iter().all(|filter| self.add_filter(filter));
        }
        match filter.name() {
            // A line whose fields are known has no error, so that only a filter which such a line passes can be left out.
            Some(ERROR_LABEL | ERROR_DETAILS_LABEL) => filter.verdict(None) == FieldVerdict::Passes,
            Some(name) if !name.ends_with("_extracted") => {
                let field = self.field(name);
                self.filter_fields.push(field);
                self.filters.push(filter);
                true
            }
            _ => false,
        }
    }

    /// The number of a field; added where it was not asked for yet.
    pub(crate) fn field(&mut self, name: &str) -> usize {
        if let Some(known) = self.names.iter().position(|known| known == name) {
            return known;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    pub(crate) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    fn take(&self, found: &mut [Option<Range<usize>>], name: &str, place: &Range<usize>) {
        // The first of several with one name counts.
        if let Some(field) = self.names.iter().position(|known| known == name)
            && found[field].is_none()
        {
            found[field] = Some(place.clone());
        }
    }

    fn find_json(&self, line: &str, values: &mut Vec<Range<usize>>) -> Option<Vec<Option<Range<usize>>>> {
        let mut found = vec![None; self.names.len()];
        let mut is_plain = true;
        let walked = flatten_json(line, &mut |name, raw, is_label| {
            let start = raw.as_ptr() as usize - line.as_ptr() as usize;
            let mut place = start..start + raw.len();
            values.push(place.clone());
            if raw.starts_with('"') {
                place = place.start + 1..place.end - 1;
            }
            if is_label {
                // What an escape stands for is not in the line as such.
                is_plain &= !raw.contains('\\') || !self.names.iter().any(|known| known == name);
                self.take(&mut found, name, &place);
            }
        });
        (walked.is_ok() && is_plain).then_some(found)
    }

    fn find_logfmt(&self, line: &str, values: &mut Vec<Range<usize>>) -> Option<Vec<Option<Range<usize>>>> {
        let mut found = vec![None; self.names.len()];
        let mut decoder = LogfmtDecoder::new(line);
        let (mut value, mut name) = (String::new(), String::new());
        loop {
            match decoder.next(&mut value) {
                Ok(None) => return Some(found),
                Err(_) => decoder.skip_word(),
                Ok(Some(key)) => {
                    let place = decoder.place.clone();
                    values.push(place.clone());
                    if value.is_empty() {
                        continue;
                    }
                    if line[place.clone()] != value {
                        return None;
                    }
                    name.clear();
                    sanitize_into(&mut name, key);
                    if !name.is_empty() {
                        self.take(&mut found, &name, &place);
                    }
                }
            }
        }
    }

    fn find_pattern(
        &self,
        pattern: &PatternStage,
        line: &str,
        varying: &[Range<usize>],
    ) -> Option<Vec<Option<Range<usize>>>> {
        let mut found = vec![None; self.names.len()];
        if !pattern.is_fixed(line, varying) {
            return None;
        }
        pattern.places(line, |name, place| self.take(&mut found, name, &place));
        Some(found)
    }
}

impl FieldFinder for Fields {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn find(&self, line: &str, varying: &[Range<usize>]) -> Option<Vec<Option<Range<usize>>>> {
        let mut values = Vec::new();
        let found = match &self.format {
            Format::Json => self.find_json(line, &mut values),
            Format::Logfmt => self.find_logfmt(line, &mut values),
            Format::Pattern(pattern) => return self.find_pattern(pattern, line, varying),
        }?;
        // What varies within values cannot change how a line is read; in keys or between pairs it can.
        let is_inside = |place: &Range<usize>| {
            values.iter().any(|value| value.start <= place.start && place.end <= value.end)
        };
        varying.iter().all(is_inside).then_some(found)
    }

    fn filters(&self) -> &[usize] {
        &self.filter_fields
    }

    fn verdict(&self, filter: usize, value: Option<&str>) -> FieldVerdict {
        self.filters[filter].verdict(value)
    }
}

#[cfg(test)]
mod tests;
