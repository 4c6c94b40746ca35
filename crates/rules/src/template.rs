//! Templated labels and annotations.

use std::sync::{Arc, LazyLock};

use go_template::{Functions, Limits, Map, Template, TemplateError, Value};
use model::{Labels, TimestampMs};

use crate::{Engine, functions};

/// What every template starts with, so that `$labels` and the others are there.
const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
    {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// What templates of all rules of a server see besides the alert.
#[derive(Clone, Debug, Default)]
pub struct TemplateContext {
    /// The server's external labels.
    pub external_labels: Labels,
    /// The server's external URL.
    pub external_url: String,
}

/// The names that templates may call; what they do is bound at rendering.
static NAMES: LazyLock<Functions> = LazyLock::new(functions::names);

/// Checks that a text is a template that a rule may hold.
pub fn check_template(alert_name: &str, text: &str) -> Result<(), TemplateError> {
    Text::parse(alert_name, text).map(drop)
}

/// A label's or annotation's text.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Plain(String),
    Template(Arc<Template>),
}

impl Text {
    pub(crate) fn parse(alert_name: &str, text: &str) -> Result<Self, TemplateError> {
        if !text.contains("{{") {
            return Ok(Self::Plain(text.to_owned()));
        }
        let name = format!("__alert_{alert_name}");
        let template = Template::parse(&name, &format!("{VARIABLES}{text}"), &NAMES)?;
        Ok(Self::Template(Arc::new(template)))
    }

    /// The text; an error of a template stands in its place, as a page must not be lost to a template.
    pub(crate) fn render(&self, rendering: &Rendering) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Template(template) => template
                .render(&rendering.data, &rendering.functions, &Limits::default())
                .unwrap_or_else(|error| format!("<error expanding template: {error}>")),
        }
    }
}

/// The data and functions for the templates of one result.
pub(crate) struct Rendering {
    data: Value,
    functions: Arc<Functions>,
}

impl Rendering {
    pub(crate) fn new(
        labels: &Labels,
        value: f64,
        context: &TemplateContext,
        functions: &Arc<Functions>,
    ) -> Self {
        let data = Map::of_values([
            ("Labels", Value::from(Map::of_strings(labels.iter()))),
            ("ExternalLabels", Value::from(Map::of_strings(context.external_labels.iter()))),
            ("ExternalURL", Value::from(context.external_url.as_str())),
            ("Value", Value::Float(value)),
        ]);
        Self { data: data.into(), functions: Arc::clone(functions) }
    }
}

/// The functions bound to a query engine and a time.
pub(crate) fn bind(engine: &Arc<dyn Engine>, at: TimestampMs, context: &TemplateContext) -> Arc<Functions> {
    Arc::new(functions::bound(Arc::clone(engine), at, &context.external_url))
}
