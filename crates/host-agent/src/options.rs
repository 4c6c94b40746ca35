//! What an agent is made from.

use std::path::PathBuf;

use http_client::HostAliases;

use crate::containers::ContainerOptions;
use crate::files::Roots;
use crate::host::HostOptions;

/// Settings of one agent: what flags and defaults come to.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Where it listens: `host:port`, `:port`; port 0 for any.
    pub listen_address: String,
    /// Path of the metrics.
    pub metrics_path: String,
    /// Where all paths begin, `/` by default.
    pub base_prefix: String,
    /// Prometheus' web configuration file.
    pub web_config: Option<PathBuf>,
    /// The machine's file trees.
    pub roots: Roots,
    /// Host metrics.
    pub host: HostOptions,
    /// Container metrics.
    pub containers: ContainerOptions,
    /// The Docker API's address, where it is not the usual socket.
    pub docker_host: Option<String>,
    /// The machine's name in labels; found out where it is not given.
    pub host_name: Option<String>,
    /// Where positions and waiting lines are kept.
    pub data_dir: PathBuf,
    /// Which logs go where.
    pub logs: LogSetup,
    /// Where names in the log configuration are found instead.
    pub aliases: HostAliases,
    /// What is to be said once at the start.
    pub warnings: Vec<String>,
}

/// Which logs go where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSetup {
    /// None.
    Off,
    /// All containers (without Docker the journal and the readable files under /var/log) to a log server.
    Defaults {
        /// The log server, such as `http://127.0.0.1:3100`.
        server: String,
    },
    /// What a file in Vector's format says.
    File(PathBuf),
}

impl AgentOptions {
    /// An agent for this machine with defaults: metrics on `listen_address`, logs to `log_server`, state in `data_dir`.
    ///
    /// # Errors
    /// Where a default pattern does not compile, which a test rules out.
    pub fn for_this_machine(
        listen_address: String,
        log_server: String,
        data_dir: PathBuf,
    ) -> Result<Self, go_regex::RegexError> {
        Ok(Self {
            listen_address,
            metrics_path: "/metrics".to_owned(),
            base_prefix: "/".to_owned(),
            web_config: None,
            roots: Roots::detect(None, None, None),
            host: HostOptions::defaults()?,
            containers: ContainerOptions::default(),
            docker_host: None,
            host_name: None,
            data_dir,
            logs: LogSetup::Defaults { server: log_server },
            aliases: HostAliases::default(),
            warnings: Vec::new(),
        })
    }
}
