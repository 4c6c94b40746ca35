//! Meta labels out of JSON answers.

use model::{Labels, LabelsBuilder};
use serde_json::Value;

use crate::target_group::ADDRESS_LABEL;

/// A label name's bytes: whatever may not stand in one becomes `_`.
pub(crate) fn sanitized(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// `host:port`, with an IPv6 address in brackets.
pub(crate) fn host_port(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A text within an answer; empty where it is not there.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A text, number or truth value as text.
pub(crate) fn plain(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(is)) => is.to_string(),
        _ => String::new(),
    }
}

/// A list's items; none where it is not there.
pub(crate) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A map of texts.
pub(crate) fn pairs<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v str, &'v str)> {
    let map = value.pointer(pointer).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// Labels with a prefix in common.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    prefix: &'static str,
    labels: LabelsBuilder,
}

impl Meta {
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self { prefix, labels: LabelsBuilder::new() }
    }

    /// Sets a label; an empty value is none.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.labels.set(&format!("{}{name}", self.prefix), value);
        self
    }

    /// Sets a label for each pair, named after its key.
    pub(crate) fn set_all<'v>(
        &mut self,
        name: &str,
        pairs: impl Iterator<Item = (&'v str, &'v str)>,
    ) -> &mut Self {
        for (key, value) in pairs {
            self.set(&format!("{name}{}", sanitized(key)), value);
        }
        self
    }

    /// Takes over all labels of another set.
    pub(crate) fn merge(&mut self, labels: &Labels) -> &mut Self {
        for (name, value) in labels.iter() {
            self.labels.set(name, value);
        }
        self
    }

    pub(crate) fn address(&mut self, address: &str) -> &mut Self {
        self.labels.set(ADDRESS_LABEL, address);
        self
    }

    /// Sets a label without the prefix.
    pub(crate) fn set_plain(&mut self, name: &str, value: &str) -> &mut Self {
        self.labels.set(name, value);
        self
    }

    pub(crate) fn build(&self) -> Labels {
        self.labels.build()
    }
}
