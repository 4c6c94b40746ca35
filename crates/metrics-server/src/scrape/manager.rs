//! All pools.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use discovery::{Discovery, DiscoveryEnv};
use http_client::{ClientOptions, HttpClient};
use model::Labels;
use parking_lot::Mutex;
use resources::RequestContext;
use service::Lifecycle;
use sys::Clock;
use tokio_util::sync::CancellationToken;

use super::buffers::BodyBuffers;
use super::metrics::Metrics;
use super::pool::{self, Pool};
use super::target::{Target, fnv1a};
use crate::config::{Config, ScrapeConfig};
use crate::host::hostname;

/// What flags say of scraping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScrapeOptions {
    pub(crate) adjust_timestamps: bool,
    pub(crate) timestamp_tolerance_ms: i64,
    pub(crate) discovery_interval: Duration,
    pub(crate) store_exemplars: bool,
    /// From the host's name and external labels, so that two servers scrape a target at different times.
    pub(crate) offset_seed: u64,
}

/// What all pools work with.
#[derive(Clone, Debug)]
pub(crate) struct PoolEnv {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) ctx: RequestContext,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ScrapeOptions,
    pub(crate) metrics: Metrics,
    pub(crate) buffers: Arc<BodyBuffers>,
    pub(crate) stopping: CancellationToken,
}

/// Starts and ends pools as the configuration changes.
#[derive(Debug)]
pub(crate) struct ScrapeManager {
    lifecycle: Lifecycle,
    discovery: DiscoveryEnv,
    metrics: Metrics,
    options: ScrapeOptions,
    buffers: Arc<BodyBuffers>,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

/// A pool ready to be started.
#[derive(Debug)]
pub(crate) struct Prepared {
    config: ScrapeConfig,
    client: HttpClient,
}

impl ScrapeManager {
    pub(crate) fn new(
        lifecycle: &Lifecycle,
        discovery: DiscoveryEnv,
        metrics: Metrics,
        options: ScrapeOptions,
    ) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            discovery,
            metrics,
            options,
            buffers: Arc::default(),
            pools: Mutex::default(),
        }
    }

    /// Builds the clients of the jobs that are new or changed. Blocks.
    ///
    /// # Errors
    /// Where a certificate or a secret cannot be read: nothing has changed then.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Vec<Prepared>, String> {
        let present: BTreeMap<String, Arc<Pool>> = self.pools.lock().clone();
        let changed = config
            .scrape_configs
            .iter()
            .filter(|job| present.get(&job.job_name).is_none_or(|pool| *pool.config != **job));
        changed
            .map(|job| {
                self.metrics.pools.inc();
                let options = ClientOptions {
                    user_agent: self.discovery.user_agent.clone(),
                    // Asked for and expanded here, away from the threads that wait for answers.
                    gzip: false,
                    aliases: self.discovery.aliases.clone(),
                };
                let client = HttpClient::new(job.client.clone(), options)
                    .inspect_err(|_| self.metrics.pools_failed.inc())
                    .map_err(|error| format!("scrape job {:?}: {}", job.job_name, error.chain()))?;
                Ok(Prepared { config: job.clone(), client })
            })
            .collect()
    }

    /// Ends the pools that are gone or changed and starts those that were prepared.
    pub(crate) fn apply(
        &self,
        config: &Config,
        prepared: Vec<Prepared>,
        env: (Arc<tsdb::Db>, RequestContext, Arc<dyn Clock>),
    ) {
        let mut options = self.options;
        options.offset_seed = offset_seed(&config.global.external_labels);
        let (db, ctx, clock) = env;
        let stopping = self.lifecycle.stopping().clone();
        let (metrics, buffers) = (self.metrics.clone(), Arc::clone(&self.buffers));
        let env = PoolEnv { db, ctx, clock, options, metrics, buffers, stopping };
        let mut pools = self.pools.lock();
        pools.retain(|name, pool| {
            let stays = config.scrape_configs.iter().any(|job| job.job_name == *name && *job == *pool.config);
            if !stays {
                pool.gone.cancel();
            }
            stays
        });
        for Prepared { config, client } in prepared {
            let name = config.job_name.clone();
            let discovery = match Discovery::start(&name, "scrape", &config.discovery, &self.discovery) {
                Ok(discovery) => discovery,
                Err(error) => {
                    self.metrics.pools_failed.inc();
                    tracing::error!(pool = name, error = error.chain(), "discovery cannot be started");
                    continue;
                }
            };
            let pool = Arc::new(Pool {
                config: Arc::new(config),
                shown: parking_lot::RwLock::default(),
                gone: CancellationToken::new(),
            });
            self.lifecycle
                .spawn("scrape pool", pool::drive(Arc::clone(&pool), discovery, client, env.clone()));
            pools.insert(name, pool);
        }
    }

    /// The pools by name.
    pub(crate) fn pools(&self) -> BTreeMap<String, Arc<Pool>> {
        self.pools.lock().clone()
    }

    /// All active targets, by pool.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.pools().values().flat_map(|pool| pool.shown.read().active.clone()).collect()
    }
}

fn offset_seed(external_labels: &Labels) -> u64 {
    let mut hash = fnv1a(0xcbf2_9ce4_8422_2325, hostname().as_bytes());
    for (name, value) in external_labels.iter() {
        hash = fnv1a(fnv1a(hash, name.as_bytes()), value.as_bytes());
    }
    hash
}
