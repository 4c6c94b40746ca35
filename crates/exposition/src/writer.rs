//! Writing the text formats.

use model::{MetricType, TimestampMs};

use crate::Format;
use crate::float::{format_g, format_open_metrics};

/// Writes a body in text 0.0.4 or OpenMetrics 1.0. Families are to be written one after another, each whole.
#[derive(Debug)]
pub struct Writer {
    out: String,
    open_metrics: bool,
}

impl Writer {
    /// A writer of OpenMetrics where `format` is one of its versions, else of text 0.0.4.
    pub fn new(format: Format) -> Self {
        Self { out: String::new(), open_metrics: format.is_open_metrics() }
    }

    /// Begins a family. `name` is the samples' name: OpenMetrics' family name, without `_total`, is made here.
    pub fn family(&mut self, name: &str, kind: MetricType, help: &str, unit: &str) {
        let total = if self.open_metrics && kind == MetricType::Counter { "_total" } else { "" };
        let family = name.strip_suffix(total).unwrap_or(name);
        if !help.is_empty() {
            self.out.push_str("# HELP ");
            self.name(family);
            self.out.push(' ');
            escape(&mut self.out, help, self.open_metrics);
            self.out.push('\n');
        }
        self.out.push_str("# TYPE ");
        self.name(family);
        self.out.push(' ');
        self.out.push_str(if self.open_metrics { kind.as_str() } else { text_type(kind) });
        self.out.push('\n');
        if self.open_metrics && !unit.is_empty() && family.ends_with(unit) {
            self.out.push_str("# UNIT ");
            self.name(family);
            self.out.push(' ');
            self.out.push_str(unit);
            self.out.push('\n');
        }
    }

    /// Writes a sample. Labels come in order of name and without the metric's name.
    pub fn sample<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
        timestamp: Option<TimestampMs>,
    ) {
        let bare = is_bare(name, true);
        let mut separator = "{";
        if bare {
            self.out.push_str(name);
        } else {
            self.out.push('{');
            self.quoted(name);
            separator = ",";
        }
        for (label, text) in labels {
            self.out.push_str(separator);
            if is_bare(label, false) {
                self.out.push_str(label);
            } else {
                self.quoted(label);
            }
            self.out.push('=');
            self.quoted(text);
            separator = ",";
        }
        if separator == "," {
            self.out.push('}');
        }
        self.out.push(' ');
        if self.open_metrics {
            format_open_metrics(&mut self.out, value);
        } else {
            format_g(&mut self.out, value);
        }
        if let Some(timestamp) = timestamp {
            self.timestamp(timestamp);
        }
        self.out.push('\n');
    }

    /// Ends the body.
    pub fn finish(mut self) -> String {
        if self.open_metrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn timestamp(&mut self, timestamp: TimestampMs) {
        self.out.push(' ');
        if !self.open_metrics {
            return self.out.push_str(&timestamp.to_string());
        }
        let (seconds, ms) = (timestamp.div_euclid(1000), timestamp.rem_euclid(1000));
        self.out.push_str(&seconds.to_string());
        if ms != 0 {
            self.out.push_str(format!(".{ms:03}").trim_end_matches('0'));
        }
    }

    fn name(&mut self, name: &str) {
        if is_bare(name, true) {
            self.out.push_str(name);
        } else {
            self.quoted(name);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        escape(&mut self.out, text, true);
        self.out.push('"');
    }
}

fn is_bare(name: &str, metric: bool) -> bool {
    crate::series::bare_name(name.as_bytes(), metric).is_some()
}

/// Text 0.0.4 knows five types.
fn text_type(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::Summary => "summary",
        MetricType::GaugeHistogram | MetricType::Unknown => "untyped",
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
}
