//! The server's flags, as Alertmanager has them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use model::parse_duration_ms;
use service::Failure;
use url::Url;

use crate::matchers::MatcherMode;
use crate::silences::SilenceLimits;

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration_ms(text)
        .map(|ms| Duration::from_millis(ms.unsigned_abs()))
        .map_err(|error| error.to_string())
}

/// The flags. Names and defaults are Alertmanager's.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Configuration file
    #[arg(long = "config.file", default_value = "alertmanager.yml")]
    pub config_file: PathBuf,
    /// Directory of silences, notification log and history
    #[arg(long = "storage.path", default_value = "data/")]
    pub storage_path: PathBuf,
    /// How long expired silences and log entries are kept
    #[arg(long = "data.retention", default_value = "120h", value_parser = duration)]
    pub retention: Duration,
    /// How often old state is removed and exported
    #[arg(long = "data.maintenance-interval", default_value = "15m", value_parser = duration)]
    pub maintenance_interval: Duration,
    /// How often resolved alerts are removed
    #[arg(long = "alerts.gc-interval", default_value = "30m", value_parser = duration)]
    pub alerts_gc_interval: Duration,
    /// Most alerts with one alertname; 0: no limit
    #[arg(long = "alerts.per-alertname-limit", default_value_t = 0)]
    pub per_alertname_limit: usize,
    /// Most silences, expired ones included; 0: no limit
    #[arg(long = "silences.max-silences", default_value_t = 0)]
    pub max_silences: usize,
    /// Largest silence in bytes; 0: no limit
    #[arg(long = "silences.max-silence-size-bytes", default_value_t = 0)]
    pub max_silence_bytes: usize,
    /// How long a notification that does not arrive is tried again
    #[arg(long = "outbox.retention", default_value = "24h", value_parser = duration)]
    pub outbox_retention: Duration,
    /// After how long a receiver that fails becomes an alert of its own; 0: never
    #[arg(long = "receivers.failing-alert-after", default_value = "5m", value_parser = duration)]
    pub failing_alert_after: Duration,
    /// Let an alert, WatchbellSelfCheck, fire always, so that a receiver sees that the way to it works
    #[arg(long = "self-check")]
    pub self_check: bool,
    /// Log changes of silences
    #[arg(long = "log.silences")]
    pub log_silences: bool,
    /// Accepted: empty groups are removed as they become empty
    #[arg(long = "dispatch.maintenance-interval", default_value = "30s", value_parser = duration)]
    pub dispatch_maintenance_interval: Duration,
    /// Send nothing for so long after the start
    #[arg(long = "dispatch.start-delay", default_value = "0s", value_parser = duration)]
    pub start_delay: Duration,
    /// URL under which users reach this server
    #[arg(long = "web.external-url", default_value = "")]
    pub external_url: String,
    /// Prefix of all paths; the path of --web.external-url where not given
    #[arg(long = "web.route-prefix")]
    pub route_prefix: Option<String>,
    /// Address to listen on; may be repeated
    #[arg(long = "web.listen-address", default_value = ":9093")]
    pub listen_addresses: Vec<String>,
    /// Prometheus web configuration file: TLS and basic authentication
    #[arg(long = "web.config.file")]
    pub web_config_file: Option<PathBuf>,
    /// GET requests at a time; 0: the number of cores, at least 8
    #[arg(long = "web.get-concurrency", default_value_t = 0)]
    pub get_concurrency: usize,
    /// Accepted: requests are bounded by themselves
    #[arg(long = "web.timeout", default_value = "0s", value_parser = duration)]
    pub web_timeout: Duration,
    /// Features to switch on, separated by commas
    #[arg(long = "enable-feature", default_value = "", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Accepted without effect
    #[arg(long = "auto-gomemlimit.ratio", default_value_t = 0.9, hide = true)]
    pub memory_ratio: f64,
    #[command(flatten)]
    /// Clustering.
    pub cluster: ClusterFlags,
}

/// Flags of the cluster: accepted, as clustering is not built.
#[derive(Args, Clone, Debug)]
pub struct ClusterFlags {
    /// Accepted: clustering is not built; empty switches the warning off
    #[arg(long = "cluster.listen-address", default_value = "")]
    pub listen_address: String,
    /// Accepted
    #[arg(long = "cluster.advertise-address", hide = true)]
    pub advertise_address: Option<String>,
    /// Accepted
    #[arg(long = "cluster.peer-name", hide = true)]
    pub peer_name: Option<String>,
    /// Accepted
    #[arg(long = "cluster.peer", hide = true)]
    pub peers: Vec<String>,
    /// Accepted
    #[arg(long = "cluster.peer-timeout", hide = true)]
    pub peer_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.peers-resolve-timeout", hide = true)]
    pub peers_resolve_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.gossip-interval", hide = true)]
    pub gossip_interval: Option<String>,
    /// Accepted
    #[arg(long = "cluster.pushpull-interval", hide = true)]
    pub pushpull_interval: Option<String>,
    /// Accepted
    #[arg(long = "cluster.tcp-timeout", hide = true)]
    pub tcp_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.probe-timeout", hide = true)]
    pub probe_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.probe-interval", hide = true)]
    pub probe_interval: Option<String>,
    /// Accepted
    #[arg(long = "cluster.settle-timeout", hide = true)]
    pub settle_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.reconnect-interval", hide = true)]
    pub reconnect_interval: Option<String>,
    /// Accepted
    #[arg(long = "cluster.reconnect-timeout", hide = true)]
    pub reconnect_timeout: Option<String>,
    /// Accepted
    #[arg(long = "cluster.tls-config", hide = true)]
    pub tls_config: Option<PathBuf>,
    /// Accepted
    #[arg(long = "cluster.label", hide = true)]
    pub label: Option<String>,
    /// Accepted
    #[arg(long = "cluster.allow-insecure-public-advertise-address-discovery", hide = true)]
    pub allow_insecure_public_advertise_address_discovery: bool,
}

/// Features that mean something to the original; unknown ones are refused.
const KNOWN_FEATURES: &[&str] = &[
    "alert-names-in-metrics",
    "receiver-name-in-metrics",
    "group-key-in-metrics",
    "classic-mode",
    "utf8-strict-mode",
    "auto-gomemlimit",
    "auto-gomaxprocs",
    "event-recorder",
];

impl Flags {
    /// Which grammar matchers are read in.
    pub fn matcher_mode(&self) -> Result<MatcherMode, Failure> {
        let features: Vec<&str> =
            self.features.iter().map(String::as_str).filter(|feature| !feature.is_empty()).collect();
        if let Some(unknown) = features.iter().find(|feature| !KNOWN_FEATURES.contains(feature)) {
            return Err(Failure::usage(format!("unknown option {unknown:?} for --enable-feature")));
        }
        let has = |name: &str| features.contains(&name);
        match (has("classic-mode"), has("utf8-strict-mode")) {
            (true, true) => {
                Err(Failure::usage("--enable-feature: classic-mode and utf8-strict-mode exclude each other"))
            }
            (true, false) => Ok(MatcherMode::Classic),
            (false, true) => Ok(MatcherMode::Utf8Strict),
            (false, false) => Ok(MatcherMode::Fallback),
        }
    }

    /// What silences are bound to.
    pub fn silence_limits(&self) -> SilenceLimits {
        SilenceLimits { count_max: self.max_silences, bytes_max: self.max_silence_bytes }
    }

    /// GET requests at a time.
    pub fn gets_max(&self) -> usize {
        match self.get_concurrency {
            0 => std::thread::available_parallelism().map_or(8, |cores| cores.get().max(8)),
            max => max,
        }
    }

    /// The URL for links, without a slash at its end; `port` is the one that was bound.
    pub fn external_url(&self, port: u16) -> Result<String, Failure> {
        if self.external_url.is_empty() {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let name = name.trim();
            let name = if name.is_empty() { "localhost" } else { name };
            return Ok(format!("http://{name}:{port}"));
        }
        let url = Url::parse(&self.external_url)
            .map_err(|error| Failure::usage(format!("--web.external-url {}: {error}", self.external_url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::usage(format!(
                "--web.external-url {}: http or https is needed",
                self.external_url
            )));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// Where the routes begin.
    pub fn route_prefix(&self) -> String {
        let prefix = match &self.route_prefix {
            Some(prefix) => prefix.clone(),
            None => Url::parse(&self.external_url).map(|url| url.path().to_owned()).unwrap_or_default(),
        };
        format!("/{}", prefix.trim_matches('/'))
    }

    /// Where `healthcheck` looks.
    pub fn health_url(&self) -> String {
        let address = self.listen_addresses.first().map_or(":9093", String::as_str);
        let port = address.rsplit(':').next().unwrap_or("9093");
        let host = match address.rsplit_once(':') {
            Some((host, _)) if !matches!(host, "" | "0.0.0.0" | "[::]") => host,
            _ => "127.0.0.1",
        };
        let scheme = if self.web_config_file.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{port}{}/-/healthy", self.route_prefix().trim_end_matches('/'))
    }
}
