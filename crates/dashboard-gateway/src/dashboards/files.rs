//! Dashboards in directories: each `.json` file is one; a directory below is a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{DASHBOARD_BYTES_MAX, is_uid, title_of};

/// Files that are looked at.
const FILES_MAX: usize = 2_000;
/// Directories within directories.
const DEPTH_MAX: usize = 4;

/// A dashboard of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileDashboard {
    pub(crate) model: Value,
    /// The name of the directory below the top one; empty at the top.
    pub(crate) folder: String,
    /// Of the file's content.
    pub(crate) fingerprint: String,
    pub(crate) modified_ms: i64,
    path: PathBuf,
    len: u64,
}

struct Found {
    path: PathBuf,
    folder: String,
    modified_ms: i64,
    len: u64,
}

/// Reads all files that are not in `present` as they stand; the first file that has a uid wins. Also says what is wrong.
pub(crate) fn load(
    directories: &[PathBuf],
    present: &BTreeMap<String, FileDashboard>,
) -> (BTreeMap<String, FileDashboard>, Vec<String>) {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for directory in directories {
        list(directory, "", 0, &mut found, &mut problems);
    }
    let known: BTreeMap<&Path, (&String, &FileDashboard)> =
        present.iter().map(|(uid, file)| (file.path.as_path(), (uid, file))).collect();
    let mut files: BTreeMap<String, FileDashboard> = BTreeMap::new();
    for file in found {
        let unchanged = known
            .get(file.path.as_path())
            .filter(|(_, known)| known.modified_ms == file.modified_ms && known.len == file.len);
        let shown = file.path.display().to_string();
        let loaded = match unchanged {
            Some((uid, known)) => Ok(((*uid).clone(), (*known).clone())),
            None => read(file),
        };
        match loaded {
            Ok((uid, dashboard)) => {
                if let Some(first) = files.get(&uid) {
                    let first = first.path.display();
                    problems
                        .push(format!("dashboard {shown} has the same uid {uid} as {first} and is left out"));
                } else {
                    files.insert(uid, dashboard);
                }
            }
            Err(error) => problems.push(format!("dashboard {shown} cannot be used: {error}")),
        }
    }
    (files, problems)
}

fn list(directory: &Path, folder: &str, depth: usize, found: &mut Vec<Found>, problems: &mut Vec<String>) {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // Defaults need not exist.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            return problems.push(format!("dashboards in {} cannot be read: {error}", directory.display()));
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if found.len() >= FILES_MAX {
            return problems.push(format!("more than {FILES_MAX} dashboard files: the rest is left out"));
        }
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if metadata.is_dir() && depth < DEPTH_MAX && !name.starts_with('.') {
            let below = if folder.is_empty() { name } else { folder.to_owned() };
            list(&path, &below, depth + 1, found, problems);
        } else if metadata.is_file() && name.ends_with(".json") {
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified_ms = modified.map_or(0, |since| since.as_millis() as i64);
            found.push(Found { path, folder: folder.to_owned(), modified_ms, len: metadata.len() });
        }
    }
}

fn read(file: Found) -> Result<(String, FileDashboard), String> {
    let Found { path, folder, modified_ms, len } = file;
    if len > DASHBOARD_BYTES_MAX as u64 {
        return Err(format!("it has {len} bytes, at most {DASHBOARD_BYTES_MAX} are read"));
    }
    let text = std::fs::read(&path).map_err(|error| error.to_string())?;
    let mut model: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    // The API's wrapper is taken too.
    if let Some(inner) = model.get_mut("dashboard").filter(|inner| inner.is_object()) {
        model = inner.take();
    }
    if title_of(&model).is_empty() {
        return Err("it has no title".to_owned());
    }
    let fingerprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&text));
    let uid = match model.get("uid").and_then(Value::as_str) {
        Some(uid) if is_uid(uid) => uid.to_owned(),
        Some(uid) if !uid.is_empty() => return Err(format!("its uid {uid:?} is not valid")),
        // The file's name stays the same when its content changes.
        _ => URL_SAFE_NO_PAD.encode(&Sha256::digest(path.to_string_lossy().as_bytes())[..9]),
    };
    model["uid"] = Value::from(uid.as_str());
    Ok((uid, FileDashboard { model, folder, fingerprint, modified_ms, path, len }))
}
