//! The crates' arrows: what `cargo metadata` says against the table in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

/// The crates that a crate depends on, tests left out.
type Arrows = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let page = root.join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    Ok(compare(&table(&text), &metadata(root)?))
}

/// Reads the rows ``| layer | `crate` | purpose | may depend on |`` of the section "Layers".
fn table(text: &str) -> Arrows {
    let section = text.split("## Layers").nth(1).unwrap_or("");
    let section = section.split("\n## ").next().unwrap_or("");
    let rows = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() >= 6 && cells[2].starts_with('`'))
        .map(|cells| (cells[2].trim_matches('`').to_owned(), names(cells[4])))
        .collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split(',')
        .map(|name| name.trim().trim_matches('`'))
        .filter(|name| !matches!(*name, "" | "–"))
        .map(str::to_owned)
        .collect()
}

fn metadata(root: &Path) -> anyhow::Result<Arrows> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let arrows = packages.iter().filter_map(|package| {
        let dependencies =
            package["dependencies"].as_array()?.iter().filter(|dependency| dependency["kind"].is_null());
        let names = dependencies.filter_map(|dependency| dependency["name"].as_str());
        Some((
            package["name"].as_str()?.to_owned(),
            names.filter(|name| ours.contains(name)).map(str::to_owned).collect(),
        ))
    });
    Ok(arrows.collect())
}

fn compare(allowed: &Arrows, found: &Arrows) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, dependencies) in found {
        let Some(allowed) = allowed.get(name) else {
            findings.push(format!("{name}: has no row in ARCHITECTURE.md, section Layers"));
            continue;
        };
        for extra in dependencies.difference(allowed) {
            findings
                .push(format!("{name}: depends on {extra}, which its row in ARCHITECTURE.md does not allow"));
        }
    }
    for gone in allowed.keys().filter(|name| !found.contains_key(*name)) {
        findings.push(format!("{gone}: has a row in ARCHITECTURE.md and is no crate of the workspace"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_outside_the_table_is_found() {
        let page = "## Layers\n| 0 | `a` | x | – |\n| 1 | `b` | x | a |\n| 1 | `gone` | x | a |\n## Next\n| 9 | `c` | x | a |\n";
        let found = Arrows::from([
            ("a".to_owned(), BTreeSet::from(["b".to_owned()])),
            ("b".to_owned(), BTreeSet::from(["a".to_owned()])),
            ("c".to_owned(), BTreeSet::new()),
        ]);
        let findings = compare(&table(page), &found);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(
            findings[0].starts_with("a: depends on b")
                && findings[1].starts_with("c: has no row")
                && findings[2].starts_with("gone:")
        );
    }
}
