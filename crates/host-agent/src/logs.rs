//! Logs: sources, delivery, positions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::{Failure, Lifecycle};
use sys::Clock;
use tokio::sync::watch;

use crate::containers::{DockerLink, Inventory};
use crate::files::Roots;
use crate::options::LogSetup;
use crate::status::StatusBoard;

/// What a pipeline is made with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) host: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) link: DockerLink,
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    pub(crate) roots: Roots,
    pub(crate) data_dir: PathBuf,
}

/// The log configuration.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions;

impl LogOptions {
    pub(crate) fn docker_host(&self) -> Option<&str> {
        None
    }

    pub(crate) fn host_in_labels(&self) -> Option<String> {
        None
    }
}

/// How delivery stands.
#[derive(Clone, Debug)]
pub(crate) struct LogStatus;

impl LogStatus {
    pub(crate) fn details(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        None
    }
}

pub(crate) fn load(setup: &LogSetup) -> Result<LogOptions, Failure> {
    match setup {
        LogSetup::File(path) => {
            check_config(path)?;
            Ok(LogOptions)
        }
        LogSetup::Off | LogSetup::Defaults { .. } => Ok(LogOptions),
    }
}

pub(crate) fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
    Err(Failure::usage(format!("{}: log delivery is not built yet", file.display())))
}

/// Sources to delivery.
#[derive(Debug)]
pub(crate) struct LogPipeline;

impl LogPipeline {
    pub(crate) async fn open(_: LogOptions, parts: Parts, _: &Lifecycle) -> Result<Option<Self>, Failure> {
        tracing::debug!(host = %parts.host, data_dir = %parts.data_dir.display(), "no log delivery");
        Ok(None)
    }

    pub(crate) fn status(&self) -> LogStatus {
        LogStatus
    }

    pub(crate) fn start(self, _: &Lifecycle) {}
}
