//! Rust source files: length, module documents, leftovers.

use std::path::{Path, PathBuf};

/// Lines a file may have without its tests.
const LINES_MAX: usize = 800;

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    collect(&root.join("crates"), &mut files)?;
    collect(&root.join("tests"), &mut files)?;
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        findings.extend(check_file(&shown, &text));
    }
    Ok(findings)
}

fn check_file(shown: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let is_test = shown.ends_with("tests.rs") || shown.contains("/tests/") || shown.contains("/benches/");
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = code.lines().count();
    if !is_test && lines > LINES_MAX {
        findings.push(format!(
            "{shown}: {lines} lines without tests, the limit is {LINES_MAX}: split it by noun"
        ));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") {
        findings.push(format!("{shown}: starts without a `//!` line that says what the module is for"));
    }
    if shown.ends_with("/mod.rs") {
        findings.push(format!("{shown}: write foo.rs beside foo/ instead of foo/mod.rs"));
    }
    // Put together so that this file does not find itself.
    let leftovers =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!"), concat!("to", "do!(")];
    for word in leftovers.into_iter().filter(|word| text.contains(*word)) {
        findings.push(format!("{shown}: contains {word}"));
    }
    findings
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !matches!(&*name, "target" | "node_modules" | "generated" | "ui" | "corpus") {
                collect(&path, files)?;
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_undocumented_and_unfinished_files_are_found() {
        let long = format!("//! x\n{}", "fn a() {}\n".repeat(LINES_MAX));
        assert_eq!(check_file("crates/a/src/long.rs", &long).len(), 1);
        assert_eq!(check_file("crates/a/src/long/tests.rs", &long).len(), 0);
        let tests_apart =
            format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(LINES_MAX));
        assert_eq!(check_file("crates/a/src/b.rs", &tests_apart).len(), 0);
        assert_eq!(check_file("crates/a/src/mod.rs", "use x;\n").len(), 2);
    }
}
