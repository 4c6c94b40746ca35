//! File patterns with `*` and `?` in any element.

use std::io;
use std::path::{Component, Path, PathBuf};

use go_regex::Regex;

/// The most paths that a pattern may name.
const PATHS_MAX: usize = 10_000;

/// The files that a pattern names, sorted; none is no error. Blocks.
pub(crate) fn expand(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !text.contains(['*', '?', '[']) {
            paths.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let regex = Regex::anchored(&as_regex(&text)).map_err(|error| io::Error::other(error.to_string()))?;
        let mut matching = Vec::new();
        for path in &paths {
            matching.extend(entries(path, &regex)?);
            if matching.len() > PATHS_MAX {
                return Err(io::Error::other(format!(
                    "{} names more than {PATHS_MAX} paths",
                    pattern.display()
                )));
            }
        }
        paths = matching;
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn entries(dir: &Path, regex: &Regex) -> io::Result<Vec<PathBuf>> {
    let shown = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = match std::fs::read_dir(shown) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if regex.is_match(&name.to_string_lossy()) {
            found.push(dir.join(name));
        }
    }
    Ok(found)
}

fn as_regex(pattern: &str) -> String {
    let mut out = String::new();
    for c in pattern.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' | ']' | '-' => out.push(c),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
