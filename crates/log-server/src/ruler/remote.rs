//! What rules record, sent by remote write: a log server stores no samples of its own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_client::{ClientOptions, HeaderName, HeaderValue, HostAliases};
use model::{Labels, LabelsBuilder, TenantId};
use parking_lot::RwLock;
use remote_write::{Metrics, Outgoing, OutgoingValue, PushError, RemoteWriteConfig, RemoteWriter, SenderEnv};
use rules::{RuleSample, RuleValue, SampleSink};
use service::BoxError;
use sys::Clock;
use telemetry::Registry;

use crate::config::RulerConfig;

/// How often room in a full queue is asked for before samples are given up; each time takes a fifth of a second.
const TRIES_MAX: usize = 10;
/// How long what waits may take when a sender ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Senders by tenant, to each client of the configuration.
#[derive(Debug)]
pub(super) struct RemoteSenders {
    env: SenderEnv,
    running: RwLock<HashMap<TenantId, Vec<Arc<RemoteWriter>>>>,
    /// Grows with each rule's samples: senders want to know what came first.
    sequence: Arc<AtomicU64>,
}

impl RemoteSenders {
    pub(super) fn new(registry: &Registry, clock: Arc<dyn Clock>, aliases: HostAliases) -> Self {
        let client = ClientOptions {
            user_agent: format!("watchbell-logs/{}", env!("CARGO_PKG_VERSION")),
            gzip: false,
            aliases,
        };
        let env = SenderEnv { client, metrics: Metrics::register(registry), clock };
        Self { env, running: RwLock::default(), sequence: Arc::default() }
    }

    /// Lets senders of these tenants run as the configuration says; those that it leaves as they are go on.
    pub(super) async fn apply(&self, config: &RulerConfig, tenants: &[TenantId]) -> Result<(), BoxError> {
        let mut old = std::mem::take(&mut *self.running.write());
        let mut running = HashMap::new();
        for tenant in tenants {
            let wanted = wanted(config, tenant)?;
            let mut before = old.remove(tenant).unwrap_or_default();
            let mut senders = Vec::with_capacity(wanted.len());
            for entry in wanted {
                match before.iter().position(|sender| *sender.config() == entry) {
                    Some(idx) => senders.push(before.swap_remove(idx)),
                    None => {
                        let name = entry.name.clone();
                        let sender = RemoteWriter::start(entry, &self.env, 0)
                            .map_err(|error| format!("ruler.remote_write {name:?}: {}", error.chain()))?;
                        senders.push(Arc::new(sender));
                    }
                }
            }
            old.insert(tenant.clone(), before);
            running.insert(tenant.clone(), senders);
        }
        *self.running.write() = running;
        let ended: Vec<_> = old.into_values().flatten().collect();
        stop_all(&ended).await;
        Ok(())
    }

    /// Where a tenant's rules record to.
    pub(super) fn sink(&self, tenant: &TenantId) -> RemoteSink {
        let senders = self.running.read().get(tenant).cloned().unwrap_or_default();
        RemoteSink { senders, sequence: Arc::clone(&self.sequence) }
    }

    /// Ends all senders; what waits is sent, as far as the time goes.
    pub(super) async fn stop(&self) {
        let ended: Vec<_> = std::mem::take(&mut *self.running.write()).into_values().flatten().collect();
        stop_all(&ended).await;
    }
}

async fn stop_all(senders: &[Arc<RemoteWriter>]) {
    futures::future::join_all(senders.iter().map(|sender| sender.stop(STOP_TIMEOUT))).await;
}

/// The clients of a tenant: each is told whose samples it gets.
fn wanted(config: &RulerConfig, tenant: &TenantId) -> Result<Vec<RemoteWriteConfig>, BoxError> {
    let mut clients = config.remote_write.clone();
    for client in clients.iter_mut().filter(|_| config.remote_write_org_id) {
        let value = HeaderValue::from_str(tenant.as_str())?;
        client.headers.push((HeaderName::from_static("x-scope-orgid"), value));
    }
    Ok(clients)
}

/// Takes what rules of one tenant record. Blocks where queues are full.
#[derive(Debug)]
pub(super) struct RemoteSink {
    senders: Vec<Arc<RemoteWriter>>,
    sequence: Arc<AtomicU64>,
}

impl SampleSink for RemoteSink {
    fn append(&mut self, samples: Vec<RuleSample>) -> Result<(), String> {
        if self.senders.is_empty() {
            return Ok(());
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        for sample in samples {
            let value = match sample.value {
                RuleValue::Float(value) => OutgoingValue::Sample(sample.timestamp, value),
                RuleValue::Histogram(histogram) => {
                    OutgoingValue::Histogram(sample.timestamp, Arc::from(histogram))
                }
            };
            for sender in &self.senders {
                push(sender, sequence, &sample.labels, &value)?;
            }
        }
        Ok(())
    }
}

fn push(sender: &RemoteWriter, sequence: u64, labels: &Labels, value: &OutgoingValue) -> Result<(), String> {
    if !sender.wants(value) {
        return Ok(());
    }
    let mut outward = LabelsBuilder::from_labels(labels);
    if !relabel::apply(&sender.config().relabel, &mut outward) {
        sender.count_dropped(value, true);
        return Ok(());
    }
    let labels = outward.build();
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    let mut item = Outgoing { series: hasher.finish(), labels, metadata: None, value: value.clone() };
    for _ in 0..TRIES_MAX {
        match sender.push(sequence, item) {
            Ok(()) => return Ok(()),
            Err(PushError::Full(back)) => item = *back,
            Err(PushError::Stopped) => return Err("the remote write sender has stopped".to_owned()),
        }
    }
    sender.count_dropped(value, false);
    Err(format!(
        "the queue of remote write {:?} is full: the server does not take samples fast enough, or not at all",
        sender.config().name
    ))
}
