//! Rule files: `<directory>/<tenant>/<file>`, in Prometheus' format with LogQL expressions.

use std::path::{Path, PathBuf};

use model::TenantId;
use rule_files::Dialect;
use rules::RuleFile;
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
    let dialect =
        Dialect { check_expression: &check_expression, ruler_keys: true, allow_unknown_keys: false };
    rule_files::load(path, dialect).map(|loaded| loaded.file).map_err(Failure::usage)
}

fn check_expression(expr: &str) -> Result<(), String> {
    let expr = logql_syntax::parse_metric(expr).map_err(|error| error.to_string())?;
    logql::check(&logql_syntax::Expr::Metric(expr)).map_err(|error| error.to_string())
}
