//! Loki's configuration file, as far as its keys have a meaning here.

mod blocked_query;
mod blocks;
mod keys;
mod limits;
mod otlp;
mod ruler;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{ConfigErrors, Document, Map, Node, Reported};
use model::{parse_duration_ms, parse_go_duration_ns};

pub(crate) use blocked_query::QueryClass;
pub(crate) use limits::DeletionMode;
pub use limits::Limits;
pub(crate) use limits::StreamRate;
pub(crate) use otlp::AttributeAction;
pub(crate) use otlp::OtlpConfig;
pub use ruler::RulerConfig;

/// What a configuration file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether each request names its tenant.
    pub auth_enabled: bool,
    /// Where to listen.
    pub server: ServerConfig,
    /// Where data are kept; `None` where the file says nothing of it.
    pub data_dir: Option<PathBuf>,
    /// Where directories of Loki's own data may lie: named once, never written to.
    pub foreign_dirs: Vec<PathBuf>,
    /// Entries are written to segments when the oldest in memory has been there for so long (`chunk_idle_period`).
    pub flush_age: Option<Duration>,
    /// Half of it is how far an entry may lie behind the newest of its stream (`max_chunk_age`).
    pub max_chunk_age: Duration,
    /// How long a tail may last.
    pub tail_max_duration: Duration,
    /// How many queries run at a time.
    pub max_concurrent: usize,
    /// Whether retention is enforced and deletes are taken (`compactor.retention_enabled`).
    pub retention_enabled: bool,
    /// How long a delete can be taken back (`compactor.delete_request_cancel_period`).
    pub delete_cancel_period: Duration,
    /// The largest push body as sent, in bytes.
    pub push_bytes_max: u64,
    /// The largest push body expanded, in bytes.
    pub push_expanded_bytes_max: u64,
    /// The limits of tenants without their own.
    pub limits: Arc<Limits>,
    /// Per tenant, what differs (`runtime_config.file`).
    pub overrides: BTreeMap<String, Arc<Limits>>,
    /// The file of overrides.
    pub overrides_file: Option<PathBuf>,
    /// How often the file of overrides is looked at.
    pub overrides_period: Duration,
    /// Rules.
    pub ruler: RulerConfig,
}

/// Limits of tenants that have their own.
pub(crate) type Overrides = BTreeMap<String, Arc<Limits>>;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address; empty for all interfaces.
    pub http_listen_address: String,
    /// The port of HTTP and gRPC.
    pub http_listen_port: u16,
    /// The address of the port for gRPC alone.
    pub grpc_listen_address: String,
    /// A port for gRPC alone; `None` where the file names none: the first one answers it too.
    pub grpc_listen_port: Option<u16>,
    /// What stands before all paths.
    pub http_path_prefix: String,
    /// How long requests may go on when the server stops.
    pub graceful_shutdown_timeout: Duration,
    /// How long a request's head may take, and each pause in its body.
    pub read_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http_listen_address: String::new(),
            http_listen_port: 3100,
            grpc_listen_address: String::new(),
            grpc_listen_port: None,
            http_path_prefix: String::new(),
            graceful_shutdown_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth_enabled: true,
            server: ServerConfig::default(),
            data_dir: None,
            foreign_dirs: Vec::new(),
            flush_age: None,
            max_chunk_age: Duration::from_secs(2 * 3600),
            tail_max_duration: Duration::from_secs(3600),
            max_concurrent: 4,
            retention_enabled: false,
            delete_cancel_period: Duration::from_secs(24 * 3600),
            push_bytes_max: 100 << 20,
            push_expanded_bytes_max: 5000 << 20,
            limits: Arc::default(),
            overrides: BTreeMap::new(),
            overrides_file: None,
            overrides_period: Duration::from_secs(10),
            ruler: RulerConfig::default(),
        }
    }
}

/// A configuration with what was accepted without effect.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// One line per key that has no effect.
    pub warnings: Vec<String>,
    /// The file as read, with secrets masked.
    pub masked_yaml: String,
}

impl LoadedConfig {
    /// What holds without a file: one tenant, defaults.
    pub fn without_file() -> Self {
        let config = Config { auth_enabled: false, ..Config::default() };
        Self { config, warnings: Vec::new(), masked_yaml: String::new() }
    }
}

/// Reads a file. With `expand_env`, `${VAR}` and its like are replaced first. Blocks.
pub fn load(path: &Path, expand_env: bool) -> Result<LoadedConfig, ConfigErrors> {
    let document = if expand_env { expanded(path)? } else { Document::load(path)? };
    read(&document)
}

fn expanded(path: &Path) -> Result<Document, ConfigErrors> {
    let name = path.display().to_string();
    let fail = |message: String| {
        let place = config::Place { file: name.as_str().into(), line: 1, column: 1 };
        ConfigErrors::one(place, message)
    };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let lookup = |variable: &str| std::env::var(variable).ok();
    let text = config::expand_braced(&text, true, lookup, |_| {}).map_err(|error| fail(error.to_string()))?;
    Document::parse_yaml(&name, &text)
}

/// Reads a document.
pub(crate) fn read(document: &Document) -> Result<LoadedConfig, ConfigErrors> {
    let loaded = document.read(read_root)?;
    let mut config = loaded.value;
    let mut found = loaded.warnings;
    found.sort_by(|a, b| a.place.cmp(&b.place));
    let mut warnings: Vec<String> = found.iter().map(ToString::to_string).collect();
    if let Some(path) = &config.overrides_file {
        let (overrides, more) = load_overrides(path, &config.limits)?;
        warnings.extend(more);
        config.overrides = overrides;
    }
    Ok(LoadedConfig { config, warnings, masked_yaml: document.to_masked_yaml() })
}

/// Reads a file of overrides over the common limits; what was accepted without effect comes second. Blocks.
pub(crate) fn load_overrides(path: &Path, common: &Limits) -> Result<(Overrides, Vec<String>), ConfigErrors> {
    let document = Document::load(path)?;
    let overrides = document.read(|root| limits::read_overrides(root, common))?;
    Ok((overrides.value, overrides.warnings.iter().map(ToString::to_string).collect()))
}

fn read_root(root: &Node) -> Result<Config, Reported> {
    let mut config = Config::default();
    if root.is_null() {
        return Ok(config);
    }
    let map = root.map()?;
    map.set(&mut config.auth_enabled, "auth_enabled", Node::bool);
    let mut limits = Limits::default();
    if let Some(node) = map.optional("limits_config") {
        limits::read_into(&node, &mut limits)?;
    }
    blocks::read(&map, &mut config, &mut limits)?;
    let common_dir = config.ruler.common_dir.take();
    map.set(&mut config.ruler, "ruler", ruler::read);
    config.ruler.rules_dir = config.ruler.rules_dir.take().or(common_dir);
    map.without_meaning(&keys::TOP_LEVEL, keys::NO_MEANING);
    map.finish()?;
    config.limits = Arc::new(limits);
    Ok(config)
}

/// A duration in Prometheus' form or else in Go's.
fn duration(node: &Node) -> Result<Duration, Reported> {
    node.parse_with(|text| {
        let nanos = match parse_duration_ms(text) {
            Ok(ms) => ms.saturating_mul(1_000_000),
            Err(_) => parse_go_duration_ns(text)?,
        };
        Ok::<_, model::ParseDurationError>(Duration::from_nanos(nanos.max(0) as u64))
    })
}

/// A duration whose zero means "none".
fn positive_duration(node: &Node) -> Result<Option<Duration>, Reported> {
    duration(node).map(|duration| (!duration.is_zero()).then_some(duration))
}

/// Reads a block if it is there; what `read` does not ask for is an error.
fn block(map: &Map, key: &str, read: impl FnOnce(&Map) -> Result<(), Reported>) -> Result<(), Reported> {
    let Some(node) = map.optional(key) else { return Ok(()) };
    let block = node.map()?;
    read(&block)?;
    block.finish()
}

#[cfg(test)]
mod tests;
