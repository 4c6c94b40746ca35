//! A page of metrics being built: families with their samples, rendered as Prometheus text or OpenMetrics.
//!
//! Samples are written as text at once, one buffer per family: collecting allocates per family, not per sample.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use telemetry::Format;

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Neither is known.
    Untyped,
}

/// Labels that were rendered before: `id="/",name=""`, without braces. Cheap to use for many samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelBlock(String);

impl LabelBlock {
    /// Renders `pairs`; values are escaped, names are taken as they are.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            write_label(&mut text, name, value);
        }
        Self(text)
    }
}

/// Families and their samples.
#[derive(Debug, Default)]
pub(crate) struct Page {
    families: Vec<Family>,
    index: HashMap<Cow<'static, str>, usize>,
}

#[derive(Debug)]
struct Family {
    name: Cow<'static, str>,
    help: Cow<'static, str>,
    kind: Kind,
    samples: Vec<Sample>,
    text: String,
}

/// A sample's text ends at `end` of its family's buffer, without timestamp and newline.
#[derive(Debug)]
struct Sample {
    end: u32,
    timestamp_ms: Option<i64>,
}

impl Page {
    /// An empty page.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether the page has a family of this name.
    pub(crate) fn kind_of(&self, name: &str) -> Option<Kind> {
        self.index.get(name).map(|idx| self.families[*idx].kind)
    }

    /// The help text of a family of this name.
    pub(crate) fn help_of(&self, name: &str) -> Option<&str> {
        self.index.get(name).map(|idx| self.families[*idx].help.as_ref())
    }

    /// The family of that name, made on first use; samples are added to what is returned.
    pub(crate) fn family(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        help: impl Into<Cow<'static, str>>,
    ) -> FamilyWriter<'_> {
        let name = name.into();
        let idx = match self.index.get(&name) {
            Some(idx) => *idx,
            None => {
                let idx = self.families.len();
                self.index.insert(name.clone(), idx);
                self.families.push(Family {
                    name,
                    help: help.into(),
                    kind,
                    samples: Vec::new(),
                    text: String::new(),
                });
                idx
            }
        };
        FamilyWriter { family: &mut self.families[idx] }
    }

    /// One gauge without labels.
    pub(crate) fn gauge(&mut self, name: impl Into<Cow<'static, str>>, help: &'static str, value: f64) {
        self.family(name, Kind::Gauge, help).add(&[], value);
    }

    /// One counter without labels.
    pub(crate) fn counter(&mut self, name: impl Into<Cow<'static, str>>, help: &'static str, value: f64) {
        self.family(name, Kind::Counter, help).add(&[], value);
    }

    /// The whole page, families in order of name, then `more`, which is such a page already.
    pub(crate) fn render(&self, format: Format, more: &str) -> String {
        let mut order: Vec<&Family> = self.families.iter().collect();
        order.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes: usize = order.iter().map(|f| f.text.len() + f.name.len() * 2 + f.help.len() + 32).sum();
        let mut out = String::with_capacity(bytes + more.len());
        for family in order {
            family.render(format, &mut out);
        }
        match format {
            Format::OpenMetrics if !more.ends_with("# EOF\n") => {
                out.push_str(more);
                out.push_str("# EOF\n");
            }
            Format::OpenMetrics | Format::Prometheus => out.push_str(more),
        }
        out
    }
}

impl Family {
    fn render(&self, format: Format, out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        // OpenMetrics wants a counter's samples to end in `_total`; what does not is of unknown kind there.
        let (name, kind) = match (format, self.kind, self.name.strip_suffix("_total")) {
            (Format::Prometheus, Kind::Counter, _) => (self.name.as_ref(), "counter"),
            (Format::OpenMetrics, Kind::Counter, Some(base)) => (base, "counter"),
            (Format::Prometheus, Kind::Untyped, _) => (self.name.as_ref(), "untyped"),
            (Format::OpenMetrics, Kind::Untyped | Kind::Counter, _) => (self.name.as_ref(), "unknown"),
            (_, Kind::Gauge, _) => (self.name.as_ref(), "gauge"),
        };
        let help = escape_help(&self.help, format);
        write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
        let mut start = 0;
        for sample in &self.samples {
            let end = sample.end as usize;
            out.push_str(&self.text[start..end]);
            match (sample.timestamp_ms, format) {
                (Some(ms), Format::Prometheus) => write!(out, " {ms}").ok(),
                (Some(ms), Format::OpenMetrics) => {
                    write!(out, " {}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000)).ok()
                }
                (None, _) => None,
            };
            out.push('\n');
            start = end;
        }
    }
}

/// Adds samples to a family.
#[derive(Debug)]
pub(crate) struct FamilyWriter<'a> {
    family: &'a mut Family,
}

impl FamilyWriter<'_> {
    /// A sample with these labels.
    pub(crate) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.add_to_block(&LabelBlock(String::new()), labels, value, None);
    }

    /// A sample with a rendered block of labels and some more after it, and an explicit time where one is given.
    pub(crate) fn add_to_block(
        &mut self,
        block: &LabelBlock,
        labels: &[(&str, &str)],
        value: f64,
        timestamp_ms: Option<i64>,
    ) {
        let text = &mut self.family.text;
        text.push_str(&self.family.name);
        if !block.0.is_empty() || !labels.is_empty() {
            text.push('{');
            text.push_str(&block.0);
            let start = text.len();
            let mut separate = !block.0.is_empty();
            for (name, value) in labels {
                if separate {
                    text.push(',');
                }
                separate = true;
                write!(text, "{name}=\"").ok();
                escape_into(text, value);
                text.push('"');
            }
            debug_assert!(text.len() >= start);
            text.push('}');
        }
        text.push(' ');
        write_value(text, value);
        self.family.samples.push(Sample { end: text.len() as u32, timestamp_ms });
    }
}

fn write_label(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    escape_into(text, value);
    text.push('"');
}

fn escape_into(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

fn escape_help(help: &str, format: Format) -> Cow<'_, str> {
    if !help.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(help);
    }
    let escaped = help.replace('\\', "\\\\").replace('\n', "\\n");
    Cow::Owned(if format == Format::OpenMetrics { escaped.replace('"', "\\\"") } else { escaped })
}

/// Whole numbers without exponent or point, others in their shortest form.
fn write_value(out: &mut String, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        write!(out, "{}", value as i64).ok();
    } else {
        out.push_str(&model::format_float(value));
    }
}

/// A name of which every character outside `[A-Za-z0-9_]` is an underscore, as label and metric names need it.
pub(crate) fn sanitize_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_page() -> Page {
        let mut page = Page::new();
        page.counter("b_total", "Counts.", 3.0);
        let block = LabelBlock::new([("id", "/a\"b"), ("name", "x\\y\nz")]);
        page.family("a", Kind::Gauge, "line\nbreak").add_to_block(&block, &[("k", "v")], 0.25, Some(1_500));
        page.family("a", Kind::Gauge, "").add(&[], f64::INFINITY);
        page.family("c", Kind::Untyped, "u").add(&[("k", "v")], 1e21);
        page
    }

    #[test]
    fn text_is_sorted_escaped_and_typed() {
        let expected = "# HELP a line\\nbreak\n# TYPE a gauge\na{id=\"/a\\\"b\",name=\"x\\\\y\\nz\",k=\"v\"} 0.25 1500\n\
             a +Inf\n# HELP b_total Counts.\n# TYPE b_total counter\nb_total 3\n# HELP c u\n# TYPE c untyped\nc{k=\"v\"} 1e+21\n";
        assert_eq!(sample_page().render(Format::Prometheus, ""), expected);
    }

    #[test]
    fn openmetrics_differs_in_names_kinds_times_and_end() {
        let text = sample_page().render(Format::OpenMetrics, "");
        assert!(text.contains("# TYPE b counter\nb_total 3\n"), "{text}");
        assert!(text.contains("k=\"v\"} 0.25 1.500\n") && text.contains("# TYPE c unknown\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
