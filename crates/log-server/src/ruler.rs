//! Rules: groups from files, evaluated at their pace, alerts and recorded samples sent on.

mod evaluate;
mod files;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use alert_sender::{Alert, AlertSender, AlertingConfig, AlertmanagerConfig, SenderOptions};
use discovery::{ADDRESS_LABEL, DiscoveryConfig, DiscoveryEnv, TargetGroup};
use http_client::{HostAliases, HttpClientConfig};
use model::{Labels, TenantId};
use parking_lot::{Mutex, RwLock};
use rules::{Evaluation, Group, GroupOptions, GroupSpec, TemplateContext, table_link};
use service::{BoxError, Lifecycle};
use sys::Clock;
use tokio_util::sync::CancellationToken;

use crate::config::RulerConfig;

pub(crate) use evaluate::LogqlEngine;
pub(crate) use files::{NamespaceFile, load_rules};
use remote::RemoteSenders;

/// A group with what it needs to be shown.
#[derive(Debug)]
pub(crate) struct RunningGroup {
    pub(crate) tenant: TenantId,
    /// The file's name within the tenant's directory.
    pub(crate) namespace: String,
    pub(crate) spec: GroupSpec,
    pub(crate) group: Mutex<Group>,
    stop: CancellationToken,
}

/// Runs groups of rules.
#[derive(Debug)]
pub(crate) struct Ruler {
    groups: RwLock<Vec<Arc<RunningGroup>>>,
    sender: AlertSender,
    remote: RemoteSenders,
    metrics: rules::Metrics,
    clock: Arc<dyn Clock>,
    lifecycle: Lifecycle,
    engines: LogqlEngine,
    external_url: RwLock<String>,
}

impl Ruler {
    pub(crate) fn new(
        lifecycle: &Lifecycle,
        clock: Arc<dyn Clock>,
        engines: LogqlEngine,
        config: &RulerConfig,
        aliases: HostAliases,
    ) -> Self {
        let registry = lifecycle.registry();
        let env = DiscoveryEnv {
            metrics: discovery::Metrics::register(registry),
            user_agent: format!("watchbell-logs/{}", env!("CARGO_PKG_VERSION")),
            aliases: aliases.clone(),
        };
        let options = SenderOptions { queue_capacity: config.queue_capacity, ..SenderOptions::default() };
        Self {
            groups: RwLock::default(),
            remote: RemoteSenders::new(registry, Arc::clone(&clock), aliases),
            sender: AlertSender::new(options, env, alert_sender::Metrics::register(registry)),
            metrics: rules::Metrics::register(registry, "loki_prometheus"),
            clock,
            lifecycle: lifecycle.clone(),
            engines,
            external_url: RwLock::default(),
        }
    }

    /// Takes a configuration and the rules that were read with it: groups that are as before go on with their state.
    pub(crate) async fn apply(
        &self,
        config: &RulerConfig,
        files: Vec<NamespaceFile>,
    ) -> Result<(), BoxError> {
        self.sender.apply(alerting(config)).await?;
        let mut tenants: Vec<TenantId> = files.iter().map(|file| file.tenant.clone()).collect();
        tenants.sort();
        tenants.dedup();
        self.remote.apply(config, &tenants).await?;
        config.external_url.clone_into(&mut self.external_url.write());
        let options = group_options(config);
        let old = std::mem::take(&mut *self.groups.write());
        for group in &old {
            group.stop.cancel();
        }
        let mut groups = Vec::new();
        for file in &files {
            for spec in &file.file.groups {
                let mut group =
                    Group::new(&file.file.path, spec, &options, Arc::clone(&self.clock), &self.metrics);
                let same = old.iter().find(|old| {
                    old.tenant == file.tenant && old.namespace == file.namespace && old.spec.name == spec.name
                });
                if let Some(same) = same {
                    let blank =
                        Group::new(&file.file.path, spec, &options, Arc::clone(&self.clock), &self.metrics);
                    group.adopt(std::mem::replace(&mut *same.group.lock(), blank));
                }
                groups.push(Arc::new(RunningGroup {
                    tenant: file.tenant.clone(),
                    namespace: file.namespace.clone(),
                    spec: spec.clone(),
                    group: Mutex::new(group),
                    stop: self.lifecycle.stopping().child_token(),
                }));
            }
        }
        *self.groups.write() = groups;
        Ok(())
    }

    /// Starts to evaluate the groups that [`Self::apply`] took.
    pub(crate) fn run_groups(self: &Arc<Self>) {
        for group in self.groups() {
            let ruler = Arc::clone(self);
            self.lifecycle.spawn("rule group", async move { ruler.drive(group).await });
        }
    }

    /// The groups as they are.
    pub(crate) fn groups(&self) -> Vec<Arc<RunningGroup>> {
        self.groups.read().clone()
    }

    /// Ends the senders; what waits is sent.
    pub(crate) async fn stop(&self) {
        self.remote.stop().await;
        self.sender.stop().await;
    }

    async fn drive(&self, group: Arc<RunningGroup>) {
        let engine: Arc<dyn rules::Engine> = Arc::new(self.engines.for_tenant(&group.tenant));
        loop {
            let slot = group.group.lock().next_slot();
            let wait = slot.saturating_sub(self.clock.now_ms());
            tokio::select! {
                () = group.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))) => {}
            }
            let (evaluated, engine) = (Arc::clone(&group), Arc::clone(&engine));
            let mut sink = self.remote.sink(&group.tenant);
            let evaluation = tokio::task::spawn_blocking(move || {
                evaluated.group.lock().evaluate(slot, &engine, &mut sink)
            });
            match evaluation.await {
                Ok(evaluation) => self.send(&evaluation),
                Err(error) => {
                    tracing::error!(group = group.spec.name, error = %error, "rule group ended");
                    return;
                }
            }
        }
    }

    fn send(&self, evaluation: &Evaluation) {
        if evaluation.alerts.is_empty() {
            return;
        }
        let external_url = self.external_url.read().trim_end_matches('/').to_owned();
        let alerts: Vec<Alert> = evaluation
            .alerts
            .iter()
            .map(|alert| Alert {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.starts_at,
                ends_at: alert.ends_at,
                generator_url: format!("{external_url}{}", table_link(&alert.expr)),
            })
            .collect();
        self.sender.send(&alerts);
    }
}

fn group_options(config: &RulerConfig) -> GroupOptions {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    GroupOptions {
        interval_ms: millis(config.evaluation_interval),
        query_offset_ms: 0,
        resend_delay_ms: millis(config.resend_delay),
        outage_tolerance_ms: millis(config.for_outage_tolerance),
        for_grace_period_ms: millis(config.for_grace_period),
        // Alerts' states are not stored on a log server.
        restores: false,
        templates: TemplateContext {
            external_labels: external_labels(config),
            external_url: config.external_url.clone(),
        },
    }
}

fn external_labels(config: &RulerConfig) -> Labels {
    Labels::from_pairs(config.external_labels.iter().map(|(name, value)| (name, value)))
}

/// The addresses as the sender knows them: each is an Alertmanager of its own.
fn alerting(config: &RulerConfig) -> AlertingConfig {
    let alertmanagers = config.alertmanager_urls.iter().enumerate().map(|(idx, url)| {
        let host = url.host_str().unwrap_or_default();
        let address = match url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let group = TargetGroup {
            source: idx.to_string(),
            labels: Labels::empty(),
            targets: vec![Labels::from_pairs([(ADDRESS_LABEL, address)])],
        };
        AlertmanagerConfig {
            timeout: config.notification_timeout,
            scheme: url.scheme().to_owned(),
            path_prefix: url.path().trim_end_matches('/').to_owned(),
            client: HttpClientConfig::default(),
            discovery: vec![DiscoveryConfig::Static(vec![group])],
            relabel: Vec::new(),
            alert_relabel: Vec::new(),
        }
    });
    AlertingConfig {
        external_labels: external_labels(config),
        alert_relabel: Vec::new(),
        alertmanagers: alertmanagers.collect(),
    }
}
