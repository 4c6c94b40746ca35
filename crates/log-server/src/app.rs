//! The composition root: what the service is made of, and in which order it starts and stops.

mod overrides;
mod store;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::future::BoxFuture;
use http_client::HostAliases;
use log_storage_api::LogStore;
use log_store::DiskLogStore;
use parking_lot::{Mutex, RwLock};
use resources::{CpuPools, MemoryBudget};
use service::{BoxError, Contexts, Failure, Lifecycle, Listener, Site, SiteOptions, Tenancy};
use sys::{Clock, Fs};
use telemetry::Registry;
use tokio::sync::Semaphore;

use crate::config::LoadedConfig;
use crate::flags::Flags;
use crate::ingest::{Ingester, RateLimiter, StreamCache};
use crate::live::LiveHub;
use crate::metrics::Metrics;
use crate::ruler::{LogqlEngine, Ruler, load_rules};
use crate::server::Server;
use crate::tenants::TenantLimits;
use crate::{api, grpc};

/// Pushes run on many threads, one after the other: with an arena for each, memory that one has freed serves no other.
const HEAP_ARENAS: u16 = 2;
/// Where data are kept where nothing else is said.
const DATA_DIR: &str = "data/loki";

/// How the service is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration to start with.
    pub loaded: LoadedConfig,
    /// Flags to read it again with; `None` where it does not come from a file.
    pub flags: Option<Flags>,
    /// Where data are kept.
    pub data_dir: PathBuf,
    /// Where to listen: `host:port`, port 0 for any.
    pub listen_address: String,
    /// A further address for gRPC alone.
    pub grpc_listen_address: Option<String>,
    /// File for TLS and basic authentication.
    pub web_config: Option<PathBuf>,
    /// Whether lines are synced before the answer.
    pub syncs_always: bool,
    /// How much segments may take on disk.
    pub disk_bytes_max: Option<u64>,
}

impl Options {
    /// What flags and the file they name come to. Blocks.
    pub fn from_flags(flags: Flags) -> Result<Self, Failure> {
        let loaded = flags.load()?;
        let server = &loaded.config.server;
        let grpc_listen_address =
            server.grpc_listen_port.map(|port| format!("{}:{port}", server.grpc_listen_address));
        Ok(Self {
            data_dir: loaded.config.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR)),
            listen_address: format!("{}:{}", server.http_listen_address, server.http_listen_port),
            grpc_listen_address,
            web_config: flags.web_config_file.clone(),
            syncs_always: flags.storage_sync == "always",
            disk_bytes_max: flags.retention_size.map(|size| size.0).filter(|bytes| *bytes > 0),
            loaded,
            flags: Some(flags),
        })
    }
}

/// What the service is given by its process.
#[derive(Clone)]
pub struct Dependencies {
    /// Where metrics go.
    pub registry: Registry,
    /// What memory is taken from.
    pub memory: MemoryBudget,
    /// Threads for CPU work.
    pub cpu: CpuPools,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The file system of the store.
    pub fs: Arc<dyn Fs>,
    /// Other places for names that the configuration uses, such as `alertmanager`.
    pub aliases: HostAliases,
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dependencies({:?})", self.memory)
    }
}

/// The log server.
pub struct App {
    lifecycle: Lifecycle,
    site: Site,
    server: Arc<Server>,
    store: Arc<DiskLogStore>,
    listeners: Mutex<Option<Listeners>>,
    address: SocketAddr,
}

struct Listeners {
    http: Listener,
    grpc: Option<Listener>,
}

impl App {
    /// Binds the sockets and opens the store.
    pub async fn new(options: Options, dependencies: Dependencies) -> Result<Self, Failure> {
        sys::limit_heap_arenas(HEAP_ARENAS);
        let Options { loaded, flags, data_dir, .. } = &options;
        let config = &loaded.config;
        for warning in &loaded.warnings {
            tracing::warn!(warning, "configuration");
        }
        let lifecycle = Lifecycle::new("logs", &dependencies.registry);
        let listeners = bind(&options).await?;
        let address = listeners.http.address();
        let site = site(&lifecycle, &options)?;
        let limits = Arc::new(TenantLimits::new(config));
        let opening = store::Opening {
            dir: data_dir.clone(),
            foreign_dirs: config.foreign_dirs.clone(),
            flush_age: config.flush_age,
            syncs_always: options.syncs_always,
            disk_bytes_max: options.disk_bytes_max,
            limits: Arc::clone(&limits),
            fs: Arc::clone(&dependencies.fs),
            clock: Arc::clone(&dependencies.clock),
        };
        let store = tokio::task::spawn_blocking(move || opening.open()).await.map_err(Failure::runtime)??;
        let store = Arc::new(store);
        store::register_metrics(&dependencies.registry, &store);
        let shared: Arc<dyn LogStore> = Arc::clone(&store) as Arc<dyn LogStore>;
        let engines = LogqlEngine::new(
            Arc::clone(&shared),
            Arc::clone(&limits),
            dependencies.memory.clone(),
            dependencies.cpu.clone(),
        );
        let ruler = Arc::new(Ruler::new(
            &lifecycle,
            Arc::clone(&dependencies.clock),
            engines,
            &config.ruler,
            dependencies.aliases.clone(),
        ));
        let rules = match &config.ruler.rules_dir {
            Some(dir) => load_rules(dir)?,
            None => Vec::new(),
        };
        ruler.apply(&config.ruler, rules).await?;
        let tenancy = if config.auth_enabled { Tenancy::Multiple } else { Tenancy::Single };
        let server = Arc::new(Server {
            store: Arc::clone(&store),
            ingester: Arc::new(Ingester {
                store: shared,
                live: LiveHub::default(),
                clock: Arc::clone(&dependencies.clock),
                metrics: Metrics::register(&dependencies.registry),
                rates: RateLimiter::default(),
                known_streams: StreamCache::default(),
            }),
            contexts: Contexts::new(
                tenancy,
                dependencies.memory.clone(),
                dependencies.cpu.clone(),
                None,
                "logs",
            ),
            lifecycle: lifecycle.clone(),
            limits,
            loaded: RwLock::new(Arc::new(loaded.clone())),
            ruler,
            queries: Semaphore::new(config.max_concurrent.clamp(1, 1000)),
            tails: AtomicUsize::new(0),
        });
        dependencies.registry.info(
            "loki_build_info",
            "The version that runs.",
            &[("version", env!("CARGO_PKG_VERSION")), ("branch", ""), ("revision", "")],
        );
        let app = Self { lifecycle, site, server, store, listeners: Mutex::new(Some(listeners)), address };
        app.register_cleanups();
        app.register_reload(flags.clone());
        Ok(app)
    }

    /// The address of HTTP and gRPC, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn register_cleanups(&self) {
        let store = Arc::clone(&self.store);
        self.lifecycle.on_stop("store", move || async move {
            tokio::task::spawn_blocking(move || store.stop()).await?.map_err(BoxError::from)
        });
        let ruler = Arc::clone(&self.server.ruler);
        self.lifecycle.on_stop("alert sender", move || async move {
            ruler.stop().await;
            Ok(())
        });
    }

    fn register_reload(&self, flags: Option<Flags>) {
        let (server, site) = (Arc::clone(&self.server), self.site.clone());
        self.lifecycle.on_reload(move || {
            let (server, site, flags) = (Arc::clone(&server), site.clone(), flags.clone());
            async move { reload(&server, &site, flags).await }
        });
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App(logs, {})", self.address)
    }
}

impl service::App for App {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let Some(listeners) = self.listeners.lock().take() else { return Ok(()) };
            let http = || api::router(Arc::clone(&self.server));
            self.site.serve(listeners.http, http(), grpc::routes(&self.server));
            if let Some(listener) = listeners.grpc {
                self.site.serve(listener, http(), grpc::routes(&self.server));
            }
            store::spawn_tasks(&self.lifecycle, &self.store);
            overrides::watch(&self.lifecycle, &self.server);
            self.server.ruler.run_groups();
            self.lifecycle.set_ready();
            Ok(())
        })
    }
}

async fn bind(options: &Options) -> Result<Listeners, Failure> {
    let http = Listener::bind(&options.listen_address, "--server.http-listen-port").await?;
    let grpc = match &options.grpc_listen_address {
        Some(address) => Some(Listener::bind(address, "--server.grpc-listen-port").await?),
        None => None,
    };
    Ok(Listeners { http, grpc })
}

fn site(lifecycle: &Lifecycle, options: &Options) -> Result<Site, Failure> {
    let config = &options.loaded.config;
    let mut site = SiteOptions::new("loki");
    site.lifecycle_endpoints = false;
    site.read_timeout = config.server.read_timeout;
    site.body_bytes_max = usize::try_from(config.push_bytes_max).unwrap_or(usize::MAX);
    site.web_config.clone_from(&options.web_config);
    if !config.server.http_path_prefix.is_empty() {
        config.server.http_path_prefix.clone_into(&mut site.route_prefix);
    }
    Site::new(lifecycle, site)
}

/// Reads the configuration again. What is bound at the start (addresses, data directory, tenancy) stays until a restart.
async fn reload(server: &Arc<Server>, site: &Site, flags: Option<Flags>) -> Result<(), BoxError> {
    let Some(flags) = flags else { return Ok(()) };
    let site = site.clone();
    let read = tokio::task::spawn_blocking(move || {
        let loaded = flags.load()?;
        let rules = match &loaded.config.ruler.rules_dir {
            Some(dir) => load_rules(dir)?,
            None => Vec::new(),
        };
        site.reload_web_config()?;
        Ok::<_, Failure>((loaded, rules))
    });
    let (loaded, rules) = read.await?.map_err(|failure| failure.error)?;
    server.ruler.apply(&loaded.config.ruler, rules).await?;
    server.ruler.run_groups();
    server.limits.replace(&loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!(warning, "configuration");
    }
    *server.loaded.write() = Arc::new(loaded);
    Ok(())
}
