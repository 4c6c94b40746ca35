//! Metrics that other programs leave in `*.prom` files.
//!
//! A file is taken whole or not at all: one that cannot be read as the text format, carries timestamps, or contradicts the
//! kind or help of a family that is there already sets `node_textfile_scrape_error`.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::{CollectError, HostContext};
use crate::files::{names_in, read_text};
use crate::glob::Glob;
use crate::page::{Kind, Page};

/// How many files are read.
const FILES_MAX: usize = 1000;

/// A parsed file: families with their samples.
#[derive(Debug, Default, PartialEq)]
struct TextFamilies(Vec<TextFamily>);

#[derive(Debug, PartialEq)]
struct TextFamily {
    name: String,
    kind: Kind,
    help: Option<String>,
    samples: Vec<TextSample>,
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let mut failed = false;
    for path in files(&ctx.options.textfile_directories) {
        let outcome = read_text(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| parse(&text))
            .and_then(|families| check(&families, page).map(|()| families));
        match outcome {
            Ok(families) => render(families, page),
            Err(reason) => {
                failed = true;
                tracing::debug!(path = %path.display(), error = %reason, "textfile refused");
            }
        }
        let modified = std::fs::metadata(&path).ok().and_then(|meta| meta.modified().ok());
        if let Some(since) = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
            page.family(
                "node_textfile_mtime_seconds",
                Kind::Gauge,
                "When a textfile was written, as Unix time.",
            )
            .add(&[("file", &path.display().to_string())], since.as_secs_f64());
        }
    }
    page.gauge("node_textfile_scrape_error", "Whether a textfile could not be taken.", f64::from(failed));
    Ok(())
}

fn files(directories: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories {
        for dir in Glob::new(directory).expand() {
            let names = names_in(&dir).unwrap_or_default();
            found.extend(names.iter().filter(|name| name.ends_with(".prom")).map(|name| dir.join(name)));
        }
    }
    found.truncate(FILES_MAX);
    found
}

fn check(families: &TextFamilies, page: &Page) -> Result<(), String> {
    for family in &families.0 {
        let same_kind = page.kind_of(&family.name).is_none_or(|kind| kind == family.kind);
        let same_help = match (page.help_of(&family.name), &family.help) {
            (Some(known), Some(new)) => known == new,
            _ => true,
        };
        if !same_kind || !same_help {
            return Err(format!("{} has another HELP or TYPE elsewhere", family.name));
        }
    }
    Ok(())
}

fn render(families: TextFamilies, page: &mut Page) {
    for family in families.0 {
        let help = family.help.unwrap_or_else(|| "Metric read from a textfile.".to_owned());
        for (name, labels, value) in family.samples {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            page.family(name, family.kind, help.clone()).add(&labels, value);
        }
    }
}

/// Reads the text format. Histograms and summaries keep their samples under their own names, of unknown kind.
fn parse(text: &str) -> Result<TextFamilies, String> {
    let mut families = TextFamilies::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let fail = |what: &str| format!("line {}: {what}", number + 1);
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.trim_start().splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("HELP"), Some(name), help) => {
                    families.entry(name).help =
                        Some(help.unwrap_or("").replace("\\n", "\n").replace("\\\\", "\\"));
                }
                (Some("TYPE"), Some(name), Some(kind)) => {
                    families.entry(name).kind = match kind {
                        "counter" => Kind::Counter,
                        "gauge" => Kind::Gauge,
                        _ => Kind::Untyped,
                    };
                }
                _ => {}
            }
        } else if !line.is_empty() {
            let (name, labels, value) =
                parse_sample(line).ok_or_else(|| fail("not a sample, or one with a time"))?;
            families.entry(&name).samples.push((name.clone(), labels, value));
        }
    }
    Ok(families)
}

impl TextFamilies {
    fn entry(&mut self, name: &str) -> &mut TextFamily {
        let idx = match self.0.iter().position(|family| family.name == name) {
            Some(idx) => idx,
            None => {
                let name = name.to_owned();
                self.0.push(TextFamily { name, kind: Kind::Untyped, help: None, samples: Vec::new() });
                self.0.len() - 1
            }
        };
        &mut self.0[idx]
    }
}

type TextSample = (String, Vec<(String, String)>, f64);

fn parse_sample(line: &str) -> Option<TextSample> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => parse_labels(inner)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = model::parse_float(words.next()?)?;
    words.next().is_none().then(|| (name.to_owned(), labels, value))
}

/// The labels behind `{` and what follows `}`.
fn parse_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        if !model::is_legacy_label_name(name.trim()) {
            return None;
        }
        let after = after.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (idx, '"') => break idx,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim().to_owned(), value));
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        let good = "# HELP a Says a.\n# TYPE a gauge\na{x=\"1\\n\",y=\"q\\\"\"} 2.5\na 1\n\nb_total 3\n";
        let families = parse(good).unwrap();
        assert_eq!(families.0.len(), 2);
        assert_eq!(families.0[0].samples[0].1[0].1, "1\n");
        for bad in ["a 1 1700000000", "a{x=1} 2", "a", "{} 1", "1a 2", "a{x=\"1\" 2", "a{1x=\"1\"} 2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let mut page = Page::new();
        page.counter("a", "Says a.", 1.0);
        assert!(check(&families, &page).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_panics(text in "[a-z{}=\",\\\\ 0-9\n#é]{0,60}") {
            let _parsed = parse(&text);
        }
    }
}
