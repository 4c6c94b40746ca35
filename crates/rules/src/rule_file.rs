//! Rule files as plain structs, and what is refused in them.

use std::collections::{BTreeMap, HashSet};

use crate::{RuleFileError, check_template};

/// A rule file as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFile {
    /// The file's path, for errors and for the groups' identity.
    pub path: String,
    /// Its groups.
    pub groups: Vec<GroupSpec>,
}

/// A group as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Unique in its file.
    pub name: String,
    /// How often it is evaluated, in ms; the server's `evaluation_interval` where not given.
    pub interval_ms: Option<i64>,
    /// How far in the past its queries look, in ms; the server's `rule_query_offset` where not given.
    pub query_offset_ms: Option<i64>,
    /// The most results that one rule may have; 0: no limit.
    pub limit: usize,
    /// Labels for all of its rules; a rule's own win.
    pub labels: BTreeMap<String, String>,
    /// Its rules, in order of evaluation.
    pub rules: Vec<RuleSpec>,
}

/// A rule as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// The metric that a recording rule makes.
    pub record: Option<String>,
    /// The name of an alerting rule's alerts.
    pub alert: Option<String>,
    /// The expression.
    pub expr: String,
    /// How long a result has to be there until it fires, in ms.
    pub for_ms: Option<i64>,
    /// How long an alert goes on firing without a result, in ms.
    pub keep_firing_for_ms: Option<i64>,
    /// Labels to add; templates in alerting rules.
    pub labels: BTreeMap<String, String>,
    /// Templates of the alert's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Checks a rule file; all that is wrong is told at once. `check_expression` parses an expression of the server's language.
pub fn validate(
    file: &RuleFile,
    check_expression: &dyn Fn(&str) -> Result<(), String>,
) -> Result<(), Vec<RuleFileError>> {
    let mut errors = Vec::new();
    let mut fail = |group: usize, rule: Option<usize>, place: String, message: String| {
        errors.push(RuleFileError { file: file.path.clone(), place, message, group, rule });
    };
    let mut names = HashSet::new();
    for (nth, group) in file.groups.iter().enumerate() {
        if group.name.is_empty() {
            fail(nth, None, String::new(), "groupname must not be empty".to_owned());
        } else if !names.insert(group.name.as_str()) {
            fail(
                nth,
                None,
                String::new(),
                format!("groupname: {:?} is repeated in the same file", group.name),
            );
        }
        for (name, value) in &group.labels {
            if let Some(problem) = label_problem(name, value) {
                fail(nth, None, format!("group {:?}: ", group.name), problem);
            }
        }
        for (idx, rule) in group.rules.iter().enumerate() {
            let name = rule.alert.as_deref().or(rule.record.as_deref()).unwrap_or_default();
            for problem in rule_problems(rule, check_expression) {
                let place = format!("group {:?}, rule {}, {name:?}: ", group.name, idx + 1);
                fail(nth, Some(idx), place, problem);
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn label_problem(name: &str, value: &str) -> Option<String> {
    if name.is_empty() || name == "__name__" {
        return Some(format!("invalid label name: {name}"));
    }
    // Rust's strings are UTF-8; NUL is what no label value may hold in the exposition formats.
    value.contains('\0').then(|| format!("invalid label value: {value:?}"))
}

fn rule_problems(rule: &RuleSpec, check_expression: &dyn Fn(&str) -> Result<(), String>) -> Vec<String> {
    let mut problems = Vec::new();
    let record = rule.record.as_deref().filter(|name| !name.is_empty());
    let alert = rule.alert.as_deref().filter(|name| !name.is_empty());
    match (record, alert) {
        (Some(_), Some(_)) => problems.push("only one of 'record' and 'alert' must be set".to_owned()),
        (None, None) => problems.push("one of 'record' or 'alert' must be set".to_owned()),
        _ => {}
    }
    if rule.expr.trim().is_empty() {
        problems.push("field 'expr' must be set in rule".to_owned());
    } else if let Err(error) = check_expression(&rule.expr) {
        problems.push(format!("could not parse expression: {error}"));
    }
    if let Some(name) = record {
        if !rule.annotations.is_empty() {
            problems.push("invalid field 'annotations' in recording rule".to_owned());
        }
        if rule.for_ms.unwrap_or(0) != 0 {
            problems.push("invalid field 'for' in recording rule".to_owned());
        }
        if rule.keep_firing_for_ms.unwrap_or(0) != 0 {
            problems.push("invalid field 'keep_firing_for' in recording rule".to_owned());
        }
        if name.contains(['{', '}']) {
            problems
                .push(format!("braces present in the recording rule name; should it be in expr?: {name}"));
        }
    }
    for (name, value) in &rule.labels {
        problems.extend(label_problem(name, value));
    }
    problems.extend(
        rule.annotations
            .keys()
            .filter(|name| name.is_empty())
            .map(|name| format!("invalid annotation name: {name}")),
    );
    if alert.is_some() {
        for (kind, texts) in [("label", &rule.labels), ("annotation", &rule.annotations)] {
            for (name, text) in texts {
                if let Err(error) = check_template(alert.unwrap_or_default(), text) {
                    problems.push(format!("{kind} {name:?}: {error}"));
                }
            }
        }
    }
    problems
}
