//! The metrics, under Alertmanager's names.

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// The kinds of integrations, for metrics that are there before anything was sent.
const KINDS: &[&str] = &[
    "webhook",
    "email",
    "slack",
    "pagerduty",
    "telegram",
    "discord",
    "msteamsv2",
    "opsgenie",
    "victorops",
    "pushover",
    "wechat",
    "sns",
    "webex",
    "msteams",
    "jira",
    "rocketchat",
    "mattermost",
    "incidentio",
];
const REASONS: [&str; 7] = [
    "other",
    "clientError",
    "serverError",
    "contextCanceled",
    "contextDeadlineExceeded",
    "authError",
    "rateLimited",
];

/// The metrics of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) notifications: Family<Counter>,
    pub(crate) notifications_failed: Family<Counter>,
    pub(crate) requests: Family<Counter>,
    pub(crate) requests_failed: Family<Counter>,
    pub(crate) latency: Family<Histogram>,
    pub(crate) suppressed: Family<Counter>,
    pub(crate) received: Family<Counter>,
    pub(crate) invalid: Family<Counter>,
    pub(crate) limited: Counter,
    pub(crate) config_hash: Gauge,
    pub(crate) reload_ok: Gauge,
    pub(crate) reloaded_at: Gauge,
    pub(crate) receivers: Gauge,
    pub(crate) integrations: Family<Gauge>,
    pub(crate) inhibition_rules: Gauge,
    pub(crate) get_limited: Counter,
    pub(crate) maintenance: Counter,
    pub(crate) maintenance_errors: Counter,
    pub(crate) log_maintenance: Counter,
    pub(crate) log_maintenance_errors: Counter,
    pub(crate) history_errors: Counter,
    pub(crate) template_failures: Family<Counter>,
    pub(crate) outbox_dropped: Counter,
    pub(crate) told_by_peers: Counter,
}

impl Metrics {
    /// Registers them; `is_clustered`: whether there may be peers.
    pub fn register(registry: &Registry, is_clustered: bool) -> Self {
        let counter = |name: &str, help: &str| registry.counter(&format!("alertmanager_{name}"), help);
        let gauge = |name: &str, help: &str| registry.gauge(&format!("alertmanager_{name}"), help);
        let family = |name: &str, help: &str, labels: &[&str]| {
            registry.counter_family(&format!("alertmanager_{name}"), help, labels)
        };
        let bounds = [1.0, 5.0, 10.0, 15.0, 20.0];
        let metrics = Self {
            notifications: family("notifications_total", "Notifications sent or given up.", &["integration"]),
            notifications_failed: family(
                "notifications_failed_total",
                "Notifications given up.",
                &["integration", "reason"],
            ),
            requests: family("notification_requests_total", "Attempts to notify.", &["integration"]),
            requests_failed: family(
                "notification_requests_failed_total",
                "Attempts to notify that failed.",
                &["integration"],
            ),
            latency: registry.histogram_family(
                "alertmanager_notification_latency_seconds",
                "How long attempts to notify took.",
                &["integration"],
                &bounds,
            ),
            suppressed: family("notifications_suppressed_total", "Alerts that were kept back.", &["reason"]),
            received: family("alerts_received_total", "Alerts received.", &["status", "version"]),
            invalid: family("alerts_invalid_total", "Alerts received that were not valid.", &["version"]),
            limited: counter(
                "alerts_limited_total",
                "Alerts refused as there were too many with their name.",
            ),
            config_hash: gauge("config_hash", "Hash of the configuration in use."),
            reload_ok: gauge(
                "config_last_reload_successful",
                "Whether the last load of the configuration succeeded.",
            ),
            reloaded_at: gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded.",
            ),
            receivers: gauge("receivers", "Receivers in the configuration."),
            integrations: registry.gauge_family(
                "alertmanager_integrations",
                "Integrations in the configuration.",
                &["receiver_name"],
            ),
            inhibition_rules: gauge("inhibition_rules", "Inhibition rules in the configuration."),
            get_limited: counter(
                "http_concurrency_limit_exceeded_total",
                "GET requests refused as too many ran.",
            ),
            maintenance: counter("silences_maintenance_total", "Maintenance runs of the silences."),
            maintenance_errors: counter(
                "silences_maintenance_errors_total",
                "Maintenance runs of the silences that failed.",
            ),
            log_maintenance: counter("nflog_maintenance_total", "Maintenance runs of the notification log."),
            log_maintenance_errors: counter(
                "nflog_maintenance_errors_total",
                "Maintenance runs of the notification log that failed.",
            ),
            outbox_dropped: counter(
                "outbox_notifications_dropped_total",
                "Notifications that were given up, or found the outbox full.",
            ),
            told_by_peers: counter(
                "notifications_told_by_peers_total",
                "Notifications that were not sent as a peer, or a late letter, had told the same meanwhile.",
            ),
            template_failures: family(
                "notification_template_failures_total",
                "Messages that were sent plain as their template failed.",
                &["integration"],
            ),
            history_errors: counter(
                "events_dropped_total",
                "Events that could not be written to the history.",
            ),
        };
        metrics.show_all();
        gauge("cluster_enabled", "Whether clustering is on.").set(f64::from(u8::from(is_clustered)));
        registry.info(
            "alertmanager_build_info",
            "The version that runs.",
            &[("version", env!("CARGO_PKG_VERSION")), ("goversion", "rust")],
        );
        metrics
    }
    /// Series are there before anything was counted.
    fn show_all(&self) {
        for kind in KINDS {
            self.notifications.with(&[kind]);
            self.requests.with(&[kind]);
            self.requests_failed.with(&[kind]);
            self.latency.with(&[kind]);
            self.template_failures.with(&[kind]);
            for reason in REASONS {
                self.notifications_failed.with(&[kind, reason]);
            }
        }
        for reason in
            ["silence", "inhibition", "mute_time_interval", "active_time_interval", "acknowledgement"]
        {
            self.suppressed.with(&[reason]);
        }
        for status in ["firing", "resolved"] {
            self.received.with(&[status, "v2"]);
        }
        self.invalid.with(&["v2"]);
    }
}
