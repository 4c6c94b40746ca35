//! The gateway as a service: what it is made of.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use resources::{CpuPools, MemoryBudget};
use service::{App, BoxError, Contexts, Failure, Lifecycle, Listener, Site, SiteOptions, Tenancy};
use state_store::StateStore;
use sys::{Clock, RealFs, SystemClock};
use telemetry::Registry;
use tokio::sync::Semaphore;
use url::Url;

use crate::attempts::Attempts;
use crate::dashboards::Dashboards;
use crate::error::ApiError;
use crate::options::Options;
use crate::routes;
use crate::sessions::Sessions;
use crate::state::{Gateway, Parts};
use crate::status::Statuses;
use crate::upstream::Upstream;
use crate::users::Users;

/// How often the dashboards' files and the password reset are looked at, sessions swept and the state exported.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);
const EXPORT_INTERVAL: Duration = Duration::from_secs(300);
/// Passwords that are checked at a time.
const HASHES_MAX: usize = 2;
/// How long a query may take.
const QUERY_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// The dashboard gateway.
#[derive(Debug)]
pub struct DashboardGateway {
    gateway: Gateway,
    site: Site,
    address: std::net::SocketAddr,
    listener: Mutex<Option<Listener>>,
}

impl DashboardGateway {
    /// Opens the state, makes the first user and binds the socket. Must be called within a tokio runtime.
    pub async fn new(options: Options, registry: &Registry) -> Result<Self, Failure> {
        let lifecycle = Lifecycle::new("dashboard-gateway", registry);
        let listener = Listener::bind(&options.listen_address, options.listen_flag).await?;
        let address = listener.address();
        let site_options = SiteOptions {
            body_bytes_max: 64 << 20,
            web_config: options.web_config.clone(),
            ..SiteOptions::new("grafana")
        };
        registry.process_metrics();
        registry.info(
            "grafana_build_info",
            "A metric with a constant 1 by version.",
            &[("version", env!("CARGO_PKG_VERSION"))],
        );
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let connect = |role: &'static str, url: &Url| Upstream::new(role, url.clone(), Arc::clone(&clock));
        let metrics = connect("metrics server", &options.metrics_url)?;
        let logs = connect("log server", &options.logs_url)?;
        let alerts = connect("alert manager", &options.alerts_url)?;
        let agents = options.agent_urls.iter().map(|url| connect("agent", url)).collect::<Result<_, _>>()?;
        let site = {
            let lifecycle = lifecycle.clone();
            off_runtime(move || Site::new(&lifecycle, site_options)).await?
        };
        let opened = {
            let (options, registry, clock) = (options.clone(), registry.clone(), Arc::clone(&clock));
            off_runtime(move || Opened::open(&options, &registry, &clock)).await?
        };
        let Opened { store, users, sessions, dashboards, notices } = opened;
        let contexts = Contexts::new(
            Tenancy::Single,
            MemoryBudget::unlimited("gateway"),
            CpuPools::inline(),
            Some(QUERY_TIMEOUT_MAX),
            "gateway",
        );
        let gateway = Gateway(Arc::new(Parts {
            lifecycle,
            options,
            clock,
            store,
            users,
            sessions,
            attempts: Attempts::default(),
            hashing: Semaphore::new(HASHES_MAX),
            dashboards,
            contexts,
            metrics,
            logs,
            alerts,
            agents,
            statuses: Statuses::default(),
            notices: RwLock::new(notices),
        }));
        Ok(Self { gateway, site, address, listener: Mutex::new(Some(listener)) })
    }

    /// The address that was bound.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// The first user and the generated password, while it has not been changed: to be shown at each start.
    pub fn first_login(&self) -> Option<(String, String)> {
        let user = &self.gateway.options.admin_user;
        Some((user.clone(), self.gateway.users.initial_password(user)?))
    }

    fn start_tasks(&self) {
        let lifecycle = &self.gateway.lifecycle;
        let gateway = self.gateway.clone();
        lifecycle.spawn("housekeeping", async move {
            let stopping = gateway.lifecycle.stopping().clone();
            let mut exported = gateway.clock.monotonic();
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(LOOK_INTERVAL) => {}
                }
                let export = gateway.clock.monotonic().saturating_sub(exported) >= EXPORT_INTERVAL;
                if export {
                    exported = gateway.clock.monotonic();
                }
                let parts = gateway.clone();
                // A panic in it is a defect of one look; the next one tries again.
                tokio::task::spawn_blocking(move || look(&parts, export)).await.ok();
            }
        });
        let store = self.gateway.store.clone();
        lifecycle.on_stop("state", move || async move {
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            closed.map_err(BoxError::from)?.map_err(BoxError::from)
        });
        let gateway = self.gateway.clone();
        let site = self.site.clone();
        lifecycle.on_reload(move || {
            let (gateway, site) = (gateway.clone(), site.clone());
            async move {
                let reloaded = tokio::task::spawn_blocking(move || {
                    look(&gateway, false);
                    site.reload_web_config()
                });
                reloaded.await.map_err(BoxError::from)?.map_err(|failure| failure.error)
            }
        });
    }
}

impl App for DashboardGateway {
    fn lifecycle(&self) -> &Lifecycle {
        &self.gateway.lifecycle
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let Some(listener) = self.listener.lock().take() else { return Ok(()) };
            self.start_tasks();
            self.site.serve(listener, routes::router(&self.gateway), tonic::service::Routes::default());
            self.gateway.lifecycle.set_ready();
            Ok(())
        })
    }
}

/// What is read from the data directory.
struct Opened {
    store: StateStore,
    users: Arc<Users>,
    sessions: Arc<Sessions>,
    dashboards: Arc<Dashboards>,
    notices: Vec<String>,
}

impl Opened {
    fn open(options: &Options, registry: &Registry, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        let failed = |error: ApiError| Failure::runtime(error.message);
        service::check_data_directory(&options.data_dir, "--storage.path")?;
        let store = StateStore::open(&options.data_dir.join("state"), Arc::new(RealFs), registry)
            .map_err(Failure::runtime)?;
        let users = Users::open(&store, &options.data_dir).map_err(failed)?;
        users.ensure_admin(&options.admin_user, options.admin_password.as_ref()).map_err(failed)?;
        let sessions = Sessions::open(&store, Arc::clone(clock)).map_err(failed)?;
        let dashboards =
            Dashboards::open(&store, options.dashboard_dirs.clone(), Arc::clone(clock)).map_err(failed)?;
        let notices = dashboards.reload_files();
        for notice in &notices {
            tracing::warn!(problem = notice, "dashboard file left out");
        }
        Ok(Self { store, users, sessions, dashboards, notices })
    }
}

/// Looks at what changes outside of requests. Blocks.
fn look(gateway: &Gateway, export: bool) {
    let notices = gateway.dashboards.reload_files();
    let mut shown = gateway.notices.write();
    if *shown != notices {
        for notice in &notices {
            tracing::warn!(problem = notice, "dashboard file left out");
        }
        *shown = notices;
    }
    drop(shown);
    match gateway.users.take_reset() {
        Ok(Some(user)) => {
            tracing::info!(user, "password was reset");
            report(gateway.sessions.end_all(&user, None));
        }
        Ok(None) => {}
        Err(error) => report(Err(error)),
    }
    report(gateway.sessions.sweep());
    if export && let Err(error) = gateway.store.export() {
        tracing::error!(error = service::error_chain(&error), "gateway state not exported");
    }
}

fn report(result: Result<(), ApiError>) {
    if let Err(error) = result {
        tracing::error!(error = error.message, "gateway housekeeping failed");
    }
}

async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::runtime)?
}
