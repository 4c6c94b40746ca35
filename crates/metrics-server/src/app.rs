//! Puts the parts together and keeps them running.

mod maintenance;
mod reload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alert_sender::{AlertSender, SenderOptions};
use discovery::DiscoveryEnv;
use futures::future::BoxFuture;
use go_regex::Regex;
use http_client::ClientOptions;
use parking_lot::{Mutex, RwLock};
use promql::{EngineFeatures, EngineOptions, Features};
use remote_write::SenderEnv;
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};
use service::{BoxError, Contexts, Failure, Lifecycle, Listener, Site, SiteOptions, Tenancy};
use sys::{Clock, RealFs, SystemClock};
use telemetry::Registry;
use tokio::sync::Semaphore;

use crate::api::{Notice, Notifications};
use crate::config::{LoadedConfig, PathAliases, load};
use crate::flags::Flags;
use crate::host::hostname;
use crate::metrics::{Metrics, collect_store};
use crate::remote_storage::{RemoteStorage, WatchMetrics};
use crate::rule_manager::RuleManager;
use crate::scrape::{self, ScrapeManager, ScrapeOptions};
use crate::state::State;
use crate::{api, grpc};

pub(crate) use maintenance::retention;

/// How the server names itself to targets and alert managers.
const USER_AGENT: &str = concat!("Watchbell/", env!("CARGO_PKG_VERSION"));

/// The metrics server.
#[derive(Debug)]
pub struct App {
    state: Arc<State>,
    site: Site,
    listeners: Mutex<Vec<Listener>>,
    addresses: Vec<std::net::SocketAddr>,
}

impl App {
    /// Checks flags, configuration and data directory, and binds the sockets. Nothing runs yet.
    ///
    /// # Errors
    /// With the flag, the file and line, or the directory that has to be changed.
    pub async fn new(flags: Flags, registry: &Registry) -> Result<Self, Failure> {
        flags.validate()?;
        let flags = Arc::new(flags);
        let config_file = flags.config_file.clone();
        let aliases = PathAliases::parse(&flags.path_aliases)?;
        let loaded = blocking(move || load(&config_file, &aliases)).await?;
        warn_all(&loaded);
        service::check_data_directory(&flags.tsdb_path, "--storage.tsdb.path")?;
        let lifecycle = Lifecycle::new("metrics-server", registry);
        let mut listeners = Vec::new();
        for address in &flags.listen_address {
            listeners.push(Listener::bind(address, "--web.listen-address").await?);
        }
        let addresses: Vec<_> = listeners.iter().map(Listener::address).collect();
        let port = addresses.first().map_or(9090, std::net::SocketAddr::port);
        let state = Arc::new(build_state(&flags, &lifecycle, registry, loaded, port)?);
        let site = Site::new(&lifecycle, site_options(&flags)?)?;
        Ok(Self { state, site, listeners: Mutex::new(listeners), addresses })
    }

    /// The addresses that were bound, in the order of the flags.
    pub fn addresses(&self) -> &[std::net::SocketAddr] {
        &self.addresses
    }

    async fn begin(&self) -> Result<(), Failure> {
        let state = &self.state;
        let http = api::router(state);
        for listener in std::mem::take(&mut *self.listeners.lock()) {
            self.site.serve(listener, http.clone(), grpc::routes(state));
        }
        let (reloaded, site) = (Arc::clone(state), self.site.clone());
        state.lifecycle.on_reload(move || reload::reload(Arc::clone(&reloaded), site.clone()));
        let stopped = Arc::clone(state);
        state.lifecycle.on_stop("store", move || close_store(stopped));
        let stopped = Arc::clone(state);
        state.lifecycle.on_stop("remote write", move || async move {
            stopped.remote.stop().await;
            Ok(())
        });
        let stopped = Arc::clone(state);
        state.lifecycle.on_stop("alerts", move || async move {
            stopped.alerts.stop().await;
            Ok(())
        });
        let stopped = Arc::clone(state);
        state.lifecycle.on_stop("rules", move || async move {
            stopped.rules.stop().await;
            Ok(())
        });
        // Replaying the log may take a while; health is answered meanwhile.
        state.lifecycle.set_starting("opening the store");
        state.notifications.add(Notice::Starting, state.clock.now_ms());
        let stopping = Arc::clone(state);
        state.lifecycle.spawn("notice of the end", async move {
            stopping.lifecycle.draining().cancelled().await;
            stopping.notifications.add(Notice::Stopping, stopping.clock.now_ms());
        });
        let opening = Arc::clone(state);
        state.lifecycle.spawn_essential("open store", async move { open_store(&opening).await });
        Ok(())
    }
}

impl service::App for App {
    fn lifecycle(&self) -> &Lifecycle {
        &self.state.lifecycle
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.begin())
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Failure::runtime(error)))
}

fn warn_all(loaded: &LoadedConfig) {
    for warning in &loaded.warnings {
        tracing::warn!(warning, "configuration");
    }
}

fn build_state(
    flags: &Arc<Flags>,
    lifecycle: &Lifecycle,
    registry: &Registry,
    loaded: LoadedConfig,
    port: u16,
) -> Result<State, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = CpuPools::with_cores(cores).map_err(Failure::runtime)?;
    let memory = MemoryBudget::root("queries", "--query.max-memory", flags.query_max_memory);
    let timeout = Duration::from_millis(flags.query_timeout_ms.unsigned_abs());
    let contexts = Contexts::new(Tenancy::Single, memory.clone(), cpu.clone(), Some(timeout), "metrics");
    let internal = RequestContext::internal(CpuClass::Ingest, cpu, memory);
    let discovery = DiscoveryEnv {
        metrics: discovery::Metrics::register(registry),
        user_agent: USER_AGENT.to_owned(),
        aliases: http_client::HostAliases::parse(&flags.host_aliases)
            .map_err(|error| Failure::usage(format!("--web.host-alias: {error}")))?,
    };
    let metrics = Metrics::register(registry, flags.query_max_concurrency);
    let db = Arc::new(OnceLock::new());
    collect_store(registry, Arc::clone(&db), &metrics);
    let sender_options = SenderOptions {
        queue_capacity: flags.notification_queue_capacity,
        batch_max: flags.notification_batch_size,
        drain_on_stop: flags.drain_notification_queue,
        ..SenderOptions::default()
    };
    let alerts =
        AlertSender::new(sender_options, discovery.clone(), alert_sender::Metrics::register(registry));
    let scrape_options = ScrapeOptions {
        adjust_timestamps: flags.adjust_timestamps,
        timestamp_tolerance_ms: flags.timestamp_tolerance_ms,
        discovery_interval: Duration::from_millis(flags.discovery_reload_interval_ms.unsigned_abs()),
        store_exemplars: flags.has_feature("exemplar-storage"),
        offset_seed: 0,
    };
    let client =
        ClientOptions { user_agent: USER_AGENT.to_owned(), gzip: false, aliases: discovery.aliases.clone() };
    let scrape = Arc::new(ScrapeManager::new(
        lifecycle,
        discovery,
        scrape::Metrics::register(registry),
        scrape_options,
    ));
    let remote = remote_storage(flags, registry, (client, Arc::clone(&clock)), &scrape);
    let rule_metrics = rules::Metrics::register(registry, "prometheus");
    let step = loaded.config.global.evaluation_interval.as_millis() as i64;
    let subquery_step_ms = Arc::new(AtomicI64::new(step));
    let started_ms = clock.now_ms();
    Ok(State {
        remote,
        rules: RuleManager::new(lifecycle, rule_metrics, Arc::clone(flags)),
        engine: engine(flags, &subquery_step_ms),
        read_slots: Arc::new(Semaphore::new(match flags.read_concurrent_limit {
            0 => Semaphore::MAX_PERMITS,
            most => most,
        })),
        query_slots: Arc::new(Semaphore::new(flags.query_max_concurrency.max(1))),
        queries: Arc::default(),
        query_log: Arc::default(),
        notifications: Arc::new(Notifications::new(registry, flags.max_notifications_subscribers)),
        config: RwLock::new(Arc::new(loaded)),
        config_loaded: RwLock::new((started_ms, true)),
        external_url: external_url(flags, port),
        flags: Arc::clone(flags),
        lifecycle: lifecycle.clone(),
        replay: Arc::default(),
        alerts: Arc::new(alerts),
        clock,
        contexts,
        internal,
        db,
        subquery_step_ms,
        write_buffers: Arc::default(),
        scrape,
        metrics,
        started_ms,
    })
}

fn remote_storage(
    flags: &Flags,
    registry: &Registry,
    (client, clock): (ClientOptions, Arc<dyn Clock>),
    scrape: &Arc<ScrapeManager>,
) -> RemoteStorage {
    let env = SenderEnv { client, metrics: remote_write::Metrics::register(registry), clock };
    let scrape = Arc::clone(scrape);
    let families = move || {
        let mut families = BTreeMap::new();
        for target in scrape.targets() {
            let metadata = Arc::clone(&target.metadata.lock());
            families.extend(metadata.iter().map(|(family, metadata)| (family.clone(), metadata.clone())));
        }
        families
    };
    let deadline = Duration::from_millis(flags.remote_flush_deadline_ms.unsigned_abs());
    RemoteStorage::new(env, WatchMetrics::register(registry), deadline, Arc::new(families))
}

fn engine(flags: &Flags, subquery_step_ms: &Arc<AtomicI64>) -> promql::Engine {
    let syntax = Features {
        experimental_functions: flags.has_feature("promql-experimental-functions"),
        extended_range_selectors: flags.has_feature("promql-extended-range-selectors"),
        binop_fill_modifiers: flags.has_feature("promql-binop-fill-modifiers"),
        duration_expressions: true,
    };
    let step = Arc::clone(subquery_step_ms);
    promql::Engine::new(EngineOptions {
        lookback_ms: flags.lookback_delta_ms,
        max_samples: flags.query_max_samples,
        default_subquery_step: Arc::new(move |_| step.load(Ordering::Relaxed)),
        features: EngineFeatures {
            syntax,
            delayed_name_removal: flags.has_feature("promql-delayed-name-removal"),
            type_and_unit_labels: flags.has_feature("type-and-unit-labels"),
            use_start_timestamps: flags.has_feature("use-start-timestamps"),
            per_step_stats: flags.has_feature("promql-per-step-stats"),
        },
    })
}

/// The URL for links: the flag's, else this machine's name and port.
fn external_url(flags: &Flags, port: u16) -> String {
    let url = flags.external_url.trim_end_matches('/');
    if url.is_empty() { format!("http://{}:{port}", hostname()) } else { url.to_owned() }
}

fn site_options(flags: &Flags) -> Result<SiteOptions, Failure> {
    let origins = Regex::anchored(&flags.cors_origin)
        .map_err(|error| Failure::usage(format!("--web.cors.origin: {error}")))?;
    Ok(SiteOptions {
        healthy_text: "Watchbell metrics server is healthy.",
        ready_text: "Watchbell metrics server is ready.",
        route_prefix: flags.effective_route_prefix(),
        lifecycle_endpoints: flags.enable_lifecycle,
        connections_max: flags.max_connections,
        read_timeout: Duration::from_millis(flags.read_timeout_ms.unsigned_abs()),
        cors: Some(Arc::new(move |origin: &str| origins.is_match(origin))),
        web_config: Some(PathBuf::from(&flags.web_config_file)).filter(|path| !path.as_os_str().is_empty()),
        ..SiteOptions::new("prometheus")
    })
}

async fn open_store(state: &Arc<State>) -> Result<(), BoxError> {
    let options = maintenance::db_options(&state.flags, &state.config.read().config);
    let opening = Arc::clone(state);
    let db = tokio::task::spawn_blocking(move || {
        let environment = tsdb::Environment {
            progress: Arc::clone(&opening.replay),
            ..tsdb::Environment::new(Arc::new(RealFs), Arc::clone(&opening.clock))
        };
        tsdb::Db::open(&opening.flags.tsdb_path, options, environment)
    })
    .await??;
    let db = Arc::new(db);
    state.db.get_or_init(|| Arc::clone(&db));
    let loaded = Arc::clone(&state.config.read());
    reload::apply(state, &loaded, &db, true).await?;
    maintenance::start(state, &db);
    state.notifications.remove(Notice::Starting);
    state.lifecycle.set_ready();
    tracing::info!("ready");
    Ok(())
}

async fn close_store(state: Arc<State>) -> Result<(), BoxError> {
    if let Some(db) = state.db.get().cloned() {
        tokio::task::spawn_blocking(move || db.close()).await??;
    }
    Ok(())
}
