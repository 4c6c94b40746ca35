//! Flags, with the original's names. What a flag says goes before the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use model::{ByteSize, parse_duration_ms, parse_go_duration_ns};
use service::Failure;

use crate::config::{self, LoadedConfig};

/// Files that are looked for where none is named.
const USUAL_FILES: [&str; 2] = ["config.yaml", "config/config.yaml"];

/// The flags of the service.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// Configuration file; of several with commas between them the first that exists
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<String>,
    /// Replace ${VAR} in the configuration file
    #[arg(long = "config.expand-env", action = ArgAction::SetTrue)]
    pub expand_env: bool,
    /// Check the configuration and end
    #[arg(long = "verify-config", action = ArgAction::SetTrue)]
    pub verify_config: bool,
    /// Parts to run; all run in this process
    #[arg(long = "target", value_name = "LIST")]
    pub target: Option<String>,
    /// Require a tenant with each request
    #[arg(long = "auth.enabled", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub auth_enabled: Option<bool>,
    /// Directory of the data
    #[arg(long = "storage.path", value_name = "DIR")]
    pub storage_path: Option<PathBuf>,
    /// When lines are synced to disk: deferred (within 1 s) or always (before the answer)
    #[arg(long = "storage.sync", value_name = "WHEN", value_parser = ["deferred", "always"], default_value = "deferred")]
    pub storage_sync: String,
    /// What stored lines may take on disk, of all tenants together: beyond it the oldest are deleted; 0 is no limit
    #[arg(long = "storage.retention.size", value_name = "SIZE", value_parser = size)]
    pub retention_size: Option<ByteSize>,
    /// Port of HTTP and gRPC
    #[arg(long = "server.http-listen-port", value_name = "PORT")]
    pub http_listen_port: Option<u16>,
    /// Address of HTTP and gRPC
    #[arg(long = "server.http-listen-address", value_name = "ADDRESS")]
    pub http_listen_address: Option<String>,
    /// A port for gRPC alone
    #[arg(long = "server.grpc-listen-port", value_name = "PORT")]
    pub grpc_listen_port: Option<u16>,
    /// What stands before all paths
    #[arg(long = "server.path-prefix", value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// File for TLS and basic authentication
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// How long entries are kept; 0 keeps them for ever
    #[arg(long = "store.retention", value_name = "DURATION", value_parser = duration)]
    pub retention: Option<Duration>,
    /// How long a query may take
    #[arg(long = "querier.query-timeout", value_name = "DURATION", value_parser = duration)]
    pub query_timeout: Option<Duration>,
    /// How many queries run at a time
    #[arg(long = "querier.max-concurrent", value_name = "COUNT")]
    pub max_concurrent: Option<usize>,
    /// Memory that queries may take together
    #[arg(long = "querier.memory-limit", value_name = "SIZE", value_parser = size, default_value = "512MB")]
    pub query_memory: ByteSize,
    /// Megabytes per second that a tenant may send
    #[arg(long = "distributor.ingestion-rate-limit-mb", value_name = "MB")]
    pub ingestion_rate_mb: Option<f64>,
    /// Megabytes that a tenant may send at once
    #[arg(long = "distributor.ingestion-burst-size-mb", value_name = "MB")]
    pub ingestion_burst_mb: Option<f64>,
    /// Addresses of Alertmanagers, with commas between them
    #[arg(long = "ruler.alertmanager-url", value_name = "URLS")]
    pub alertmanager_url: Option<String>,
    /// Directory with a directory of rule files for each tenant
    #[arg(long = "ruler.storage.local.directory", value_name = "DIR")]
    pub rules_dir: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let nanos = match parse_duration_ms(text) {
        Ok(ms) => ms.saturating_mul(1_000_000),
        Err(_) => parse_go_duration_ns(text).map_err(|error| error.to_string())?,
    };
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("{text:?} is negative"))
}

fn size(text: &str) -> Result<ByteSize, String> {
    ByteSize::parse(text).map_err(|error| error.to_string())
}

impl Flags {
    /// Reads the configuration file that the flags name and lays the other flags over it. Blocks.
    pub fn load(&self) -> Result<LoadedConfig, Failure> {
        let mut loaded = match self.file()? {
            Some(path) => config::load(&path, self.expand_env)?,
            None => LoadedConfig::without_file(),
        };
        self.apply(&mut loaded)?;
        Ok(loaded)
    }

    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        if let Some(list) = &self.config_file {
            let found = list.split(',').map(Path::new).find(|path| path.is_file());
            return match found {
                Some(path) => Ok(Some(path.to_owned())),
                None => {
                    Err(Failure::usage(format!("configuration file {list} does not exist (--config.file)")))
                }
            };
        }
        Ok(USUAL_FILES.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned))
    }

    fn apply(&self, loaded: &mut LoadedConfig) -> Result<(), Failure> {
        let config = &mut loaded.config;
        set(&mut config.auth_enabled, self.auth_enabled);
        set(&mut config.server.http_listen_port, self.http_listen_port);
        set(&mut config.server.http_listen_address, self.http_listen_address.clone());
        set(&mut config.server.http_path_prefix, self.path_prefix.clone());
        set(&mut config.max_concurrent, self.max_concurrent);
        if let Some(port) = self.grpc_listen_port {
            config.server.grpc_listen_port = (port > 0).then_some(port);
        }
        if let Some(dir) = &self.storage_path {
            config.data_dir = Some(dir.clone());
        }
        if let Some(dir) = &self.rules_dir {
            config.ruler.rules_dir = Some(dir.clone());
        }
        if let Some(list) = &self.alertmanager_url {
            let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
            let urls = words.map(|word| {
                http_client::Url::parse(word)
                    .map_err(|error| Failure::usage(format!("--ruler.alertmanager-url {word}: {error}")))
            });
            config.ruler.alertmanager_urls = urls.collect::<Result<_, _>>()?;
        }
        let mut limits = (*config.limits).clone();
        if let Some(period) = self.retention {
            limits.retention = (!period.is_zero()).then_some(period);
        }
        set(&mut limits.query_timeout, self.query_timeout);
        set(&mut limits.ingestion_rate_bytes, self.ingestion_rate_mb.map(|mb| mb * 1048576.0));
        set(&mut limits.ingestion_burst_bytes, self.ingestion_burst_mb.map(|mb| mb * 1048576.0));
        config.limits = Arc::new(limits);
        Ok(())
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
