//! Rule files.

use std::collections::BTreeMap;
use std::path::Path;

use ::config::{ConfigErrors, Document, Node, Reported};
use rules::{GroupSpec, RuleFile, RuleSpec};

/// Reads and checks a rule file; its warnings come with it. Blocks.
pub(super) fn load(path: &Path) -> Result<(RuleFile, Vec<String>), Vec<String>> {
    let document = Document::load(path).map_err(|errors| lines(&errors))?;
    let loaded = document.read(|root| {
        let map = root.map()?;
        let groups = map.read_or("groups", Vec::new(), |list| list.list_of(read_group))?;
        map.finish()?;
        Ok(RuleFile { path: path.display().to_string(), groups })
    });
    let loaded = loaded.map_err(|errors| lines(&errors))?;
    let check = |expr: &str| {
        promql::parse(expr, promql::Features::all()).map(drop).map_err(|error| error.to_string())
    };
    rules::validate(&loaded.value, &check)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    Ok((loaded.value, warnings))
}

fn lines(errors: &ConfigErrors) -> Vec<String> {
    errors.errors.iter().map(ToString::to_string).collect()
}

fn read_group(node: &Node) -> Result<GroupSpec, Reported> {
    let map = node.map()?;
    let group = GroupSpec {
        name: map.read_or("name", String::new(), Node::string)?,
        interval_ms: map.read("interval", duration_ms)?,
        query_offset_ms: map.read("query_offset", duration_ms)?,
        limit: map.read_or("limit", 0, Node::integer)?,
        labels: map.read_or("labels", BTreeMap::new(), pairs)?,
        rules: map.read_or("rules", Vec::new(), |list| list.list_of(read_rule))?,
    };
    map.finish()?;
    Ok(group)
}

fn read_rule(node: &Node) -> Result<RuleSpec, Reported> {
    let map = node.map()?;
    let rule = RuleSpec {
        record: map.read("record", Node::string)?,
        alert: map.read("alert", Node::string)?,
        expr: map.read_or("expr", String::new(), Node::string)?,
        for_ms: map.read("for", duration_ms)?,
        keep_firing_for_ms: map.read("keep_firing_for", duration_ms)?,
        labels: map.read_or("labels", BTreeMap::new(), pairs)?,
        annotations: map.read_or("annotations", BTreeMap::new(), pairs)?,
    };
    map.finish()?;
    Ok(rule)
}

fn duration_ms(node: &Node) -> Result<i64, Reported> {
    node.duration().map(|duration| duration.as_millis() as i64)
}

fn pairs(node: &Node) -> Result<BTreeMap<String, String>, Reported> {
    Ok(node.string_pairs()?.into_iter().collect())
}
