//! File name patterns: `*`, `?`, `[a-z]`, `{a,b}` and `**`, matched against real paths.

use std::path::{Path, PathBuf};

/// How many files one pattern may find, and how deep `**` goes.
const MATCHES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 16;

/// A pattern over paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    alternatives: Vec<String>,
}

impl Glob {
    /// A pattern; every text is one.
    pub(crate) fn new(pattern: &str) -> Self {
        let mut alternatives = Vec::new();
        expand_braces(pattern, &mut alternatives);
        Self { alternatives }
    }

    /// Whether `path` matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.alternatives.iter().any(|pattern| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            match_parts(&pattern, &parts)
        })
    }

    /// The existing paths that match, sorted, each once.
    pub(crate) fn expand(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for pattern in &self.alternatives {
            let absolute = pattern.starts_with('/');
            let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
            let start = if absolute { PathBuf::from("/") } else { PathBuf::new() };
            walk(&start, &parts, 0, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// `{a,b}` stands for several patterns; a brace without its partner stands for itself.
fn expand_braces(pattern: &str, out: &mut Vec<String>) {
    let pair = pattern.find('{').and_then(|open| Some((open, open + pattern[open..].find('}')?)));
    let Some((open, close)) = pair.filter(|_| out.len() < 64) else {
        out.push(pattern.to_owned());
        return;
    };
    for choice in pattern[open + 1..close].split(',') {
        expand_braces(&format!("{}{choice}{}", &pattern[..open], &pattern[close + 1..]), out);
    }
}

fn walk(dir: &Path, parts: &[&str], depth: usize, found: &mut Vec<PathBuf>) {
    if found.len() >= MATCHES_MAX || depth > DEPTH_MAX {
        return;
    }
    let Some((part, rest)) = parts.split_first() else {
        found.push(dir.to_path_buf());
        return;
    };
    if !part.contains(['*', '?', '[']) {
        let next = dir.join(part);
        if next.symlink_metadata().is_ok() {
            walk(&next, rest, depth + 1, found);
        }
        return;
    }
    let any_depth = *part == "**";
    if any_depth {
        walk(dir, rest, depth + 1, found);
    }
    let listed = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let Ok(entries) = std::fs::read_dir(listed) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let next = dir.join(name);
        if any_depth && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&next, parts, depth + 1, found);
        } else if !any_depth && match_name(part.as_bytes(), name.as_bytes()) {
            walk(&next, rest, depth + 1, found);
        }
    }
}

fn match_parts(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skip| match_parts(rest, &path[skip..])),
        Some((part, rest)) => match path.split_first() {
            Some((name, names)) => match_name(part.as_bytes(), name.as_bytes()) && match_parts(rest, names),
            None => false,
        },
    }
}

/// Matches one name without recursion: on a mismatch the last `*` takes one more byte.
fn match_name(pattern: &[u8], name: &[u8]) -> bool {
    // A leading dot is matched only by a dot, as shells do.
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match match_one(&pattern[p..], name[n]) {
            Some(taken) => {
                p += taken;
                n += 1;
            }
            None if pattern.get(p) == Some(&b'*') => {
                star = Some((p, n));
                p += 1;
            }
            None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many pattern bytes match this one byte; `None` where they do not, or where a `*` comes.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'*' => None,
        b'?' => Some(1),
        b'[' => match_class(pattern, byte),
        literal => (*literal == byte).then_some(1),
    }
}

fn match_class(pattern: &[u8], byte: u8) -> Option<usize> {
    let close = pattern.iter().skip(2).position(|b| *b == b']').map(|at| at + 2);
    let Some(close) = close else { return (byte == b'[').then_some(1) };
    let mut class = &pattern[1..close];
    let negated = matches!(class.first(), Some(b'!' | b'^'));
    if negated {
        class = &class[1..];
    }
    let mut matched = false;
    while let Some(first) = class.first() {
        match class {
            [low, b'-', high, rest @ ..] => {
                matched |= (low..=high).contains(&&byte);
                class = rest;
            }
            _ => {
                matched |= *first == byte;
                class = &class[1..];
            }
        }
    }
    (matched != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, path, expected) in [
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/x/a.log", false),
            ("/var/log/**/*.log", "/var/log/a.log", true),
            ("/var/log/**/*.log", "/var/log/x/y/a.log", true),
            ("/a/{b,c}/d?[0-9]", "/a/c/dx7", true),
            ("/a/{b,c}/d?[!0-9]", "/a/c/dx7", false),
            ("/a/*b*c", "/a/xbxbyc", true),
            ("/a/*", "/a/.hidden", false),
            ("/a/[", "/a/[", true),
            ("/a/{b", "/a/{b", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn existing_files_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.txt", "sub/c.log", "sub/deep/d.log"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| Glob::new(&format!("{}/{pattern}", dir.path().display())).expand().len();
        assert_eq!((found("*.log"), found("**/*.log"), found("sub/c.log"), found("x*")), (1, 3, 1, 0));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]
        #[test]
        fn no_pattern_panics(pattern in "[a\\[\\]*?{},!/-]{0,16}", path in "[a/\\[-]{0,12}") {
            Glob::new(&pattern).matches(&path);
        }
    }
}
