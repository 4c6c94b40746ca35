//! Texts of a message. A template that fails does not keep the message back: what can be said without it is said.

use std::sync::OnceLock;

use go_template::{TemplateError, Value};
use parking_lot::Mutex;

use crate::data::{AlertData, Data};
use crate::templates::Templates;

/// The most characters of a plain message.
const PLAIN_CHARS_MAX: usize = 4000;

/// Templates with a message's data.
pub(super) struct Render<'m> {
    templates: &'m Templates,
    data: &'m Data,
    /// The data as templates see it; made for the first text that has one.
    value: OnceLock<Value>,
    /// The first template's error.
    failure: Mutex<Option<String>>,
}

impl<'m> Render<'m> {
    pub(super) fn new(templates: &'m Templates, data: &'m Data) -> Self {
        Self { templates, data, value: OnceLock::new(), failure: Mutex::new(None) }
    }

    /// Why a template failed, if one did.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// A text that is read; where its template fails, a plain message.
    pub(super) fn text(&self, text: &str) -> String {
        self.or_else(self.exact(text), || plain(self.data))
    }

    /// One line; where its template fails, what a plain message begins with.
    pub(super) fn title(&self, text: &str) -> String {
        self.or_else(self.exact(text), || title(self.data))
    }

    /// HTML; where its template fails, a plain message in it.
    pub(super) fn html(&self, text: &str) -> String {
        self.or_else(self.templates.html(text, self.value()), || escaped(&plain(self.data)))
    }

    /// A text that the message can do without; empty where its template fails.
    pub(super) fn word(&self, text: &str) -> String {
        self.or_else(self.exact(text), String::new)
    }

    /// A text that must be right.
    pub(super) fn exact(&self, text: &str) -> Result<String, TemplateError> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        self.templates.text(text, self.value())
    }

    fn value(&self) -> &Value {
        self.value.get_or_init(|| self.data.to_value())
    }

    fn or_else(&self, rendered: Result<String, TemplateError>, other: impl FnOnce() -> String) -> String {
        rendered.unwrap_or_else(|error| {
            self.failure.lock().get_or_insert_with(|| error.to_string());
            other()
        })
    }
}

fn title(data: &Data) -> String {
    let firing = data.alerts.iter().filter(|alert| alert.status == "firing").count();
    let state = match firing {
        0 => "[RESOLVED]".to_owned(),
        firing => format!("[FIRING:{firing}]"),
    };
    let names: Vec<&str> = data.group_labels.values().map(String::as_str).collect();
    let what = match names.join(" ") {
        names if names.is_empty() => data.common_labels.get("alertname").cloned().unwrap_or_default(),
        names => names,
    };
    format!("{state} {what}").trim_end().to_owned()
}

/// Everything that can be said without a template.
pub(super) fn plain(data: &Data) -> String {
    let mut out = title(data);
    out.push('\n');
    for (shown, alert) in data.alerts.iter().enumerate() {
        let line = line(alert);
        if out.chars().count() + line.chars().count() > PLAIN_CHARS_MAX {
            out.push_str(&format!("and {} more alerts\n", data.alerts.len() - shown));
            break;
        }
        out.push_str(&line);
    }
    out.push_str(&format!("(The template of this message has failed. {})\n", data.external_url));
    out
}

fn line(alert: &AlertData) -> String {
    let pairs = |pairs: &crate::data::Pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(", ")
    };
    let mut line = format!("{}: {}", alert.status, pairs(&alert.labels));
    if !alert.annotations.is_empty() {
        line.push_str(&format!(" ({})", pairs(&alert.annotations)));
    }
    line.push('\n');
    line
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace('\n', "\n<br>")
}
