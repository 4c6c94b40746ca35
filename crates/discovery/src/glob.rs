//! File patterns with `*` in their last element only.

use std::io;
use std::path::{Path, PathBuf};

/// Whether a pattern has at most one `*`, and that in its last element.
pub fn is_valid_glob(pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => true,
        Some((_, rest)) => !rest.contains(['/', '*']),
    }
}

/// The files that a pattern names, sorted; without a `*` the file itself where it exists. Blocks.
///
/// # Errors
/// Where the directory cannot be read; one that does not exist holds no file.
pub fn expand_glob(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((prefix, suffix)) = name.split_once('*') else {
        return Ok(if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() });
    };
    let dir = pattern.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !prefix.starts_with('.');
        let fits =
            name.len() >= prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix);
        if fits && !hidden {
            found.push(pattern.with_file_name(&name));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_star_in_the_last_element() {
        for (pattern, valid) in
            [("/a/b.rules", true), ("/a/*.rules", true), ("*", true), ("/*/b", false), ("/a/*b*", false)]
        {
            assert_eq!(is_valid_glob(pattern), valid, "{pattern}");
        }
    }

    #[test]
    fn files_are_found_in_order() {
        let dir = tempfile::tempdir().expect("directory");
        for name in ["b.yml", "a.yml", "c.json", ".d.yml"] {
            std::fs::write(dir.path().join(name), "").expect("file");
        }
        let found = expand_glob(&dir.path().join("*.yml")).expect("readable");
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["a.yml", "b.yml"]);
        assert!(expand_glob(&dir.path().join("none")).expect("readable").is_empty());
        assert!(expand_glob(&dir.path().join("none/*.yml")).expect("readable").is_empty());
    }
}
