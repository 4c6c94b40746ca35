//! What is checked before a service opens anything.

use std::io;
use std::path::Path;

use crate::failure::Failure;

/// Makes `dir` and writes to it; where that fails, says in one line which directory, which user and what to run. Blocks.
pub fn check_data_directory(dir: &Path, flag: &str) -> Result<(), Failure> {
    let probe = dir.join(".write-check");
    let tried = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, b"x"))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| Failure::usage(unwritable(dir, flag, &error)))
}

fn unwritable(dir: &Path, flag: &str, error: &io::Error) -> String {
    let shown = dir.display();
    let (uid, gid) = ids();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("cannot write {shown} as UID {uid}: run chown -R {uid}:{gid} {shown} (or set {flag})")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!(
                "cannot write {shown}: its file system is mounted read-only (mount it writable or set {flag})"
            )
        }
        io::ErrorKind::StorageFull => {
            format!("cannot write {shown}: its disk is full (free space or set {flag})")
        }
        _ => format!("cannot write {shown} as UID {uid}: {error} (set by {flag})"),
    }
}

/// The effective user and group of this process.
fn ids() -> (u32, u32) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> u32 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
        line.split_whitespace().nth(1).and_then(|id| id.parse().ok()).unwrap_or(0)
    };
    (field("Uid:"), field("Gid:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_written_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        check_data_directory(&dir.path().join("new/data"), "--data").unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let failure = check_data_directory(&file.join("data"), "--storage.path").unwrap_err();
        assert!(failure.to_string().starts_with(&format!("cannot write {}", file.display())), "{failure}");
        let denied =
            unwritable(Path::new("/data"), "--data", &io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(
            denied.starts_with("cannot write /data as UID ") && denied.contains("run chown -R "),
            "{denied}"
        );
    }
}
