//! A line's level: from a label, from metadata, from a field of the line, else from the first word that names one.

use log_storage_api::BatchEntry;
use model::Labels;

/// How far into a line a level is looked for, in bytes.
const LOOK_BYTES: usize = 4096;
/// What a line without a level has.
const UNKNOWN: &str = "unknown";

/// The level that a stream's labels tell.
pub(super) fn of_labels(labels: &Labels, fields: &[String]) -> Option<&'static str> {
    labels
        .iter()
        .filter(|(name, _)| is_level_field(name, fields))
        .find_map(|(_, value)| level_of_value(value))
}

/// The level of an entry: never nothing.
pub(super) fn of_entry(entry: &BatchEntry<'_>, fields: &[String]) -> &'static str {
    let metadata = entry.structured_metadata.iter();
    let mut of_metadata = metadata.filter(|(name, _)| is_level_field(name, fields));
    if let Some(level) = of_metadata.find_map(|(_, value)| level_of_value(value)) {
        return level;
    }
    let end = (0..=LOOK_BYTES.min(entry.line.len())).rev().find(|at| entry.line.is_char_boundary(*at));
    let line = &entry.line[..end.unwrap_or(0)];
    field_of_line(line, fields).or_else(|| word_of_line(line)).unwrap_or(UNKNOWN)
}

fn is_level_field(name: &str, fields: &[String]) -> bool {
    fields.iter().any(|field| field.eq_ignore_ascii_case(name))
}

fn level_of_value(value: &str) -> Option<&'static str> {
    let lower = value.trim().to_ascii_lowercase();
    Some(match lower.as_str() {
        "" => return None,
        "trace" | "trc" => "trace",
        "debug" | "dbg" => "debug",
        "info" | "inf" | "information" | "informational" | "notice" => "info",
        "warn" | "wrn" | "warning" => "warn",
        "error" | "err" => "error",
        "critical" | "crit" => "critical",
        "fatal" | "emergency" | "emerg" | "alert" | "panic" => "fatal",
        _ => UNKNOWN,
    })
}

/// The value of a level field, in JSON (`"level":"x"`) or logfmt (`level=x`).
fn field_of_line(line: &str, fields: &[String]) -> Option<&'static str> {
    let is_json = line.trim_start().starts_with('{');
    let (mark, separator) = if is_json { ('"', ':') } else { (' ', '=') };
    for (at, _) in line.match_indices(separator) {
        let before = if is_json { line[..at].trim_end().strip_suffix('"') } else { Some(&line[..at]) };
        let Some(before) = before else { continue };
        let name = before.rsplit(mark).next().unwrap_or("");
        if !is_level_field(name, fields) {
            continue;
        }
        let value = line[at + separator.len_utf8()..].trim_start().trim_start_matches('"');
        let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
        return level_of_value(&value[..end]);
    }
    None
}

/// The first word that is the name of a level.
fn word_of_line(line: &str) -> Option<&'static str> {
    line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| (3..=8).contains(&word.len())).find_map(
        |word| match level_of_value(word) {
            Some(UNKNOWN) | None => None,
            // Words of ordinary sentences, unlike the others.
            Some(_) if matches!(word, "alert" | "notice" | "information" | "inf" | "emergency") => None,
            level => level,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_wherever_they_stand() {
        let fields = crate::config::Limits::default().level_fields;
        for (line, level) in [
            (r#"{"msg":"x","level":"warn"}"#, "warn"),
            (r#"{"msg":"level: none","Severity" : "ERROR"}"#, "error"),
            ("ts=1 level=debug msg=\"an error\"", "debug"),
            ("lvl=\"FATAL\" x", "fatal"),
            ("2024-01-01 INFO starting", "info"),
            ("[error] cannot open", "error"),
            ("Err: bad", "error"),
            ("terror and informal", "unknown"),
            ("", "unknown"),
            ("level=purple", "unknown"),
        ] {
            let entry = BatchEntry { line: line.into(), ..BatchEntry::default() };
            assert_eq!(of_entry(&entry, &fields), level, "{line}");
        }
        assert_eq!(of_labels(&Labels::from_pairs([("Level", "WARNING")]), &fields), Some("warn"));
        assert_eq!(of_labels(&Labels::from_pairs([("app", "error")]), &fields), None);
        let entry = BatchEntry { line: "rank=warn level=info".into(), ..BatchEntry::default() };
        assert_eq!(of_entry(&entry, &["rank".to_owned()]), "warn");
    }
}
