//! Rule files: `<directory>/<tenant>/<file>`, in Prometheus' format with LogQL expressions.

use std::path::{Path, PathBuf};

use config::{Document, Node, Reported};
use model::TenantId;
use rules::{GroupSpec, RuleFile, RuleSpec, validate};
use service::Failure;

/// The rules of one file.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceFile {
    pub(crate) tenant: TenantId,
    /// The file's name.
    pub(crate) namespace: String,
    pub(crate) file: RuleFile,
}

/// Reads all rule files of a directory; one that does not exist holds none. Blocks.
pub(crate) fn load_rules(dir: &Path) -> Result<Vec<NamespaceFile>, Failure> {
    let mut files = Vec::new();
    for tenant_dir in sorted_entries(dir)? {
        let name = tenant_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(tenant) = TenantId::parse(&name).filter(|_| tenant_dir.is_dir()) else { continue };
        for path in sorted_entries(&tenant_dir)? {
            let is_rules = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
            if !is_rules || !path.is_file() {
                continue;
            }
            let namespace = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(NamespaceFile { tenant: tenant.clone(), namespace, file: load_file(&path)? });
        }
    }
    Ok(files)
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", dir.display()))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Reads a rule file and checks it.
pub(crate) fn load_file(path: &Path) -> Result<RuleFile, Failure> {
    let document = Document::load(path)?;
    let groups = document.read(read_groups)?.value;
    let file = RuleFile { path: path.display().to_string(), groups };
    validate(&file, &check_expression).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })?;
    Ok(file)
}

fn check_expression(expr: &str) -> Result<(), String> {
    let expr = logql_syntax::parse_metric(expr).map_err(|error| error.to_string())?;
    logql::check(&logql_syntax::Expr::Metric(expr)).map_err(|error| error.to_string())
}

fn read_groups(root: &Node) -> Result<Vec<GroupSpec>, Reported> {
    if root.is_null() {
        return Ok(Vec::new());
    }
    let map = root.map()?;
    // The original's own files may name their namespace.
    map.optional("namespace");
    let groups = map.read_or("groups", Vec::new(), |list| list.list_of(read_group))?;
    map.finish()?;
    Ok(groups)
}

fn read_group(node: &Node) -> Result<GroupSpec, Reported> {
    let map = node.map()?;
    let group = GroupSpec {
        name: map.read_or("name", String::new(), Node::string)?,
        interval_ms: map.read("interval", millis)?,
        query_offset_ms: map.read("query_offset", millis)?,
        limit: map.read_or("limit", 0, Node::integer)?,
        labels: map.read_or("labels", Vec::new(), Node::string_pairs)?.into_iter().collect(),
        rules: map.read_or("rules", Vec::new(), |list| list.list_of(read_rule))?,
    };
    map.without_meaning(
        &["partial_response_strategy", "source_tenants"],
        "it has no meaning for this server",
    );
    map.not_built(&["remote_write"])?;
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
        labels: map.read_or("labels", Vec::new(), Node::string_pairs)?.into_iter().collect(),
        annotations: map.read_or("annotations", Vec::new(), Node::string_pairs)?.into_iter().collect(),
    };
    map.finish()?;
    if rule.record.as_deref().is_some_and(|name| !name.is_empty()) {
        node.warn("recording rules are evaluated, but what they record is not sent anywhere yet");
    }
    Ok(rule)
}

fn millis(node: &Node) -> Result<i64, Reported> {
    node.duration().map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
