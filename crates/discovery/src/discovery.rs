//! The discoveries of one job, run together.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_client::{ClientOptions, HostAliases, HttpClient, HttpClientError};
use sys::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::DiscoveryConfig;
use crate::consul::ConsulDiscovery;
use crate::discoverer::{Discoverer, Updates};
use crate::dns::{DnsDiscovery, Resolver};
use crate::docker::DockerDiscovery;
use crate::dockerswarm::DockerSwarmDiscovery;
use crate::ec2::Ec2Discovery;
use crate::file::FileDiscovery;
use crate::http::HttpDiscovery;
use crate::kubernetes::KubernetesDiscovery;
use crate::metrics::Metrics;
use crate::refresh::Refreshing;
use crate::target_group::TargetGroup;

/// What discoveries need of their service.
#[derive(Clone, Debug)]
pub struct DiscoveryEnv {
    /// What they count in.
    pub metrics: Metrics,
    /// How they name themselves to servers.
    pub user_agent: String,
    /// Other places for names.
    pub aliases: HostAliases,
}

/// All discoveries of one job. They end when it is stopped or dropped.
#[derive(Debug)]
pub struct Discovery {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// The newest groups, a slot for each discoverer.
#[derive(Debug)]
pub(crate) struct Shared {
    name: String,
    kind: &'static str,
    metrics: Metrics,
    slots: Mutex<Vec<Option<Vec<TargetGroup>>>>,
    version: watch::Sender<u64>,
}

impl Discovery {
    /// Starts the discoveries of the job `name`, which is of `kind` (`scrape` or `notify`). What is static is there at once.
    ///
    /// # Errors
    /// Where an HTTP client cannot be built.
    pub fn start(
        name: &str,
        kind: &'static str,
        configs: &[DiscoveryConfig],
        env: &DiscoveryEnv,
    ) -> Result<Self, HttpClientError> {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            kind,
            metrics: env.metrics.clone(),
            slots: Mutex::new(vec![None; configs.len()]),
            version: watch::Sender::new(0),
        });
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for (slot, config) in configs.iter().enumerate() {
            let discoverer = discoverer(config.clone(), env)?;
            let updates = Updates { shared: Arc::clone(&shared), slot, stop: stop.subscribe() };
            // What is static is there when this call returns.
            tasks.spawn(discoverer.run(updates));
        }
        Ok(Self { shared, stop, tasks })
    }

    /// The newest groups of all discoverers; those that have found nothing yet are left out.
    pub fn groups(&self) -> Vec<TargetGroup> {
        self.shared.slots().iter().flatten().flatten().cloned().collect()
    }

    /// Whether every discoverer has answered once.
    pub fn is_complete(&self) -> bool {
        self.shared.slots().iter().all(Option::is_some)
    }

    /// Changes whenever groups may have changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Ends all tasks and waits for them.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = %error, job = %self.shared.name, "discovery ended badly");
            }
        }
    }
}

/// Makes what looks for targets.
fn discoverer(config: DiscoveryConfig, env: &DiscoveryEnv) -> Result<Box<dyn Discoverer>, HttpClientError> {
    let metrics = env.metrics.clone();
    let options =
        ClientOptions { user_agent: env.user_agent.clone(), gzip: true, aliases: env.aliases.clone() };
    Ok(match config {
        DiscoveryConfig::Static(groups) => Box::new(StaticDiscovery(groups)),
        DiscoveryConfig::File(file) => Box::new(FileDiscovery::new(file, metrics)),
        DiscoveryConfig::Http(http) => {
            let client = HttpClient::new(http.client.clone(), options)?;
            Box::new(HttpDiscovery::new(*http, client, metrics))
        }
        DiscoveryConfig::Dns(config) => {
            let (resolver, known) = (Resolver::system(), BTreeMap::new());
            let inner = DnsDiscovery { config, resolver, metrics: metrics.clone(), known };
            Box::new(Refreshing { inner, metrics })
        }
        DiscoveryConfig::Docker(config) => {
            let api = config.daemon.api(options)?;
            Box::new(Refreshing { inner: DockerDiscovery { config: *config, api }, metrics })
        }
        DiscoveryConfig::DockerSwarm(config) => {
            let api = config.daemon.api(options)?;
            Box::new(Refreshing { inner: DockerSwarmDiscovery { config: *config, api }, metrics })
        }
        DiscoveryConfig::Consul(config) => Box::new(ConsulDiscovery::new(*config, options, metrics)?),
        DiscoveryConfig::Kubernetes(config) => Box::new(KubernetesDiscovery::new(*config, options, metrics)?),
        DiscoveryConfig::Ec2(config) => {
            let client = HttpClient::new(config.client.clone(), options)?;
            let clock = Arc::new(SystemClock::new());
            Box::new(Refreshing { inner: Ec2Discovery::new(*config, client, clock), metrics })
        }
    })
}

/// What is there once and for all.
#[derive(Debug)]
struct StaticDiscovery(Vec<TargetGroup>);

impl Discoverer for StaticDiscovery {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        updates.set(self.0);
        Box::pin(std::future::ready(()))
    }
}

impl Shared {
    pub(crate) fn set(&self, slot: usize, groups: Vec<TargetGroup>) {
        let mut slots = self.slots();
        if slots[slot].as_ref() == Some(&groups) {
            return;
        }
        slots[slot] = Some(groups);
        let targets: usize = slots.iter().flatten().flatten().map(|group| group.targets.len()).sum();
        drop(slots);
        self.metrics.discovered_targets.with(&[self.kind, &self.name]).set(targets as f64);
        self.metrics.received_updates.with(&[self.kind]).inc();
        self.version.send_modify(|version| *version += 1);
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Option<Vec<TargetGroup>>>> {
        // A panic elsewhere leaves the groups whole: each slot is replaced in one step.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
