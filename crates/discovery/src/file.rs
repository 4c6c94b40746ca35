//! `file_sd_configs`: files are looked at every few seconds and read when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::config::FileConfig;
use crate::discoverer::{Discoverer, Updates};
use crate::glob::expand_glob;
use crate::metrics::Metrics;
use crate::target_group::TargetGroup;

/// How often the files' times of change are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Targets from files.
#[derive(Debug)]
pub(crate) struct FileDiscovery {
    config: FileConfig,
    metrics: Metrics,
}

/// A file as it was when it was read last, and the last good groups from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileState {
    changed: Option<SystemTime>,
    len: u64,
    pub(crate) groups: Vec<TargetGroup>,
}

pub(crate) type Files = BTreeMap<PathBuf, FileState>;

impl FileDiscovery {
    pub(crate) fn new(config: FileConfig, metrics: Metrics) -> Self {
        Self { config, metrics }
    }

    async fn drive(self, mut updates: Updates) {
        let mut files = Files::new();
        let mut read_all_at = Instant::now();
        loop {
            let read_all = Instant::now() >= read_all_at;
            if read_all {
                read_all_at = Instant::now() + self.config.refresh_interval.max(LOOK_INTERVAL);
            }
            let (patterns, metrics) = (self.config.files.clone(), self.metrics.clone());
            let before = files.clone();
            // The task fails only where the runtime is shutting down.
            let Ok(found) =
                tokio::task::spawn_blocking(move || look(&patterns, before, read_all, &metrics)).await
            else {
                return;
            };
            files = found;
            updates.set(files.values().flat_map(|file| file.groups.iter().cloned()).collect());
            tokio::select! {
                () = updates.stopped() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }
}

impl Discoverer for FileDiscovery {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.drive(updates))
    }
}

/// Reads what has changed. A file that cannot be read keeps its last good groups; one that is gone loses them.
pub(crate) fn look(patterns: &[PathBuf], mut before: Files, read_all: bool, metrics: &Metrics) -> Files {
    let mut files = Files::new();
    for pattern in patterns {
        let paths = expand_glob(pattern).unwrap_or_else(|error| {
            tracing::error!(pattern = %pattern.display(), error = %error, "cannot list target files");
            Vec::new()
        });
        for path in paths {
            let mut state = before.remove(&path).unwrap_or_default();
            let metadata = std::fs::metadata(&path).ok();
            let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            let len = metadata.map_or(0, |metadata| metadata.len());
            if read_all || state.changed != changed || state.len != len {
                (state.changed, state.len) = (changed, len);
                match read(&path, len) {
                    Ok(groups) => state.groups = groups,
                    Err(error) => {
                        metrics.file_read_errors.inc();
                        tracing::error!(file = %path.display(), error = %error, "cannot read target file");
                    }
                }
            }
            files.insert(path, state);
        }
    }
    files
}

/// Reads a file of targets as discovery would. Blocks.
///
/// # Errors
/// Where it cannot be read, is no list of groups, or its name does not end in `.json`, `.yml` or `.yaml`.
pub fn read_target_file(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    if !matches!(ending.as_deref(), Some("json" | "yml" | "yaml")) {
        return Err(format!("invalid file extension: {:?}", ending.unwrap_or_default()));
    }
    let len = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    read(path, len)
}

fn read(path: &Path, len: u64) -> Result<Vec<TargetGroup>, String> {
    if len > FILE_BYTES_MAX {
        return Err(format!("the file has {len} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.display().to_string();
    TargetGroup::read_list(&name, &text, ("__meta_filepath", &name)).map_err(|errors| errors.to_string())
}
