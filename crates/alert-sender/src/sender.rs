//! The sender: who gets alerts, and what happens when that changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use discovery::{Discovery, DiscoveryEnv};
use http_client::{ClientOptions, HttpClient, HttpClientError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alert::Alert;
use crate::config::{AlertingConfig, AlertmanagerConfig};
use crate::metrics::Metrics;
use crate::queue::{End, Queue};
use crate::target::Targets;

/// Limits of the sender.
#[derive(Clone, Copy, Debug)]
pub struct SenderOptions {
    /// The most alerts that wait for one Alertmanager.
    pub queue_capacity: usize,
    /// The most alerts in one request.
    pub batch_max: usize,
    /// Whether waiting alerts are sent before the sender ends.
    pub drain_on_stop: bool,
    /// How long that may take.
    pub drain_timeout: Duration,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            queue_capacity: 10_000,
            batch_max: 256,
            drain_on_stop: true,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Sends alerts to all Alertmanagers. Nothing blocks: [`AlertSender::send`] puts alerts into queues.
#[derive(Debug)]
pub struct AlertSender {
    options: SenderOptions,
    env: DiscoveryEnv,
    metrics: Metrics,
    current: Mutex<Arc<Current>>,
}

/// What a configuration has set up.
#[derive(Debug, Default)]
struct Current {
    config: AlertingConfig,
    sets: Vec<Arc<Set>>,
}

/// The Alertmanagers of one entry.
#[derive(Debug)]
struct Set {
    config: AlertmanagerConfig,
    members: Mutex<Members>,
    stop: watch::Sender<bool>,
    /// Ends when all queues have ended.
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Members {
    queues: BTreeMap<String, Arc<Queue>>,
    dropped: Vec<String>,
}

impl AlertSender {
    /// A sender without any Alertmanager.
    pub fn new(options: SenderOptions, env: DiscoveryEnv, metrics: Metrics) -> Self {
        metrics.queue_capacity.set(options.queue_capacity as f64);
        Self { options, env, metrics, current: Mutex::default() }
    }

    /// Takes a new configuration. Queues of the old one are emptied as at a stop.
    ///
    /// # Errors
    /// Where an HTTP client cannot be built; then the old configuration stays.
    pub async fn apply(&self, config: AlertingConfig) -> Result<(), HttpClientError> {
        let mut sets = Vec::new();
        for (idx, alertmanager) in config.alertmanagers.iter().enumerate() {
            let options = ClientOptions {
                user_agent: self.env.user_agent.clone(),
                gzip: false,
                aliases: self.env.aliases.clone(),
            };
            let client = HttpClient::new(alertmanager.client.clone(), options)?;
            let name = format!("config-{idx}");
            let discovery = Discovery::start(&name, "notify", &alertmanager.discovery, &self.env)?;
            let set = Arc::new(Set {
                config: alertmanager.clone(),
                members: Mutex::default(),
                stop: watch::Sender::new(false),
                tasks: tokio::sync::Mutex::default(),
            });
            let driver = Driver {
                set: Arc::clone(&set),
                client,
                options: self.options,
                metrics: self.metrics.clone(),
            };
            // What is static can be sent to at once; the task starts with these queues.
            driver.refresh(&discovery);
            set.tasks.lock().await.spawn(driver.drive(discovery));
            sets.push(set);
        }
        let old = std::mem::replace(&mut *self.current(), Arc::new(Current { config, sets }));
        self.count_discovered();
        stop_sets(&old.sets, self.options).await;
        Ok(())
    }

    /// Queues alerts for every Alertmanager.
    pub fn send(&self, alerts: &[Alert]) {
        let current = Arc::clone(&self.current());
        self.count_discovered();
        let config = &current.config;
        let prepared: Vec<Alert> = alerts
            .iter()
            .filter_map(|alert| alert.prepared(&config.external_labels, &config.alert_relabel))
            .collect();
        for set in &current.sets {
            let postable: Vec<_> =
                prepared.iter().filter_map(|alert| alert.postable(&set.config.alert_relabel)).collect();
            if postable.is_empty() {
                continue;
            }
            for queue in set.members().queues.values() {
                queue.push(postable.iter().cloned());
            }
        }
    }

    /// The URLs that alerts are posted to, sorted.
    pub fn active(&self) -> Vec<String> {
        let sets = self.current().sets.clone();
        let mut urls: Vec<String> = sets.iter().flat_map(|set| set.members().urls()).collect();
        urls.sort();
        urls
    }

    /// The URLs that relabel rules dropped, sorted.
    pub fn dropped(&self) -> Vec<String> {
        let sets = self.current().sets.clone();
        let mut urls: Vec<String> = sets.iter().flat_map(|set| set.members().dropped.clone()).collect();
        urls.sort();
        urls
    }

    /// Ends the sender; sends what waits where the options say so.
    pub async fn stop(&self) {
        let old = std::mem::take(&mut *self.current());
        stop_sets(&old.sets, self.options).await;
    }

    fn count_discovered(&self) {
        let sets = self.current().sets.clone();
        let count: usize = sets.iter().map(|set| set.members().queues.len()).sum();
        self.metrics.discovered.set(count as f64);
    }

    fn current(&self) -> MutexGuard<'_, Arc<Current>> {
        // The value is replaced in one step, so it is whole even after a panic.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn members(&self) -> MutexGuard<'_, Members> {
        // As above: the maps are changed entry by entry.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn urls(&self) -> Vec<String> {
        self.queues.keys().cloned().collect()
    }
}

async fn stop_sets(sets: &[Arc<Set>], options: SenderOptions) {
    for set in sets {
        set.stop.send_replace(true);
    }
    for set in sets {
        let mut tasks = set.tasks.lock().await;
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(options.drain_timeout, ended).await.is_err() {
            tracing::warn!("alerts were still waiting when the time to send them was up");
        }
    }
}

/// Follows the discovery of one set.
struct Driver {
    set: Arc<Set>,
    client: HttpClient,
    options: SenderOptions,
    metrics: Metrics,
}

impl Driver {
    async fn drive(self, discovery: Discovery) {
        let mut changes = discovery.subscribe();
        let mut stop = self.set.stop.subscribe();
        let mut tasks = JoinSet::new();
        let first: Vec<_> = self.set.members().queues.values().cloned().collect();
        self.spawn(first, &mut tasks);
        loop {
            // What changed between the start of the discovery and the subscription is seen here, too.
            self.spawn(self.refresh(&discovery), &mut tasks);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        discovery.stop().await;
        let end = if self.options.drain_on_stop { End::WhenEmpty } else { End::Now };
        for queue in self.set.members().queues.values() {
            queue.end(end);
        }
        while tasks.join_next().await.is_some() {}
    }

    fn spawn(&self, queues: Vec<Arc<Queue>>, tasks: &mut JoinSet<()>) {
        for queue in queues {
            tasks.spawn(queue.drive(self.client.clone(), self.set.config.timeout, self.options.batch_max));
        }
    }

    /// Makes queues for Alertmanagers that are new, ends those of such that are gone; returns the new ones.
    fn refresh(&self, discovery: &Discovery) -> Vec<Arc<Queue>> {
        let targets = Targets::from_groups(&discovery.groups(), &self.set.config);
        let mut members = self.set.members();
        let mut before = std::mem::take(&mut members.queues);
        let mut added = Vec::new();
        for url in targets.active {
            let key = url.to_string();
            let queue = before.remove(&key).unwrap_or_else(|| {
                let queue = Arc::new(Queue::new(url, self.options.queue_capacity, &self.metrics));
                added.push(Arc::clone(&queue));
                queue
            });
            members.queues.insert(key, queue);
        }
        members.dropped = targets.dropped;
        drop(members);
        for queue in before.into_values() {
            queue.end(End::Now);
        }
        added
    }
}

#[cfg(test)]
mod tests;
