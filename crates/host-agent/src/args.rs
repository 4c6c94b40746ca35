//! Flags: cAdvisor's, node_exporter's and Vector's, so that an existing command line works.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use go_regex::Regex;
use http_client::HostAliases;
use service::Failure;

use crate::containers::{ContainerOptions, DEFAULT_OFF_SETS, METRIC_SETS};
use crate::files::Roots;
use crate::host::{HostOptions, UNBUILT_COLLECTORS, collector_names};
use crate::options::{AgentOptions, LogSetup};

/// The agent's flags.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// Address to listen on.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", env = "WATCHBELL_AGENT_LISTEN")]
    listen_address: Option<String>,
    /// Port to listen on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// IP address to listen on, all by default.
    #[arg(long = "listen_ip", default_value = "")]
    listen_ip: String,
    /// Path of the metrics.
    #[arg(long = "web.telemetry-path", alias = "prometheus_endpoint", default_value = "/metrics")]
    metrics_path: String,
    /// Prefix of all paths.
    #[arg(long = "url_base_prefix", default_value = "")]
    base_prefix: String,
    /// TLS and basic auth of the listener, as Prometheus' exporters have them.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Log configuration in Vector's format (toml, yaml, json).
    #[arg(
        short = 'c',
        long = "config",
        alias = "config-toml",
        alias = "config-yaml",
        alias = "config-json",
        alias = "config.file",
        value_name = "FILE",
        env = "VECTOR_CONFIG"
    )]
    config: Option<PathBuf>,
    /// Log server that takes the lines where no configuration file is given (http://127.0.0.1:3100); empty for no logs.
    #[arg(long = "logs.server", value_name = "URL", env = "WATCHBELL_LOG_SERVER")]
    log_server: Option<String>,
    /// Where a name of the log configuration is found instead; for several services in one process.
    #[arg(long = "web.host-alias", hide = true, value_name = "NAME:PORT=ADDRESS", action = ArgAction::Append)]
    host_aliases: Vec<String>,
    /// Name of this machine in the labels `host` and `containers`.
    #[arg(long = "host-name", value_name = "NAME", env = "WATCHBELL_HOST_NAME")]
    host_name: Option<String>,
    /// Directory for positions and for lines that wait for the log server.
    #[arg(
        long = "storage.path",
        alias = "data-dir",
        value_name = "DIR",
        default_value = "data/agent",
        env = "WATCHBELL_AGENT_DATA"
    )]
    data_dir: PathBuf,
    #[command(flatten)]
    containers: ContainerFlags,
    #[command(flatten)]
    host: HostFlags,
    #[command(flatten)]
    collectors: CollectorFlags,
    #[command(flatten)]
    ignored: IgnoredFlags,
}

#[derive(Clone, Debug, Args)]
struct ContainerFlags {
    /// Docker API: unix:///path, tcp://host:port.
    #[arg(long, alias = "podman", value_name = "ADDRESS", env = "DOCKER_HOST")]
    docker: Option<String>,
    /// Make every container label a metric label; by default those of compose's identity only.
    #[arg(long = "store_container_labels", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    store_container_labels: Option<bool>,
    /// Container labels that become metric labels, separated by commas.
    #[arg(long = "whitelisted_container_labels", value_delimiter = ',')]
    whitelisted_container_labels: Vec<String>,
    /// Prefixes of environment variables that become metric labels, separated by commas.
    #[arg(long = "env_metadata_whitelist", alias = "docker_env_metadata_whitelist", value_delimiter = ',')]
    env_metadata_whitelist: Vec<String>,
    /// Metric sets that are off; replaces the default list.
    #[arg(long = "disable_metrics", value_delimiter = ',')]
    disable_metrics: Option<Vec<String>>,
    /// Metric sets that are on; replaces all defaults.
    #[arg(long = "enable_metrics", value_delimiter = ',')]
    enable_metrics: Option<Vec<String>>,
    /// Write the time of each container sample, as cAdvisor does.
    #[arg(long)]
    timestamps: bool,
    /// Leave out cgroups that are no container.
    #[arg(long = "docker_only", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    docker_only: Option<bool>,
    /// Leave out the root cgroup.
    #[arg(long = "disable_root_cgroup_stats")]
    disable_root_cgroup_stats: bool,
    /// Files that may hold the machine's id, separated by commas.
    #[arg(long = "machine_id_file", value_delimiter = ',')]
    machine_id_file: Vec<String>,
    /// Files that may hold the boot's id, separated by commas.
    #[arg(long = "boot_id_file", value_delimiter = ',')]
    boot_id_file: Vec<String>,
}

#[derive(Clone, Debug, Args)]
struct HostFlags {
    /// Where the machine's root directory is mounted.
    #[arg(long = "path.rootfs", value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Where the machine's procfs is mounted.
    #[arg(long = "path.procfs", value_name = "DIR")]
    procfs: Option<PathBuf>,
    /// Where the machine's sysfs is mounted.
    #[arg(long = "path.sysfs", value_name = "DIR")]
    sysfs: Option<PathBuf>,
    /// Directories of *.prom files; may be repeated and hold patterns.
    #[arg(long = "collector.textfile.directory", value_name = "DIR")]
    textfile_directory: Vec<String>,
    /// Mount points that are left out.
    #[arg(
        long = "collector.filesystem.mount-points-exclude",
        alias = "collector.filesystem.ignored-mount-points"
    )]
    mount_points_exclude: Option<String>,
    /// File system types that are left out.
    #[arg(long = "collector.filesystem.fs-types-exclude", alias = "collector.filesystem.ignored-fs-types")]
    fs_types_exclude: Option<String>,
    /// How long a file system may take to tell its sizes.
    #[arg(long = "collector.filesystem.mount-timeout", default_value = "5s")]
    mount_timeout: String,
    /// Block devices that are left out.
    #[arg(long = "collector.diskstats.device-exclude", alias = "collector.diskstats.ignored-devices")]
    diskstats_exclude: Option<String>,
    /// Block devices that alone are taken.
    #[arg(long = "collector.diskstats.device-include")]
    diskstats_include: Option<String>,
    /// Network devices that are left out.
    #[arg(long = "collector.netdev.device-exclude", alias = "collector.netdev.device-blacklist")]
    netdev_exclude: Option<String>,
    /// Network devices that alone are taken.
    #[arg(long = "collector.netdev.device-include", alias = "collector.netdev.device-whitelist")]
    netdev_include: Option<String>,
    /// Network devices without attributes.
    #[arg(long = "collector.netclass.ignored-devices")]
    netclass_exclude: Option<String>,
    /// Fields of /proc/vmstat that are taken.
    #[arg(long = "collector.vmstat.fields")]
    vmstat_fields: Option<String>,
    /// Fields of the network protocols that are taken.
    #[arg(long = "collector.netstat.fields")]
    netstat_fields: Option<String>,
}

/// `--collector.NAME` and `--no-collector.NAME`.
#[derive(Clone, Debug, Default)]
struct CollectorFlags {
    enabled: BTreeSet<String>,
    disabled: BTreeSet<String>,
    disable_defaults: bool,
}

impl FromArgMatches for CollectorFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |prefix: &str| -> BTreeSet<String> {
            let names = collector_names().chain(UNBUILT_COLLECTORS.iter().copied());
            names.filter(|name| matches.get_flag(&format!("{prefix}{name}"))).map(str::to_owned).collect()
        };
        Ok(Self {
            enabled: given("collector."),
            disabled: given("no-collector."),
            disable_defaults: matches.get_flag("collector.disable-defaults"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for CollectorFlags {
    fn augment_args(mut command: Command) -> Command {
        let switch = |name: String| Arg::new(name.clone()).long(name).action(ArgAction::SetTrue).hide(true);
        for name in collector_names().chain(UNBUILT_COLLECTORS.iter().copied()) {
            command =
                command.arg(switch(format!("collector.{name}"))).arg(switch(format!("no-collector.{name}")));
        }
        let help = "Run only the collectors that --collector.NAME names; --no-collector.NAME turns one off";
        command.arg(
            Arg::new("collector.disable-defaults")
                .long("collector.disable-defaults")
                .action(ArgAction::SetTrue)
                .help(help),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Flags of the originals that have no meaning here: accepted, and named in one warning.
const IGNORED_VALUES: &[&str] = &[
    "housekeeping_interval",
    "max_housekeeping_interval",
    "global_housekeeping_interval",
    "storage_duration",
    "storage_driver",
    "containerd",
    "containerd-namespace",
    "raw_cgroup_prefix_whitelist",
    "update_machine_info_interval",
    "max_procs",
    "v",
    "vmodule",
    "stderrthreshold",
    "log_dir",
    "log_backtrace_at",
    "event_storage_age_limit",
    "event_storage_event_limit",
    "application_metrics_count_limit",
    "web.max-requests",
    "path.udev.data",
    "threads",
    "docker_root",
    "perf_events_config",
    "resctrl_interval",
];
const IGNORED_SWITCHES: &[&str] = &[
    "allow_dynamic_housekeeping",
    "enable_load_reader",
    "profiling",
    "logtostderr",
    "alsologtostderr",
    "skip_headers",
    "one_output",
    "log_cadvisor_usage",
    "web.disable-exporter-metrics",
    "require-healthy",
    "watch-config",
    "referenced_reset_interval",
];
/// Flags that protect something: to ignore them would be dangerous.
const REFUSED: &[(&str, &str)] = &[
    ("http_auth_file", "use --web.config.file with basic_auth_users"),
    ("http_digest_file", "digest authentication is not built: use --web.config.file with basic_auth_users"),
    ("docker-tls-ca", "TLS to the docker API is not built: reach it over its socket"),
    ("docker-tls-cert", "TLS to the docker API is not built: reach it over its socket"),
    ("docker-tls-key", "TLS to the docker API is not built: reach it over its socket"),
];

#[derive(Clone, Debug, Default)]
struct IgnoredFlags {
    ignored: Vec<&'static str>,
    refused: Vec<String>,
}

impl FromArgMatches for IgnoredFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let from_line =
            |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        let all = IGNORED_VALUES.iter().chain(IGNORED_SWITCHES);
        let ignored = all.filter(|name| from_line(name)).copied().collect();
        let refused = REFUSED.iter().filter(|(name, _)| from_line(name));
        let refused = refused.map(|(name, why)| format!("--{name} has no effect here: {why}")).collect();
        Ok(Self { ignored, refused })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for IgnoredFlags {
    fn augment_args(mut command: Command) -> Command {
        for name in IGNORED_VALUES.iter().chain(REFUSED.iter().map(|(name, _)| name)) {
            command = command.arg(Arg::new(*name).long(*name).action(ArgAction::Append).hide(true));
        }
        for name in IGNORED_SWITCHES {
            command = command.arg(Arg::new(*name).long(*name).action(ArgAction::SetTrue).hide(true));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Flags {
    /// Where the listener's health page is.
    pub fn health_url(&self) -> String {
        let address = self.listen();
        let (host, port) = address.rsplit_once(':').unwrap_or((&address, "8080"));
        let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
        let scheme = if self.web_config.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{port}{}/-/healthy", self.base_prefix.trim_end_matches('/'))
    }

    fn listen(&self) -> String {
        let host = if self.listen_ip.is_empty() { "0.0.0.0" } else { &self.listen_ip };
        let given = self.listen_address.clone().filter(|address| !address.is_empty());
        given.unwrap_or_else(|| format!("{host}:{}", self.port))
    }

    /// What the flags come to.
    ///
    /// # Errors
    /// Where a pattern, a duration or a metric set is wrong, naming the flag.
    pub fn into_options(self) -> Result<AgentOptions, Failure> {
        if let Some(refused) = self.ignored.refused.first() {
            return Err(Failure::usage(refused.clone()));
        }
        let mut warnings: Vec<String> = Vec::new();
        if !self.ignored.ignored.is_empty() {
            warnings.push(format!("flags without effect here: --{}", self.ignored.ignored.join(", --")));
        }
        for name in UNBUILT_COLLECTORS.iter().filter(|name| self.collectors.enabled.contains(**name)) {
            warnings.push(format!("--collector.{name} is not built: its metrics are absent"));
        }
        let listen_address = self.listen();
        let roots = Roots::detect(
            self.host.rootfs.as_deref(),
            self.host.procfs.as_deref(),
            self.host.sysfs.as_deref(),
        );
        let logs = log_setup(self.config, self.log_server);
        let aliases = HostAliases::parse(&self.host_aliases)
            .map_err(|error| Failure::usage(format!("--web.host-alias: {error}")))?;
        Ok(AgentOptions {
            listen_address,
            metrics_path: self.metrics_path,
            base_prefix: if self.base_prefix.is_empty() { "/".to_owned() } else { self.base_prefix },
            web_config: self.web_config,
            roots,
            host: host_options(&self.host, self.collectors)?,
            docker_host: self.containers.docker.clone().filter(|host| !host.is_empty()),
            containers: container_options(self.containers)?,
            host_name: self.host_name.filter(|name| !name.is_empty()),
            data_dir: self.data_dir,
            logs,
            aliases,
            warnings,
        })
    }
}

/// The given file, else the given server, else Vector's default file where it exists, else the log server on this machine.
fn log_setup(config: Option<PathBuf>, server: Option<String>) -> LogSetup {
    const DEFAULT_FILES: [&str; 3] =
        ["/etc/vector/vector.yaml", "/etc/vector/vector.toml", "/etc/vector/vector.json"];
    const DEFAULT_SERVER: &str = "http://127.0.0.1:3100";
    let default_file = || DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    match (config, server) {
        (Some(path), _) => LogSetup::File(path),
        (None, Some(server)) if server.is_empty() => LogSetup::Off,
        (None, Some(server)) => LogSetup::Defaults { server },
        (None, None) => default_file()
            .map_or_else(|| LogSetup::Defaults { server: DEFAULT_SERVER.to_owned() }, LogSetup::File),
    }
}

fn host_options(flags: &HostFlags, collectors: CollectorFlags) -> Result<HostOptions, Failure> {
    let mut options = HostOptions::defaults().map_err(Failure::runtime)?;
    options.enabled = collectors.enabled;
    options.disabled = collectors.disabled;
    options.disable_defaults = collectors.disable_defaults;
    options.textfile_directories.clone_from(&flags.textfile_directory);
    options.mount_timeout = parse_timeout(&flags.mount_timeout)?;
    let filters = &mut options.filters;
    let patterns: [(&Option<String>, &mut Option<Regex>, &str); 9] = [
        (
            &flags.mount_points_exclude,
            &mut filters.mounts_exclude,
            "collector.filesystem.mount-points-exclude",
        ),
        (&flags.fs_types_exclude, &mut filters.fs_types_exclude, "collector.filesystem.fs-types-exclude"),
        (&flags.diskstats_exclude, &mut filters.diskstats_exclude, "collector.diskstats.device-exclude"),
        (&flags.diskstats_include, &mut filters.diskstats_include, "collector.diskstats.device-include"),
        (&flags.netdev_exclude, &mut filters.netdev_exclude, "collector.netdev.device-exclude"),
        (&flags.netdev_include, &mut filters.netdev_include, "collector.netdev.device-include"),
        (&flags.netclass_exclude, &mut filters.netclass_exclude, "collector.netclass.ignored-devices"),
        (&flags.vmstat_fields, &mut filters.vmstat_fields, "collector.vmstat.fields"),
        (&flags.netstat_fields, &mut filters.netstat_fields, "collector.netstat.fields"),
    ];
    for (given, slot, flag) in patterns {
        let Some(pattern) = given else { continue };
        let wrong = |error: go_regex::RegexError| Failure::usage(format!("--{flag}={pattern}: {error}"));
        *slot = if pattern.is_empty() { None } else { Some(Regex::new(pattern).map_err(wrong)?) };
    }
    Ok(options)
}

fn parse_timeout(text: &str) -> Result<Duration, Failure> {
    let parsed = model::parse_go_duration_ns(text).ok().and_then(|ns| u64::try_from(ns).ok());
    let wrong =
        || Failure::usage(format!("--collector.filesystem.mount-timeout={text} is no duration such as 5s"));
    parsed.map(Duration::from_nanos).ok_or_else(wrong)
}

fn container_options(flags: ContainerFlags) -> Result<ContainerOptions, Failure> {
    let mut options = ContainerOptions::default();
    let check = |flag: &str, names: &[String]| match names.iter().find(|n| !METRIC_SETS.contains(&n.as_str()))
    {
        Some(name) => {
            let known = METRIC_SETS.join(", ");
            Err(Failure::usage(format!("--{flag}: {name:?} is no metric set; there are {known}")))
        }
        None => Ok(()),
    };
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>();
    if let Some(disabled) = flags.disable_metrics.map(named) {
        check("disable_metrics", &disabled)?;
        // What is not built stays off, so that nothing is promised that does not come.
        let on = METRIC_SETS.iter().map(|set| (*set).to_owned()).filter(|set| !disabled.contains(set));
        options.sets = on.collect();
    }
    if let Some(enabled) = flags.enable_metrics.map(named) {
        check("enable_metrics", &enabled)?;
        options.sets = enabled.into_iter().collect();
    }
    debug_assert!(DEFAULT_OFF_SETS.iter().all(|set| METRIC_SETS.contains(set)));
    options.all_labels = flags.store_container_labels.unwrap_or(false);
    options.label_whitelist = named(flags.whitelisted_container_labels);
    options.env_whitelist = named(flags.env_metadata_whitelist);
    options.timestamps = flags.timestamps;
    options.docker_only = flags.docker_only.unwrap_or(true);
    options.disable_root = flags.disable_root_cgroup_stats;
    if !flags.machine_id_file.is_empty() {
        options.machine_id_files = flags.machine_id_file;
    }
    if !flags.boot_id_file.is_empty() {
        options.boot_id_files = flags.boot_id_file;
    }
    Ok(options)
}

#[cfg(test)]
mod tests;
