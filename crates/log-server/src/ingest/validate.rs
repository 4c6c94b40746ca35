//! What a stream's labels may be, and what is added to streams and lines.

use std::borrow::Cow;

use log_storage_api::BatchEntry;
use model::{Labels, LabelsBuilder, is_legacy_label_name};

use super::level;
use crate::config::Limits;

/// The label that names a stream's service.
const SERVICE_NAME_LABEL: &str = "service_name";
/// What it says where nothing tells.
const UNKNOWN_SERVICE: &str = "unknown_service";
/// The metadata that holds a line's level.
const LEVEL_NAME: &str = "detected_level";

/// Why a stream is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidLabels {
    /// The reason as metrics name it.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Checks a stream's labels and adds `service_name`.
pub(super) fn labels(pairs: &[(String, String)], limits: &Limits) -> Result<Labels, InvalidLabels> {
    let fail = |reason: &'static str, message: String| Err(InvalidLabels { reason, message });
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs {
        if builder.get(name).is_some() {
            return fail("duplicate_label_names", format!("stream has duplicate label name: '{name}'"));
        }
        builder.set(name, value);
    }
    let labels = builder.build();
    if labels.is_empty() {
        return fail("missing_labels", "error at least one label pair is required per stream".to_owned());
    }
    if labels.len() > limits.label_names_max {
        let (count, limit) = (labels.len(), limits.label_names_max);
        return fail(
            "max_label_names_per_series",
            format!("entry for stream '{labels}' has {count} label names; limit {limit}"),
        );
    }
    for (name, value) in labels.iter() {
        if !is_legacy_label_name(name) {
            return fail("invalid_labels", format!("stream '{labels}' has an invalid label name: '{name}'"));
        }
        if name.len() > limits.label_name_bytes_max {
            return fail(
                "label_name_too_long",
                format!("stream '{labels}' has label name too long: '{name}'"),
            );
        }
        if value.len() > limits.label_value_bytes_max {
            return fail(
                "label_value_too_long",
                format!("stream '{labels}' has label value too long: '{value}'"),
            );
        }
    }
    if labels.get(SERVICE_NAME_LABEL).is_some() || limits.service_name_labels.is_empty() {
        return Ok(labels);
    }
    let found = limits.service_name_labels.iter().find_map(|name| labels.get(name));
    builder.set(SERVICE_NAME_LABEL, found.unwrap_or(UNKNOWN_SERVICE));
    Ok(builder.build())
}

/// Cuts lines that are too long where that is wanted, sorts metadata and adds the level: the stream's, or what the line tells.
pub(super) fn enrich(of_stream: Option<&'static str>, entries: &mut [BatchEntry<'_>], limits: &Limits) {
    for entry in entries {
        if let (true, Some(max)) = (limits.truncates_lines, limits.line_bytes_max)
            && entry.line.len() as u64 > max
        {
            let end = (0..=max as usize).rev().find(|at| entry.line.is_char_boundary(*at)).unwrap_or(0);
            match &mut entry.line {
                Cow::Borrowed(line) => *line = &line[..end],
                Cow::Owned(line) => line.truncate(end),
            }
        }
        let has_level = entry.structured_metadata.iter().any(|(name, _)| name == LEVEL_NAME);
        if limits.discovers_levels && !has_level {
            let level = of_stream.unwrap_or_else(|| level::of_entry(entry));
            entry.structured_metadata.push((LEVEL_NAME.to_owned(), level.to_owned()));
        }
        entry.structured_metadata.sort();
        entry.structured_metadata.dedup_by(|later, earlier| later.0 == earlier.0);
    }
}
