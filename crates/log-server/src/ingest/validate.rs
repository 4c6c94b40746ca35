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

/// Why a stream or an entry is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// The reason as metrics name it.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Checks a stream's labels and adds `service_name`.
pub(super) fn labels(pairs: &[(String, String)], limits: &Limits) -> Result<Labels, Invalid> {
    let fail = |reason: &'static str, message: String| Err(Invalid { reason, message });
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
    let missing: Vec<&str> = limits
        .enforced_labels
        .iter()
        .map(String::as_str)
        .filter(|name| labels.get(name).is_none_or(str::is_empty))
        .collect();
    if !missing.is_empty() {
        let names = missing.join(",");
        return fail(
            "missing_enforced_labels",
            format!("missing required labels {names} for stream {labels}"),
        );
    }
    if labels.get(SERVICE_NAME_LABEL).is_some() || limits.service_name_labels.is_empty() {
        return Ok(labels);
    }
    let found = limits.service_name_labels.iter().find_map(|name| labels.get(name));
    builder.set(SERVICE_NAME_LABEL, found.unwrap_or(UNKNOWN_SERVICE));
    Ok(builder.build())
}

/// Checks the structured metadata that an entry was sent with.
pub(super) fn metadata(labels: &Labels, entry: &BatchEntry<'_>, limits: &Limits) -> Result<(), Invalid> {
    let pairs = &entry.structured_metadata;
    if pairs.is_empty() {
        return Ok(());
    }
    let fail = |reason: &'static str, message: String| Err(Invalid { reason, message });
    if !limits.allows_metadata {
        return fail(
            "disallowed_structured_metadata",
            format!(
                "stream '{labels}' includes structured metadata, but this feature is disallowed. Please see \
                 `limits_config.allow_structured_metadata` to enable it"
            ),
        );
    }
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if let Some(limit) = limits.metadata_bytes_max.filter(|limit| bytes as u64 > *limit) {
        return fail(
            "structured_metadata_too_large",
            format!(
                "stream '{labels}' has structured metadata too large: '{bytes}' bytes, limit: '{limit}' bytes. Please see \
                 `limits_config.max_structured_metadata_size` to increase it"
            ),
        );
    }
    let count = pairs.len();
    if let Some(limit) = limits.metadata_count_max.filter(|limit| count > *limit) {
        return fail(
            "structured_metadata_too_many",
            format!(
                "stream '{labels}' has too many structured metadata labels: '{count}', limit: '{limit}'. Please see \
                 `limits_config.max_structured_metadata_entries_count` to increase it"
            ),
        );
    }
    Ok(())
}

/// Cuts lines that are too long where that is wanted, moves times on, sorts metadata and adds the level: the stream's, or what
/// the line tells.
pub(super) fn enrich(of_stream: Option<&'static str>, entries: &mut [BatchEntry<'_>], limits: &Limits) {
    for entry in entries.iter_mut() {
        if let (true, Some(max)) = (limits.truncates_lines, limits.line_bytes_max)
            && entry.line.len() as u64 > max
        {
            cut(&mut entry.line, max as usize, &limits.truncation_mark);
        }
        let has_level = entry.structured_metadata.iter().any(|(name, _)| name == LEVEL_NAME);
        if limits.discovers_levels && limits.allows_metadata && !has_level {
            let level = of_stream.unwrap_or_else(|| level::of_entry(entry, &limits.level_fields));
            entry.structured_metadata.push((LEVEL_NAME.to_owned(), level.to_owned()));
        }
        entry.structured_metadata.sort();
        entry.structured_metadata.dedup_by(|later, earlier| later.0 == earlier.0);
    }
    if limits.increments_duplicates {
        spread_times(entries);
    }
}

/// Cuts a line to `max` bytes, the mark at its end included.
fn cut(line: &mut Cow<'_, str>, max: usize, mark: &str) {
    let kept = max.saturating_sub(mark.len());
    let end = (0..=kept).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    match line {
        Cow::Borrowed(text) if mark.is_empty() => *text = &text[..end],
        Cow::Borrowed(text) => *line = Cow::Owned([&text[..end], mark].concat()),
        Cow::Owned(text) => {
            text.truncate(end);
            text.push_str(mark);
        }
    }
}

/// Gives each entry that has the time of those before it, and another line, a time of its own.
fn spread_times(entries: &mut [BatchEntry<'_>]) {
    let Some(mut sent) = entries.first().map(|entry| entry.timestamp) else { return };
    for idx in 1..entries.len() {
        let (before, after) = entries.split_at_mut(idx);
        let (last, entry) = (&before[idx - 1], &mut after[0]);
        if entry.timestamp == sent && entry.line != last.line {
            entry.timestamp = entry.timestamp.max(last.timestamp.saturating_add(1));
        } else {
            sent = entry.timestamp;
        }
    }
}
