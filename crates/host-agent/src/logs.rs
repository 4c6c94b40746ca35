//! Logs: sources, labels, delivery, positions.
//!
//! Life of a line: a source reads it and gives it its place; the labeler makes it a stream's; delivery batches it, sends it,
//! keeps it on disk while the server is away; with the acknowledgement its place is saved.

mod beginnings;
mod delivery;
mod disk;
mod docker_source;
mod file_source;
mod frames;
mod grpc;
mod journal;
mod labels;
mod line;
mod link;
mod loki;
mod options;
mod pipeline;
mod sources;
mod template;
mod vector_config;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_client::HostAliases;
use service::Failure;
use sys::Clock;
use tokio::sync::watch;

use crate::containers::{DockerLink, Inventory};
use crate::files::Roots;
use crate::options::LogSetup;
use crate::status::StatusBoard;

pub(crate) use options::LogOptions;
pub(crate) use pipeline::{LogPipeline, LogStatus};

/// How far each source has come.
type Positions = Arc<BTreeMap<Arc<str>, line::Position>>;

/// What a pipeline is made with.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) host: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) link: DockerLink,
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    pub(crate) roots: Roots,
    pub(crate) data_dir: PathBuf,
}

/// What a set-up comes to. Blocks for the reading of a small file.
pub(crate) fn load(setup: &LogSetup, aliases: &HostAliases) -> Result<LogOptions, Failure> {
    match setup {
        LogSetup::Off => Ok(LogOptions::off()),
        LogSetup::Defaults { server } => {
            let endpoint = if server.contains("://") { server.clone() } else { format!("http://{server}") };
            Ok(LogOptions::defaults(endpoint))
        }
        LogSetup::File(path) => {
            let (mut options, warnings) = vector_config::load(path)?;
            if let Some(sink) = &mut options.sink {
                sink.target.redirect(aliases);
            }
            for warning in warnings {
                tracing::warn!(warning, "log configuration");
            }
            Ok(options)
        }
    }
}

/// Reads a configuration file whole and returns its warnings.
pub(crate) fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
    vector_config::load(file).map(|(_, warnings)| warnings)
}
