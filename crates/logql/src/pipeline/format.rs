//! `| line_format` and `| label_format`: templates over a line's labels.

use go_template::{Functions, Limits, Map, Template, Value};
use logql_syntax::{LabelFormat, LabelFormatValue};
use model::TimestampNs;

use super::functions::{CurrentLine, functions};
use crate::LogqlError;
use crate::line_labels::{LineLabels, error_kind};

/// What rendering one line may cost.
const LIMITS: Limits = Limits { steps: 10_000, depth: 50, output_bytes: 1 << 20 };

/// A template with the functions that it may call.
#[derive(Debug)]
struct LineTemplate {
    template: Template,
    functions: Functions,
    current: CurrentLine,
    /// Whether the template looks at the line or its time beyond the labels.
    reads_line: bool,
}

impl LineTemplate {
    fn new(name: &str, text: &str, now: TimestampNs) -> Result<Self, LogqlError> {
        let current = CurrentLine::default();
        let functions = functions(&current, now);
        let template = Template::parse(name, text, &functions)
            .map_err(|error| LogqlError::Invalid(format!("invalid {name} template: {error}")))?;
        let reads_line = text.contains("__line__") || text.contains("__timestamp__");
        Ok(Self { template, functions, current, reads_line })
    }

    fn render(&self, timestamp: TimestampNs, line: &str, data: &Value) -> Result<String, String> {
        if self.reads_line {
            self.current.set(timestamp, line);
        }
        self.template.render(data, &self.functions, &LIMITS).map_err(|error| error.to_string())
    }
}

fn template_data(labels: &LineLabels) -> Value {
    let mut merged = Vec::new();
    labels.merged(&mut merged);
    Value::from(Map::of_strings(merged))
}

/// `| line_format`, compiled.
#[derive(Debug)]
pub(super) struct LineFormatStage(LineTemplate);

impl LineFormatStage {
    pub(super) fn new(text: &str, now: TimestampNs) -> Result<Self, LogqlError> {
        LineTemplate::new("line", text, now).map(Self)
    }

    /// The new line; `None` where the template failed and the line stays as it is.
    pub(super) fn run(&self, timestamp: TimestampNs, line: &str, labels: &mut LineLabels) -> Option<String> {
        match self.0.render(timestamp, line, &template_data(labels)) {
            Ok(text) => Some(text),
            Err(reason) => {
                labels.set_error(error_kind::TEMPLATE, &reason);
                None
            }
        }
    }
}

/// `| label_format`, compiled.
#[derive(Debug)]
pub(super) struct LabelFormatStage {
    formats: Vec<(String, Source)>,
}

#[derive(Debug)]
enum Source {
    Label(String),
    Template(Box<LineTemplate>),
}

impl LabelFormatStage {
    pub(super) fn new(formats: &[LabelFormat], now: TimestampNs) -> Result<Self, LogqlError> {
        let formats = formats
            .iter()
            .map(|format| {
                let source = match &format.value {
                    LabelFormatValue::Rename(label) => Source::Label(label.clone()),
                    LabelFormatValue::Template(text) => {
                        Source::Template(Box::new(LineTemplate::new(&format.target, text, now)?))
                    }
                };
                Ok((format.target.clone(), source))
            })
            .collect::<Result<_, LogqlError>>()?;
        Ok(Self { formats })
    }

    pub(super) fn reads_line(&self) -> bool {
        self.formats
            .iter()
            .any(|(_, source)| matches!(source, Source::Template(template) if template.reads_line))
    }

    pub(super) fn run(&self, timestamp: TimestampNs, line: &str, labels: &mut LineLabels) {
        // All templates of the stage see the labels as the first one does.
        let mut data = None;
        for (target, source) in &self.formats {
            match source {
                Source::Label(label) => rename(labels, label, target),
                Source::Template(template) => {
                    let data = data.get_or_insert_with(|| template_data(labels));
                    match template.render(timestamp, line, data) {
                        Ok(value) => labels.set(target, &value),
                        Err(reason) => labels.set_error(error_kind::TEMPLATE, &reason),
                    }
                }
            }
        }
    }
}

fn rename(labels: &mut LineLabels, from: &str, to: &str) {
    let Some(value) = labels.get(from).map(str::to_owned) else { return };
    labels.set(to, &value);
    if to != from {
        labels.remove(from);
    }
}
