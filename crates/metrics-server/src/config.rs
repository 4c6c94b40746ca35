//! `prometheus.yml` and the rule files that it names.

mod global;
mod load;
mod otlp;
pub(crate) mod rule_file;
mod scrape_config;

use std::path::PathBuf;

use ::config::{Node, Reported};
use alert_sender::AlertingConfig;
use model::ByteSize;
use remote_write::RemoteWriteConfig;

pub(crate) use global::{Global, ScrapeLimits};
pub(crate) use load::{PathAliases, Syntax, load, load_job_files, load_syntax};
pub(crate) use scrape_config::ScrapeConfig;

/// A configuration as read.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) global: Global,
    pub(crate) rule_files: Vec<PathBuf>,
    /// Patterns of files with further jobs; the jobs themselves are among `scrape_configs` once all is loaded.
    pub(crate) scrape_config_files: Vec<PathBuf>,
    pub(crate) scrape_configs: Vec<ScrapeConfig>,
    pub(crate) alerting: AlertingConfig,
    pub(crate) storage: StorageConfig,
    pub(crate) remote_write: Vec<RemoteWriteConfig>,
    pub(crate) otlp: crate::otlp::Settings,
}

/// A configuration with its rule files, ready to be applied.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    pub(crate) config: Config,
    pub(crate) rule_files: Vec<rules::RuleFile>,
    /// What was accepted without effect, and patterns that match nothing.
    pub(crate) warnings: Vec<String>,
    /// The file with secrets masked.
    pub(crate) yaml: String,
}

/// `storage`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StorageConfig {
    pub(crate) out_of_order_window_ms: i64,
    pub(crate) retention_time_ms: Option<i64>,
    pub(crate) retention_size: Option<ByteSize>,
    pub(crate) exemplars_max: Option<usize>,
}

impl Config {
    fn read(root: &Node) -> Result<Self, Reported> {
        let map = root.map()?;
        let global = map.read_or("global", Global::default(), Global::read)?;
        map.not_built(&["remote_read", "tracing"])?;
        map.without_meaning(&["runtime"], "there is no garbage collector to tune");
        let scheme = global.name_scheme;
        let mut rule_files = Vec::new();
        map.set(&mut rule_files, "rule_files", |node| node.list_of(read_pattern));
        let mut scrape_config_files = Vec::new();
        map.set(&mut scrape_config_files, "scrape_config_files", |node| node.list_of(read_pattern));
        let mut alerting =
            AlertingConfig { external_labels: global.external_labels.clone(), ..AlertingConfig::default() };
        map.set(&mut alerting, "alerting", |node| {
            AlertingConfig::read(node, global.external_labels.clone(), scheme)
        });
        let storage = map.read_or("storage", StorageConfig::default(), StorageConfig::read)?;
        let mut scrape_configs: Vec<ScrapeConfig> = Vec::new();
        map.set(&mut scrape_configs, "scrape_configs", |node| {
            node.list_of(|item| ScrapeConfig::read(item, &global))
        });
        if let Some(name) = repeated_job(&scrape_configs) {
            return Err(map.error(format_args!("found multiple scrape configs with job name {name:?}")));
        }
        let otlp = map.read_or("otlp", crate::otlp::Settings::default(), |node| otlp::read(node, scheme))?;
        let remote_write =
            map.read_or("remote_write", Vec::new(), |node| RemoteWriteConfig::read_list(node, scheme))?;
        map.finish()?;
        Ok(Self {
            global,
            rule_files,
            scrape_config_files,
            scrape_configs,
            alerting,
            storage,
            remote_write,
            otlp,
        })
    }
}

/// A job name that comes twice.
fn repeated_job(jobs: &[ScrapeConfig]) -> Option<&str> {
    let mut names = std::collections::HashSet::new();
    jobs.iter().map(|job| job.job_name.as_str()).find(|name| !names.insert(*name))
}

fn read_pattern(node: &Node) -> Result<PathBuf, Reported> {
    let path = node.file_path()?;
    if !discovery::is_valid_glob(&path.to_string_lossy()) {
        return Err(node.error("a pattern may have one *, in its last element"));
    }
    Ok(path)
}

impl StorageConfig {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let mut storage = Self::default();
        map.set(&mut storage, "tsdb", |node| {
            let mut storage = Self::default();
            let map = node.map()?;
            map.set(&mut storage, "retention", |node| {
                let map = node.map()?;
                map.not_built(&["percentage"])?;
                let time = map.read("time", Node::duration)?.map(|time| time.as_millis() as i64);
                let size = map.read("size", Node::byte_size)?;
                map.finish()?;
                Ok(Self { retention_time_ms: time, retention_size: size, ..Self::default() })
            });
            map.set(&mut storage.out_of_order_window_ms, "out_of_order_time_window", |node| {
                node.duration().map(|window| window.as_millis() as i64)
            });
            map.read("chunk_encoding", |node| {
                let map = node.map()?;
                map.read("floats", |node| node.one_of(&[("xor", ())]))?;
                map.finish()
            })?;
            map.not_built(&["stale_series_compaction_threshold"])?;
            map.finish()?;
            Ok(storage)
        });
        map.read("exemplars", |node| {
            let map = node.map()?;
            storage.exemplars_max = map.read("max_exemplars", Node::integer)?;
            map.finish()
        })?;
        map.finish()?;
        Ok(storage)
    }
}

#[cfg(test)]
mod tests;
