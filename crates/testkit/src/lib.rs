//! Fixtures for tests: the files of the project.

use std::path::{Path, PathBuf};

/// The top of the workspace.
pub fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("testkit lies in crates/");
    crates.parent().expect("crates/ lies in the workspace").to_owned()
}

/// The text of a file of the project, by its path from the top.
///
/// # Panics
///
/// Where the file cannot be read; the message names it.
#[expect(clippy::panic, reason = "for tests alone: a missing fixture ends the test with its name")]
pub fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
