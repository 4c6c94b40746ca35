//! The metrics, under Alertmanager's names.

use std::time::Duration;

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

mod stores;

pub(crate) use stores::{QueryMetrics, StoreMetrics, Upkeep};

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

/// Which labels series have beside those that they always have, by `--enable-feature`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricLabels {
    /// `alertname` on what is received.
    pub alert_names: bool,
    /// `receiver_name` on notifications.
    pub receiver_names: bool,
    /// `group_key` on notifications and what is kept back.
    pub group_keys: bool,
}

impl MetricLabels {
    fn of_notifications<'l>(self, first: &'l str, receiver: &'l str, group_key: &'l str) -> Vec<&'l str> {
        let mut all = vec![first];
        all.extend(self.receiver_names.then_some(receiver));
        all.extend(self.group_keys.then_some(group_key));
        all
    }
}

/// Whose notification it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notified<'n> {
    /// The kind of integration.
    pub(crate) kind: &'n str,
    pub(crate) receiver: &'n str,
    pub(crate) group_key: &'n str,
}

/// The metrics of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    labels: MetricLabels,
    notifications: Family<Counter>,
    notifications_failed: Family<Counter>,
    requests: Family<Counter>,
    requests_failed: Family<Counter>,
    latency: Family<Histogram>,
    suppressed: Family<Counter>,
    received: Family<Counter>,
    invalid: Family<Counter>,
    pub(crate) limited: Counter,
    pub(crate) config_hash: Gauge,
    pub(crate) reload_ok: Gauge,
    pub(crate) reloaded_at: Gauge,
    pub(crate) receivers: Gauge,
    pub(crate) integrations: Family<Gauge>,
    pub(crate) inhibition_rules: Gauge,
    pub(crate) get_limited: Counter,
    pub(crate) silences: StoreMetrics,
    pub(crate) log: StoreMetrics,
    pub(crate) silence_queries: QueryMetrics,
    pub(crate) taken_in: Counter,
    pub(crate) taking_in: Histogram,
    pub(crate) history_errors: Counter,
    pub(crate) template_failures: Family<Counter>,
    pub(crate) outbox_dropped: Counter,
    pub(crate) told_by_peers: Counter,
}

impl Metrics {
    /// Registers them; `is_clustered`: whether there may be peers.
    pub fn register(registry: &Registry, is_clustered: bool, labels: MetricLabels) -> Self {
        let about = labels.of_notifications("integration", "receiver_name", "group_key");
        let with_reason: Vec<&str> = about.iter().copied().chain(["reason"]).collect();
        let kept_back: Vec<&str> =
            ["reason"].into_iter().chain(labels.group_keys.then_some("group_key")).collect();
        let named = |names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().chain(labels.alert_names.then_some("alertname")).collect()
        };
        let counter = |name: &str, help: &str| registry.counter(&format!("alertmanager_{name}"), help);
        let gauge = |name: &str, help: &str| registry.gauge(&format!("alertmanager_{name}"), help);
        let family = |name: &str, help: &str, labels: &[&str]| {
            registry.counter_family(&format!("alertmanager_{name}"), help, labels)
        };
        let bounds = [1.0, 5.0, 10.0, 15.0, 20.0];
        let metrics = Self {
            labels,
            notifications: family("notifications_total", "Notifications sent or given up.", &about),
            notifications_failed: family(
                "notifications_failed_total",
                "Notifications given up.",
                &with_reason,
            ),
            requests: family("notification_requests_total", "Attempts to notify.", &about),
            requests_failed: family(
                "notification_requests_failed_total",
                "Attempts to notify that failed.",
                &about,
            ),
            latency: registry.histogram_family(
                "alertmanager_notification_latency_seconds",
                "How long attempts to notify took.",
                &about,
                &bounds,
            ),
            suppressed: family("notifications_suppressed_total", "Alerts that were kept back.", &kept_back),
            received: family("alerts_received_total", "Alerts received.", &named(&["status", "version"])),
            invalid: family(
                "alerts_invalid_total",
                "Alerts received that were not valid.",
                &named(&["version"]),
            ),
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
            silences: StoreMetrics::of_silences(registry),
            log: StoreMetrics::of_log(registry),
            silence_queries: QueryMetrics::register(registry),
            taken_in: family(
                "alerts_subscriber_channel_writes_total",
                "Alerts that were handed on.",
                &["subscriber"],
            )
            .with(&["dispatcher"]),
            taking_in: registry.histogram(
                "alertmanager_dispatcher_alert_processing_duration_seconds",
                "How long it took to group the alerts of a post.",
                &[0.0001, 0.001, 0.01, 0.1, 1.0],
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
        register_constants(registry, is_clustered);
        metrics
    }

    /// Whether alerts are counted by their names.
    pub(crate) fn names_alerts(&self) -> bool {
        self.labels.alert_names
    }

    /// Alerts were received.
    pub(crate) fn received(&self, status: &str, alert_name: &str, alerts: u64) {
        match self.labels.alert_names {
            true => self.received.with(&[status, "v2", alert_name]).add(alerts),
            false => self.received.with(&[status, "v2"]).add(alerts),
        }
    }

    /// An alert was received that is not valid.
    pub(crate) fn invalid(&self, alert_name: &str) {
        match self.labels.alert_names {
            true => self.invalid.with(&["v2", alert_name]).inc(),
            false => self.invalid.with(&["v2"]).inc(),
        }
    }

    /// Alerts of a group were kept back.
    pub(crate) fn kept_back(&self, reason: &str, group_key: &str, alerts: u64) {
        match self.labels.group_keys {
            true => self.suppressed.with(&[reason, group_key]).add(alerts),
            false => self.suppressed.with(&[reason]).add(alerts),
        }
    }

    /// One attempt to notify.
    pub(crate) fn attempted(&self, whose: Notified<'_>, took: Duration, has_failed: bool) {
        let labels = self.labels.of_notifications(whose.kind, whose.receiver, whose.group_key);
        self.requests.with(&labels).inc();
        self.latency.with(&labels).observe(took.as_secs_f64());
        if has_failed {
            self.requests_failed.with(&labels).inc();
        }
    }

    /// A notification is through, or was given up for a reason.
    pub(crate) fn notified(&self, whose: Notified<'_>, failed: Option<&str>) {
        let mut labels = self.labels.of_notifications(whose.kind, whose.receiver, whose.group_key);
        self.notifications.with(&labels).inc();
        if let Some(reason) = failed {
            labels.push(reason);
            self.notifications_failed.with(&labels).inc();
        }
    }

    /// Series are there before anything was counted, where their labels are known.
    fn show_all(&self) {
        for kind in KINDS {
            self.template_failures.with(&[kind]);
        }
        if !self.labels.alert_names {
            for status in ["firing", "resolved"] {
                self.received.with(&[status, "v2"]);
            }
            self.invalid.with(&["v2"]);
        }
        if !self.labels.group_keys {
            for reason in
                ["silence", "inhibition", "mute_time_interval", "active_time_interval", "acknowledgement"]
            {
                self.suppressed.with(&[reason]);
            }
        }
        if self.labels.group_keys || self.labels.receiver_names {
            return;
        }
        for kind in KINDS {
            self.notifications.with(&[kind]);
            self.requests.with(&[kind]);
            self.requests_failed.with(&[kind]);
            self.latency.with(&[kind]);
            for reason in REASONS {
                self.notifications_failed.with(&[kind, reason]);
            }
        }
    }
}

/// What does not change.
fn register_constants(registry: &Registry, is_clustered: bool) {
    // Groups are bounded by their alerts, and one lock guards them: none is refused, none tried again.
    for name in ["limit_reached", "creation_retries", "creation_given_up"] {
        registry.counter(
            &format!("alertmanager_dispatcher_aggregation_group_{name}_total"),
            "Always 0: groups have no limit of their own, and are made at once.",
        );
    }
    registry
        .gauge("alertmanager_cluster_enabled", "Whether clustering is on.")
        .set(f64::from(u8::from(is_clustered)));
    registry.info(
        "alertmanager_build_info",
        "The version that runs.",
        &[("version", env!("CARGO_PKG_VERSION")), ("goversion", "rust")],
    );
}
