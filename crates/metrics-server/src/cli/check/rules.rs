//! `check rules`: what a server would refuse, and rules that stand twice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::rules::{RuleFile, RuleSpec};
use clap::Args;
use rule_files::{LoadedRules, RuleFileErrors};
use service::Failure;

use super::Verdict;
use crate::cli::console::{complain, print, read_input};
use crate::config::rule_file;

/// The longest rule file that is taken from the standard input.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// `check rules`
#[derive(Args, Clone, Debug)]
pub struct RulesFlags {
    /// The files; the standard input where none is given
    files: Vec<PathBuf>,
    /// Checks of style: all, duplicate-rules, none; separated by commas
    #[arg(long, value_name = "CHECKS", default_value = "duplicate-rules")]
    lint: String,
    /// End with 3 where a check of style fails
    #[arg(long = "lint-fatal")]
    lint_fatal: bool,
    /// Only warn of unknown keys
    #[arg(long = "ignore-unknown-fields")]
    ignore_unknown_fields: bool,
}

/// Which checks of style are made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lint {
    pub(super) duplicate_rules: bool,
    pub(super) long_intervals: bool,
    ignore_unknown_fields: bool,
}

impl Lint {
    pub(super) fn parse(text: &str, ignore_unknown_fields: bool) -> Result<Self, Failure> {
        let mut lint = Self { ignore_unknown_fields, ..Self::default() };
        let mut is_off = false;
        for option in text.split(',') {
            match option {
                "all" => (lint.duplicate_rules, lint.long_intervals) = (true, true),
                "duplicate-rules" => lint.duplicate_rules = true,
                "too-long-scrape-interval" => lint.long_intervals = true,
                "none" => is_off = true,
                "" => {}
                other => print(&format!("WARNING: unknown lint option: {other:?}\n"))?,
            }
        }
        Ok(if is_off { Self { ignore_unknown_fields, ..Self::default() } } else { lint })
    }
}

impl RulesFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        let lint = Lint::parse(&self.lint, self.ignore_unknown_fields)?;
        let verdict = if self.files.is_empty() {
            print("Checking standard input\n")?;
            let input = read_input(INPUT_BYTES_MAX)?;
            let text = String::from_utf8(input).map_err(|_| Failure::runtime("the input is not UTF-8"))?;
            told(rule_file::parse("standard input", &text, lint.ignore_unknown_fields), lint)?
        } else {
            check_files(&self.files, lint)?
        };
        verdict.outcome(self.lint_fatal)
    }
}

/// Checks rule files and says how each of them is.
pub(super) fn check_files(files: &[PathBuf], lint: Lint) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    for file in files {
        print(&format!("Checking {}\n", file.display()))?;
        verdict.join(told(rule_file::load(file, lint.ignore_unknown_fields), lint)?);
    }
    Ok(verdict)
}

fn told(loaded: Result<LoadedRules, RuleFileErrors>, lint: Lint) -> Result<Verdict, Failure> {
    let verdict = match loaded {
        Err(errors) => {
            complain(&format!("  FAILED:\n{errors}\n"));
            Verdict { failed: true, has_errors: true }
        }
        Ok(loaded) => {
            for warning in &loaded.warnings {
                print(&format!("  WARNING: {warning}\n"))?;
            }
            match duplicates(&loaded.file).filter(|_| lint.duplicate_rules) {
                Some(text) => {
                    complain(&format!("  FAILED:\nlint error {text}\n"));
                    Verdict { failed: true, has_errors: false }
                }
                None => {
                    let count: usize = loaded.file.groups.iter().map(|group| group.rules.len()).sum();
                    print(&format!("  SUCCESS: {count} rules found\n"))?;
                    Verdict::default()
                }
            }
        }
    };
    print("\n")?;
    Ok(verdict)
}

/// What names a rule's series: two rules with the same name and labels write the same ones.
fn identity<'a>(
    rule: &'a RuleSpec,
    group: &'a BTreeMap<String, String>,
) -> (&'a str, Vec<(&'a str, &'a str)>) {
    let name = rule.record.as_deref().filter(|name| !name.is_empty());
    let name = name.or(rule.alert.as_deref()).unwrap_or_default();
    let mut labels: BTreeMap<&str, &str> = group.iter().map(|(name, value)| (&**name, &**value)).collect();
    labels.extend(rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    (name, labels.into_iter().collect())
}

fn duplicates(file: &RuleFile) -> Option<String> {
    let mut all: Vec<_> = file
        .groups
        .iter()
        .flat_map(|group| group.rules.iter().map(|rule| identity(rule, &group.labels)))
        .collect();
    all.sort();
    let repeated: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    if repeated.is_empty() {
        return None;
    }
    let mut text = format!("{} duplicate rule(s) found.\n", repeated.len());
    for (name, labels) in repeated {
        text.push_str(&format!("Metric: {name}\nLabel(s):\n"));
        for (name, value) in labels {
            text.push_str(&format!("\t{name}: {value}\n"));
        }
    }
    text.push_str("Might cause inconsistency while recording expressions");
    Some(text)
}
