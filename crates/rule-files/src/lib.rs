//! Rule files in Prometheus' YAML, for a server of any query language: text in, checked groups out.
//!
//! [`rules`] checks what is in a file and knows no YAML; this crate reads the YAML, and gives what is wrong its line.

#![warn(missing_docs)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::{ConfigErrors, Document, Node, Place, Reported};
use rules::{GroupSpec, RuleFile, RuleSpec};

/// What a server's rule files may hold.
#[derive(Clone, Copy)]
pub struct Dialect<'a> {
    /// Parses an expression of the server's language; the text of an error is shown to users.
    pub check_expression: &'a dyn Fn(&str) -> Result<(), String>,
    /// Whether keys of Loki's and Thanos' rulers are accepted, as far as they can be left out.
    pub ruler_keys: bool,
    /// Whether keys that nobody knows only warn.
    pub allow_unknown_keys: bool,
}

impl fmt::Debug for Dialect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialect")
            .field("ruler_keys", &self.ruler_keys)
            .field("allow_unknown_keys", &self.allow_unknown_keys)
            .finish_non_exhaustive()
    }
}

/// All that is wrong with a file, one line each; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines.join("\n"))]
pub struct RuleFileErrors {
    /// The errors, each with file, line and column.
    pub lines: Vec<String>,
}

/// A file's groups, and what was accepted without effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedRules {
    /// The groups.
    pub file: RuleFile,
    /// Warnings, each with its place.
    pub warnings: Vec<String>,
}

/// Reads and checks a file. Blocks.
///
/// # Errors
/// With all that is wrong.
pub fn load(path: &Path, dialect: Dialect<'_>) -> Result<LoadedRules, RuleFileErrors> {
    read(&Document::load(path).map_err(told)?, dialect)
}

/// Reads and checks a text; `name` stands for a file's path.
///
/// # Errors
/// With all that is wrong.
pub fn parse(name: &str, text: &str, dialect: Dialect<'_>) -> Result<LoadedRules, RuleFileErrors> {
    read(&Document::parse_yaml(name, text).map_err(told)?, dialect)
}

/// Where groups and their rules stand.
type Places = Vec<(Place, Vec<Place>)>;

fn read(document: &Document, dialect: Dialect<'_>) -> Result<LoadedRules, RuleFileErrors> {
    if dialect.allow_unknown_keys {
        document.allow_unknown_keys();
    }
    let mut places = Places::new();
    let loaded = document.read(|root| {
        let map = root.map()?;
        if dialect.ruler_keys {
            map.optional("namespace");
        }
        let groups = map.read_or("groups", Vec::new(), |list| {
            list.list_of(|node| read_group(node, dialect, &mut places))
        })?;
        map.finish()?;
        Ok(RuleFile { path: document.file().to_owned(), groups })
    });
    let loaded = loaded.map_err(told)?;
    rules::validate(&loaded.value, dialect.check_expression).map_err(|errors| {
        let lines = errors.iter().map(|error| {
            let group = places.get(error.group);
            let rule = error.rule.and_then(|rule| group?.1.get(rule));
            match rule.or(group.map(|(place, _)| place)) {
                Some(place) => format!("{place}: {}{}", error.place, error.message),
                None => error.to_string(),
            }
        });
        RuleFileErrors { lines: lines.collect() }
    })?;
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    Ok(LoadedRules { file: loaded.value, warnings })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn told(errors: ConfigErrors) -> RuleFileErrors {
    RuleFileErrors { lines: errors.errors.iter().map(ToString::to_string).collect() }
}

fn read_group(node: &Node, dialect: Dialect<'_>, places: &mut Places) -> Result<GroupSpec, Reported> {
    let map = node.map()?;
    let mut rule_places = Vec::new();
    let group = GroupSpec {
        name: map.read_or("name", String::new(), Node::string)?,
        interval_ms: map.read("interval", millis)?,
        query_offset_ms: map.read("query_offset", millis)?,
        limit: map.read_or("limit", 0, Node::integer)?,
        labels: map.read_or("labels", BTreeMap::new(), pairs)?,
        rules: map.read_or("rules", Vec::new(), |list| {
            list.list_of(|node| {
                rule_places.push(node.place());
                read_rule(node)
            })
        })?,
    };
    places.push((node.place(), rule_places));
    if dialect.ruler_keys {
        let keys = &["partial_response_strategy", "source_tenants"];
        map.without_meaning(keys, "it has no meaning for this server");
        map.not_built(&["remote_write"])?;
    }
    map.finish()?;
    Ok(group)
}

fn read_rule(node: &Node) -> Result<RuleSpec, Reported> {
    let map = node.map()?;
    let rule = RuleSpec {
        record: map.read("record", Node::string)?,
        alert: map.read("alert", Node::string)?,
        expr: map.read_or("expr", String::new(), Node::string)?,
        for_ms: map.read("for", millis)?,
        keep_firing_for_ms: map.read("keep_firing_for", millis)?,
        labels: map.read_or("labels", BTreeMap::new(), pairs)?,
        annotations: map.read_or("annotations", BTreeMap::new(), pairs)?,
    };
    map.finish()?;
    Ok(rule)
}

fn millis(node: &Node) -> Result<i64, Reported> {
    node.duration().map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

fn pairs(node: &Node) -> Result<BTreeMap<String, String>, Reported> {
    Ok(node.string_pairs()?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ruler_keys: bool, allow_unknown_keys: bool) -> Result<LoadedRules, String> {
        let check_expression =
            |expr: &str| if expr == "bad" { Err("no expression".to_owned()) } else { Ok(()) };
        let dialect = Dialect { check_expression: &check_expression, ruler_keys, allow_unknown_keys };
        parse("r.yml", text, dialect).map_err(|errors| errors.to_string())
    }

    #[test]
    fn errors_have_their_line() {
        for (text, message) in [
            (
                "groups:\n- name: g\n  rules:\n  - record: a\n    expr: bad\n",
                "r.yml:4:5: group \"g\", rule 1, \"a\": could not parse expression: no expression",
            ),
            ("groups:\n- name: g\n- name: g\n", "r.yml:3:3: groupname: \"g\" is repeated in the same file"),
            (
                "groups:\n- name: g\n  rules:\n  - {record: a, expr: b, typo: 1}\n",
                "r.yml:4:26: groups[0].rules[0]: unknown key \"typo\"",
            ),
            ("namespace: n\n", "r.yml:1:1: unknown key \"namespace\""),
        ] {
            assert_eq!(check(text, false, false).map(drop), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn dialects_differ_in_their_keys() {
        let text = "namespace: n\ngroups:\n- {name: g, source_tenants: [a], rules: []}\n";
        assert_eq!(check(text, true, false).map(|loaded| loaded.warnings.len()), Ok(1));
        let text = "more: n\ngroups:\n- {name: g, rules: [{record: a, expr: b, typo: 1}]}\n";
        let loaded = check(text, false, true).expect("unknown keys only warn");
        assert_eq!((loaded.warnings.len(), loaded.file.groups[0].rules.len()), (2, 1));
    }
}
