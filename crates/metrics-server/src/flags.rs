//! The server's flags, named as Prometheus names them.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use model::{ByteSize, parse_duration_ms};
use service::Failure;

/// What Prometheus exits with when a flag of the agent is given to a server.
const WRONG_MODE_EXIT_CODE: u8 = 3;

/// Prometheus' switches and what this server makes of them.
const KNOWN_FEATURES: [&str; 25] = [
    "exemplar-storage",
    "memory-snapshot-on-shutdown",
    "extra-scrape-metrics",
    "created-timestamp-zero-ingestion",
    "concurrent-rule-eval",
    "delayed-compaction",
    "promql-experimental-functions",
    "promql-delayed-name-removal",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-per-step-stats",
    "use-start-timestamps",
    "st-storage",
    "st-synthesis",
    "xor2-encoding",
    "histograms-st-encoding",
    "metadata-wal-records",
    "type-and-unit-labels",
    "otlp-deltatocumulative",
    "otlp-native-delta-ingestion",
    "search-api",
    "fast-startup",
    "promql-duration-expr",
    "native-histograms",
    "auto-reload-config",
];

/// The flags.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Configuration file
    #[arg(long = "config.file", value_name = "FILE", default_value = "prometheus.yml")]
    pub config_file: PathBuf,
    /// Another place for a rule file that the configuration names, as FROM=TO
    #[arg(long = "config.path-alias", hide = true, value_name = "FROM=TO", action = ArgAction::Append)]
    pub path_aliases: Vec<String>,
    /// Another address for a name in requests, as NAME:PORT=ADDRESS
    #[arg(long = "web.host-alias", hide = true, value_name = "NAME:PORT=ADDRESS", action = ArgAction::Append)]
    pub host_aliases: Vec<String>,
    /// Address to listen on; may be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "0.0.0.0:9090", action = ArgAction::Append)]
    pub listen_address: Vec<String>,
    /// Prometheus' web configuration file, for TLS and basic authentication
    #[arg(long = "web.config.file", value_name = "FILE", default_value = "")]
    pub web_config_file: String,
    /// Longest pause within a request, and idle time of a connection
    #[arg(long = "web.read-timeout", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub read_timeout_ms: i64,
    /// Connections at a time
    #[arg(long = "web.max-connections", value_name = "N", default_value_t = 512)]
    pub max_connections: usize,
    /// The most results that a request of the search API may ask for; 0 for no bound
    #[arg(
        long = "web.search.max-limit",
        value_name = "N",
        default_value_t = 10_000,
        allow_hyphen_values = true
    )]
    pub search_max_limit: i64,
    /// Subscribers to live notifications at a time
    #[arg(long = "web.max-notifications-subscribers", value_name = "N", default_value_t = 16)]
    pub max_notifications_subscribers: usize,
    /// URL under which this server is reached from outside, for links and alerts
    #[arg(long = "web.external-url", value_name = "URL", default_value = "")]
    pub external_url: String,
    /// Prefix of all routes; the path of the external URL by default
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,
    /// Enables /-/reload and /-/quit
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Enables deletion, snapshots and clean-up over HTTP
    #[arg(long = "web.enable-admin-api")]
    pub enable_admin_api: bool,
    /// Enables /api/v1/write
    #[arg(long = "web.enable-remote-write-receiver")]
    pub enable_remote_write_receiver: bool,
    /// Messages that /api/v1/write takes
    #[arg(long = "web.remote-write-receiver.accepted-protobuf-messages", value_name = "NAME", action = ArgAction::Append)]
    pub accepted_messages: Vec<String>,
    /// Enables OTLP ingestion
    #[arg(long = "web.enable-otlp-receiver")]
    pub enable_otlp_receiver: bool,
    /// Title of the pages
    #[arg(long = "web.page-title", value_name = "TEXT", default_value = "Watchbell metrics")]
    pub page_title: String,
    /// Anchored regular expression of origins whose pages may read answers
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    pub cors_origin: String,
    /// Accepted for compatibility
    #[arg(long = "web.user-assets", hide = true, value_name = "DIR")]
    pub user_assets: Option<String>,
    /// Accepted for compatibility
    #[arg(long = "web.console.templates", hide = true, value_name = "DIR")]
    pub console_templates: Option<String>,
    /// Accepted for compatibility
    #[arg(long = "web.console.libraries", hide = true, value_name = "DIR")]
    pub console_libraries: Option<String>,
    /// Data directory
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data/")]
    pub tsdb_path: PathBuf,
    /// How long samples are kept (15d unless a size is set)
    #[arg(long = "storage.tsdb.retention.time", value_name = "DURATION", value_parser = duration)]
    pub retention_time_ms: Option<i64>,
    /// How many bytes blocks may take, such as 512MB
    #[arg(long = "storage.tsdb.retention.size", value_name = "SIZE", default_value = "0", value_parser = ByteSize::parse)]
    pub retention_size: ByteSize,
    /// When a sample is acknowledged: written (survives a kill) or always (synced; survives power loss)
    #[arg(long = "storage.sync", value_name = "POLICY", default_value = "written", value_parser = ["written", "always"])]
    pub sync: String,
    /// Skips the lock file
    #[arg(long = "storage.tsdb.no-lockfile")]
    pub no_lockfile: bool,
    /// Span of the blocks that are cut from the head
    #[arg(long = "storage.tsdb.min-block-duration", hide = true, default_value = "2h", value_parser = duration)]
    pub min_block_duration_ms: i64,
    /// Longest span of a compacted block
    #[arg(long = "storage.tsdb.max-block-duration", hide = true, default_value = "0", value_parser = duration)]
    pub max_block_duration_ms: i64,
    /// Size of a segment of the log
    #[arg(long = "storage.tsdb.wal-segment-size", hide = true, default_value = "128MB", value_parser = ByteSize::parse)]
    pub wal_segment_size: ByteSize,
    /// Compresses the log (on by default)
    #[arg(long = "storage.tsdb.wal-compression", hide = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub wal_compression: bool,
    /// Accepted for compatibility
    #[arg(long = "storage.tsdb.head-chunks-write-queue-size", hide = true, value_name = "N")]
    pub head_chunks_write_queue_size: Option<u64>,
    /// Largest outage after which the `for` state of alerts is restored
    #[arg(long = "rules.alert.for-outage-tolerance", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub for_outage_tolerance_ms: i64,
    /// Least time between restore and firing
    #[arg(long = "rules.alert.for-grace-period", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub for_grace_period_ms: i64,
    /// Least time between two sendings of an alert
    #[arg(long = "rules.alert.resend-delay", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub resend_delay_ms: i64,
    /// Rules evaluated at a time
    #[arg(long = "rules.max-concurrent-evals", value_name = "N", default_value_t = 4)]
    pub max_concurrent_evals: usize,
    /// Alerts that wait for one Alertmanager
    #[arg(long = "alertmanager.notification-queue-capacity", value_name = "N", default_value_t = 10_000)]
    pub notification_queue_capacity: usize,
    /// Alerts in one request
    #[arg(long = "alertmanager.notification-batch-size", value_name = "N", default_value_t = 256)]
    pub notification_batch_size: usize,
    /// Sends waiting alerts before stopping (on by default)
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub drain_notification_queue: bool,
    /// How far back an instant selector looks
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub lookback_delta_ms: i64,
    /// Longest time of a query
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub query_timeout_ms: i64,
    /// Queries at a time; others wait
    #[arg(long = "query.max-concurrency", value_name = "N", default_value_t = 20)]
    pub query_max_concurrency: usize,
    /// Samples that a query may hold in memory
    #[arg(long = "query.max-samples", value_name = "N", default_value_t = 50_000_000)]
    pub query_max_samples: u64,
    /// Memory that all queries together may take
    #[arg(long = "query.max-memory", value_name = "SIZE", default_value = "2GB", value_parser = ByteSize::parse)]
    pub query_max_memory: ByteSize,
    /// Snaps timestamps that are nearly on the interval (on by default)
    #[arg(long = "scrape.adjust-timestamps", hide = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub adjust_timestamps: bool,
    /// How near is nearly
    #[arg(long = "scrape.timestamp-tolerance", hide = true, default_value = "2ms", value_parser = duration)]
    pub timestamp_tolerance_ms: i64,
    /// Least time between two updates of targets by discovery
    #[arg(long = "scrape.discovery-reload-interval", hide = true, default_value = "5s", value_parser = duration)]
    pub discovery_reload_interval_ms: i64,
    /// Features to switch on, separated by commas
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',', action = ArgAction::Append)]
    pub features: Vec<String>,
    /// Runs as an agent (not built)
    #[arg(long = "agent")]
    pub agent: bool,
    /// Of the agent
    #[arg(long = "storage.agent.path", hide = true, value_name = "DIR")]
    pub agent_path: Option<String>,
    /// How long samples that wait for a remote write may take when the server stops or their entry changes
    #[arg(long = "storage.remote.flush-deadline", default_value = "1m", value_parser = duration)]
    pub remote_flush_deadline_ms: i64,
    /// Samples that a remote read may answer with where it is not streamed; 0 for no bound
    #[arg(long = "storage.remote.read-sample-limit", value_name = "N", default_value_t = 50_000_000)]
    pub read_sample_limit: u64,
    /// Remote reads at a time; 0 for no bound
    #[arg(long = "storage.remote.read-concurrent-limit", value_name = "N", default_value_t = 10)]
    pub read_concurrent_limit: usize,
    /// Bytes of a frame of a streamed remote read
    #[arg(long = "storage.remote.read-max-bytes-in-frame", value_name = "N", default_value_t = 1_048_576)]
    pub read_frame_bytes: usize,
}

fn duration(text: &str) -> Result<i64, String> {
    parse_duration_ms(text).map_err(|error| error.to_string())
}

impl Flags {
    /// Refuses flags that contradict each other; names of features that are not known only warn.
    ///
    /// # Errors
    /// With Prometheus' exit code.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.agent || self.agent_path.is_some() {
            let error = "the agent mode is not built: run without --agent and --storage.agent.path";
            return Err(Failure { exit_code: WRONG_MODE_EXIT_CODE, error: error.into() });
        }
        if self.search_max_limit < 0 {
            return Err(Failure::runtime("--web.search.max-limit must not be negative: 0 is no bound"));
        }
        for feature in &self.features {
            if !KNOWN_FEATURES.contains(&feature.as_str()) {
                tracing::warn!(feature, "unknown feature is ignored");
            }
        }
        if self.has_feature("otlp-deltatocumulative") {
            return Err(Failure::runtime("the feature otlp-deltatocumulative is known but not built yet"));
        }
        Ok(())
    }

    /// Whether a feature is switched on.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature == name)
    }

    /// The path prefix of all routes: that of the flag, or the external URL's path.
    pub fn effective_route_prefix(&self) -> String {
        let path = match &self.route_prefix {
            Some(prefix) => prefix.clone(),
            None => url::Url::parse(&self.external_url).map(|url| url.path().to_owned()).unwrap_or_default(),
        };
        format!("/{}", path.trim_matches('/'))
    }
}
