//! The server's flags, as Alertmanager has them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use model::parse_duration_ms;
use service::Failure;
use url::Url;

use crate::matchers::MatcherMode;
use crate::metrics::MetricLabels;
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

/// Flags of the cluster.
#[derive(Args, Clone, Debug)]
pub struct ClusterFlags {
    /// Address for peers, UDP and TCP; empty: work alone
    #[arg(long = "cluster.listen-address", default_value = "0.0.0.0:9094")]
    pub listen_address: String,
    /// Address that peers reach this one at, IP or IP:PORT; found out where not given
    #[arg(long = "cluster.advertise-address")]
    pub advertise_address: Option<String>,
    /// Name among the peers, whose order is that of notifications; random where not given
    #[arg(long = "cluster.peer-name")]
    pub peer_name: Option<String>,
    /// Peer to join, HOST:PORT; may be repeated
    #[arg(long = "cluster.peer")]
    pub peers: Vec<String>,
    /// How long to wait for each peer before this one
    #[arg(long = "cluster.peer-timeout", default_value = "15s", value_parser = duration)]
    pub peer_timeout: Duration,
    /// How long the names of peers may take to resolve at the start
    #[arg(long = "cluster.peers-resolve-timeout", default_value = "15s", value_parser = duration)]
    pub peers_resolve_timeout: Duration,
    /// How often changes are gossiped
    #[arg(long = "cluster.gossip-interval", default_value = "200ms", value_parser = duration)]
    pub gossip_interval: Duration,
    /// How often everything is exchanged with a peer; 0: only when one comes
    #[arg(long = "cluster.pushpull-interval", default_value = "1m", value_parser = duration)]
    pub pushpull_interval: Duration,
    /// How long a step of an exchange with a peer may take
    #[arg(long = "cluster.tcp-timeout", default_value = "10s", value_parser = duration)]
    pub tcp_timeout: Duration,
    /// How long a peer's answer to a probe may take
    #[arg(long = "cluster.probe-timeout", default_value = "500ms", value_parser = duration)]
    pub probe_timeout: Duration,
    /// How often a peer is probed
    #[arg(long = "cluster.probe-interval", default_value = "1s", value_parser = duration)]
    pub probe_interval: Duration,
    /// How long to wait at most for the cluster to come to rest before anything is sent
    #[arg(long = "cluster.settle-timeout", default_value = "1m", value_parser = duration)]
    pub settle_timeout: Duration,
    /// How often lost peers are tried
    #[arg(long = "cluster.reconnect-interval", default_value = "10s", value_parser = duration)]
    pub reconnect_interval: Duration,
    /// After how long lost peers are forgotten
    #[arg(long = "cluster.reconnect-timeout", default_value = "6h", value_parser = duration)]
    pub reconnect_timeout: Duration,
    /// File with TLS settings for both sides of connections between peers
    #[arg(long = "cluster.tls-config")]
    pub tls_config: Option<PathBuf>,
    /// Label of the cluster; packets with another one are ignored
    #[arg(long = "cluster.label", default_value = "")]
    pub label: String,
    /// Let a public address be found out as the one for peers
    #[arg(long = "cluster.allow-insecure-public-advertise-address-discovery")]
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

    /// Which labels metrics have by the features that are on.
    pub fn metric_labels(&self) -> MetricLabels {
        let has = |name: &str| self.features.iter().any(|feature| feature == name);
        MetricLabels {
            alert_names: has("alert-names-in-metrics"),
            receiver_names: has("receiver-name-in-metrics"),
            group_keys: has("group-key-in-metrics"),
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
