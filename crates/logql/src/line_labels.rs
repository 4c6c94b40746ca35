//! The labels of one line while it runs through a pipeline: those of its stream, its structured metadata, and what stages
//! have taken from the line.

use model::Labels;

/// The label that names what went wrong with a line.
pub(crate) const ERROR_LABEL: &str = "__error__";
/// The label that says more about it.
pub(crate) const ERROR_DETAILS_LABEL: &str = "__error_details__";

/// What goes wrong with lines; the value of `__error__`.
pub(crate) mod error_kind {
    pub(crate) const JSON: &str = "JSONParserErr";
    pub(crate) const LOGFMT: &str = "LogfmtParserErr";
    pub(crate) const SAMPLE: &str = "SampleExtractionErr";
    pub(crate) const LABEL_FILTER: &str = "LabelFilterErr";
    pub(crate) const TEMPLATE: &str = "TemplateFormatErr";
}

/// The labels of one line. Reused for line after line, so that strings keep their memory.
#[derive(Debug, Default)]
pub(crate) struct LineLabels {
    stream: Labels,
    /// Names of stream labels that a stage has removed.
    hidden: Vec<String>,
    metadata: Pairs,
    parsed: Pairs,
    error: &'static str,
    error_details: String,
}

impl LineLabels {
    /// Starts a line. Metadata named as a stream label is renamed, as its name is taken.
    pub(crate) fn reset(&mut self, stream: &Labels, metadata: &[(String, String)]) {
        self.stream = stream.clone();
        self.hidden.clear();
        self.metadata.clear();
        self.parsed.clear();
        self.error = "";
        self.error_details.clear();
        for (name, value) in metadata {
            if stream.get(name).is_some() {
                self.metadata.set(&format!("{name}_extracted"), value);
            } else {
                self.metadata.push(name, value);
            }
        }
    }

    /// The labels of the line's stream.
    pub(crate) fn stream(&self) -> &Labels {
        &self.stream
    }

    /// The value of a label; errors are none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.parsed.get(name).or_else(|| self.metadata.get(name)) {
            return Some(value);
        }
        if self.is_hidden(name) { None } else { self.stream.get(name) }
    }

    /// The value of a label or of the error; "" where there is none.
    pub(crate) fn value_or_error(&self, name: &str) -> &str {
        match name {
            ERROR_LABEL => self.error,
            ERROR_DETAILS_LABEL => &self.error_details,
            _ => self.get(name).unwrap_or(""),
        }
    }

    /// The name that a parser's field gets: another where a stream label or metadata has it already.
    pub(crate) fn field_name<'n>(&self, name: &'n str, buf: &'n mut String) -> &'n str {
        if self.stream.get(name).is_none() && self.metadata.get(name).is_none() {
            return name;
        }
        buf.clear();
        buf.push_str(name);
        buf.push_str("_extracted");
        buf
    }

    /// Adds what a parser has found, unless a stage before or an earlier field has set that name.
    pub(crate) fn extract(&mut self, name: &str, value: &str) {
        let mut buf = String::new();
        let name = self.field_name(name, &mut buf);
        if self.parsed.get(name).is_none() {
            self.parsed.push(name, value);
        }
    }

    /// Sets what a stage names explicitly, whatever was there.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.metadata.remove(name);
        self.parsed.set(name, value);
    }

    /// Removes a label, wherever it comes from.
    pub(crate) fn remove(&mut self, name: &str) {
        match name {
            ERROR_LABEL => self.error = "",
            ERROR_DETAILS_LABEL => self.error_details.clear(),
            _ => {
                self.parsed.remove(name);
                self.metadata.remove(name);
                if self.stream.get(name).is_some() && !self.is_hidden(name) {
                    self.hidden.push(name.to_owned());
                }
            }
        }
    }

    /// Removes every label that `keep` refuses; errors stay.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.parsed.retain(&mut keep);
        self.metadata.retain(&mut keep);
        for (name, value) in self.stream.iter() {
            if !self.hidden.iter().any(|hidden| hidden == name) && !keep(name, value) {
                self.hidden.push(name.to_owned());
            }
        }
    }

    /// What went wrong with the line; "" for nothing.
    pub(crate) fn error(&self) -> &'static str {
        self.error
    }

    /// Notes what went wrong.
    pub(crate) fn set_error(&mut self, kind: &'static str, details: &str) {
        self.error = kind;
        details.clone_into(&mut self.error_details);
    }

    /// Visits the stream labels that are left.
    pub(crate) fn for_each_stream(&self, mut visit: impl FnMut(&str, &str)) {
        for (name, value) in self.stream.iter() {
            if !self.is_hidden(name) && self.parsed.get(name).is_none() {
                visit(name, value);
            }
        }
    }

    /// Visits structured metadata.
    pub(crate) fn for_each_metadata(&self, mut visit: impl FnMut(&str, &str)) {
        for (name, value) in self.metadata.iter() {
            if self.parsed.get(name).is_none() {
                visit(name, value);
            }
        }
    }

    /// Visits what stages have set, and the error.
    pub(crate) fn for_each_parsed(&self, mut visit: impl FnMut(&str, &str)) {
        for (name, value) in self.parsed.iter() {
            visit(name, value);
        }
        if !self.error.is_empty() {
            visit(ERROR_LABEL, self.error);
        }
        if !self.error_details.is_empty() {
            visit(ERROR_DETAILS_LABEL, &self.error_details);
        }
    }

    /// All labels, errors included, sorted by name.
    pub(crate) fn merged<'a>(&'a self, out: &mut Vec<(&'a str, &'a str)>) {
        out.clear();
        let stream = self.stream.iter();
        out.extend(stream.filter(|(name, _)| !self.is_hidden(name) && self.parsed.get(name).is_none()));
        out.extend(self.metadata.iter().filter(|(name, _)| self.parsed.get(name).is_none()));
        out.extend(self.parsed.iter());
        if !self.error.is_empty() {
            out.push((ERROR_LABEL, self.error));
        }
        if !self.error_details.is_empty() {
            out.push((ERROR_DETAILS_LABEL, &self.error_details));
        }
        out.sort_unstable_by(|a, b| a.0.cmp(b.0));
    }

    fn is_hidden(&self, name: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == name)
    }
}

/// Pairs whose strings are kept for reuse beyond `len`.
#[derive(Debug, Default)]
struct Pairs {
    pairs: Vec<(String, String)>,
    len: usize,
}

impl Pairs {
    fn clear(&mut self) {
        self.len = 0;
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs[..self.len].iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn push(&mut self, name: &str, value: &str) {
        match self.pairs.get_mut(self.len) {
            Some(pair) => {
                name.clone_into(&mut pair.0);
                value.clone_into(&mut pair.1);
            }
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self.len += 1;
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.pairs[..self.len].iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.push(name, value),
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(idx) = self.pairs[..self.len].iter().position(|pair| pair.0 == name) {
            self.pairs[idx..self.len].rotate_left(1);
            self.len -= 1;
        }
    }

    fn retain(&mut self, keep: &mut impl FnMut(&str, &str) -> bool) {
        let mut kept = 0;
        for idx in 0..self.len {
            if keep(&self.pairs[idx].0, &self.pairs[idx].1) {
                self.pairs.swap(kept, idx);
                kept += 1;
            }
        }
        self.len = kept;
    }
}
