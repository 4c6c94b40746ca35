//! How far a sender has come in the log, on disk.

use std::path::{Path, PathBuf};

use tsdb::WalPosition;

/// The file of one sender.
#[derive(Debug)]
pub(super) struct PositionFile {
    path: PathBuf,
}

impl PositionFile {
    pub(super) fn new(data: &Path, name: &str) -> Self {
        // Names may hold anything, so a file's name is their bytes in hex.
        let hex: String = name.bytes().take(64).map(|byte| format!("{byte:02x}")).collect();
        Self { path: super::directory(data).join(format!("{hex}.json")) }
    }

    /// The position; `None` where there is none, or none that can be read.
    pub(super) fn load(&self) -> Option<WalPosition> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(WalPosition { segment: value["segment"].as_u64()?, offset: value["offset"].as_u64()? })
    }

    /// Replaces the position in one step.
    pub(super) fn save(&self, position: WalPosition) -> std::io::Result<()> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let text = serde_json::json!({"segment": position.segment, "offset": position.offset}).to_string();
        let temporary = self.path.with_extension("tmp");
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, &self.path)
    }

    /// Removes the file: the sender is no longer configured.
    pub(super) fn forget(&self) {
        std::fs::remove_file(&self.path).ok();
    }
}
