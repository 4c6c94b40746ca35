//! The targets of one job, kept in step with its discovery.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use discovery::Discovery;
use http_client::HttpClient;
use model::Labels;
use parking_lot::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::append::AppendEnv;
use super::manager::PoolEnv;
use super::target::{Outcome, Target, from_groups};
use super::target_loop::TargetLoop;
use crate::config::ScrapeConfig;

/// A job at work.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) shown: RwLock<Shown>,
    /// Ends the pool: its targets are gone.
    pub(crate) gone: CancellationToken,
}

/// What the API shows of a pool.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) active: Vec<Arc<Target>>,
    /// With the place of the rule that dropped them.
    pub(crate) dropped: Vec<(Labels, usize)>,
    pub(crate) dropped_count: usize,
}

/// A target's loop, running.
struct Running {
    target: Arc<Target>,
    gone: CancellationToken,
}

/// Follows the discovery of a pool until the pool is gone or the service stops.
pub(crate) async fn drive(pool: Arc<Pool>, discovery: Discovery, client: HttpClient, env: PoolEnv) {
    let mut changes = discovery.subscribe();
    let mut running: HashMap<(Labels, String), Running> = HashMap::new();
    let mut tasks = JoinSet::new();
    let syncs = env.metrics.pool_syncs.with(&[&pool.config.job_name]);
    let targets_gauge = env.metrics.pool_targets.with(&[&pool.config.job_name]);
    loop {
        changes.mark_unchanged();
        let found = sync(&pool, &discovery, &env);
        syncs.inc();
        targets_gauge.set(found.len() as f64);
        let keys: HashSet<(Labels, String)> = found.iter().map(|target| target.key()).collect();
        running.retain(|key, target| {
            let stays = keys.contains(key);
            if !stays {
                target.gone.cancel();
            }
            stays
        });
        let mut active = Vec::with_capacity(found.len());
        for target in found {
            let entry = running
                .entry(target.key())
                .or_insert_with(|| start(&pool, target, &client, &env, &mut tasks));
            active.push(Arc::clone(&entry.target));
        }
        pool.shown.write().active = active;
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = pool.gone.cancelled() => break,
            () = env.stopping.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
        // Discovery may change in bursts.
        tokio::select! {
            () = pool.gone.cancelled() => break,
            () = env.stopping.cancelled() => break,
            () = tokio::time::sleep(env.options.discovery_interval) => {}
        }
    }
    for target in running.into_values() {
        target.gone.cancel();
    }
    pool.shown.write().active.clear();
    discovery.stop().await;
    while tasks.join_next().await.is_some() {}
}

fn start(
    pool: &Pool,
    target: Arc<Target>,
    client: &HttpClient,
    env: &PoolEnv,
    tasks: &mut JoinSet<()>,
) -> Running {
    let gone = CancellationToken::new();
    let append = AppendEnv {
        db: Arc::clone(&env.db),
        ctx: env.ctx.clone(),
        config: Arc::clone(&pool.config),
        target: Arc::clone(&target),
        metrics: env.metrics.clone(),
        store_exemplars: env.options.store_exemplars,
        buffers: Arc::clone(&env.buffers),
    };
    let target_loop = TargetLoop {
        env: append,
        client: client.clone(),
        clock: Arc::clone(&env.clock),
        options: env.options,
        gone: gone.clone(),
        stopping: env.stopping.clone(),
    };
    tasks.spawn(target_loop.drive());
    Running { target, gone }
}

/// Relabels what discovery has found, and notes what was dropped.
fn sync(pool: &Pool, discovery: &Discovery, env: &PoolEnv) -> Vec<Arc<Target>> {
    let config = &pool.config;
    let mut keys = HashSet::new();
    let (mut found, mut dropped, mut dropped_count) = (Vec::new(), Vec::new(), 0);
    let keep = config.scrape.limits.keep_dropped_targets;
    for outcome in from_groups(&discovery.groups(), config) {
        match outcome {
            Outcome::Active(target) => {
                if keys.insert(target.key()) {
                    found.push(Arc::from(target));
                }
            }
            Outcome::Dropped(labels, rule) => {
                dropped_count += 1;
                if keep == 0 || dropped.len() < keep {
                    dropped.push((labels, rule));
                }
            }
            Outcome::Failed(reason) => {
                tracing::error!(pool = config.job_name, error = reason, "target is not valid")
            }
        }
    }
    let limit = config.scrape.limits.targets;
    if limit > 0 && found.len() > limit {
        env.metrics.exceeded_targets.inc();
        tracing::error!(
            pool = config.job_name,
            limit,
            targets = found.len(),
            "target_limit exceeded, nothing is scraped"
        );
        found.clear();
    }
    let mut shown = pool.shown.write();
    shown.dropped = dropped;
    shown.dropped_count = dropped_count;
    found
}
