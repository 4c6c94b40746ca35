//! The service: what is opened at its start, what serves, what is closed at its end.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use model::TimestampNs;
use parking_lot::Mutex;
use service::{App, BoxError, Failure, Lifecycle, Listener, Site, SiteOptions};
use sys::{Clock, Fs, RealFs, SystemClock};
use telemetry::Registry;

use crate::api::Api;
use crate::cluster::{Cluster, ClusterOptions};
use crate::config::Config;
use crate::dispatch::{DispatchOptions, Dispatcher};
use crate::flags::Flags;
use crate::history::History;
use crate::import;
use crate::manager::{Manager, Parts, Receivers, Settings, log_warnings};
use crate::metrics::Metrics;
use crate::notification_log::NotificationLog;
use crate::silences::Silences;
use crate::state::State;
use crate::times::ns;

/// The alert manager.
#[derive(Debug)]
pub struct AlertManager {
    lifecycle: Lifecycle,
    site: Site,
    manager: Manager,
    listeners: Mutex<Vec<Listener>>,
    addresses: Vec<std::net::SocketAddr>,
    gets_max: usize,
}

impl AlertManager {
    /// Opens the store, reads the configuration and binds. Nothing is sent before [`App::start`].
    pub async fn new(flags: Flags, registry: &Registry) -> Result<Self, Failure> {
        let mode = flags.matcher_mode()?;
        let mut listeners = Vec::new();
        for address in &flags.listen_addresses {
            listeners.push(Listener::bind(address, "--web.listen-address").await?);
        }
        let addresses: Vec<std::net::SocketAddr> = listeners.iter().map(Listener::address).collect();
        let lifecycle = Lifecycle::new("alert-manager", registry);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let settings = Settings {
            config_file: flags.config_file.clone(),
            matcher_mode: mode,
            external_url: flags.external_url(addresses.first().map_or(9093, |address| address.port()))?,
            retention_ns: ns(flags.retention),
            maintenance_interval: flags.maintenance_interval,
            alerts_gc_interval: flags.alerts_gc_interval,
            outbox_retention_ns: ns(flags.outbox_retention),
            failing_alert_after_ns: ns(flags.failing_alert_after),
            self_check: flags.self_check,
            log_silences: flags.log_silences,
        };
        let cluster = match ClusterOptions::from_flags(&flags.cluster)? {
            Some(options) => Some(Cluster::bind(options, registry, Arc::clone(&clock)).await?),
            None => None,
        };
        let site = Site::new(&lifecycle, site_options(&flags))?;
        let opening = {
            let (flags, lifecycle) = (flags.clone(), lifecycle.clone());
            tokio::task::spawn_blocking(move || open(&flags, settings, clock, cluster, lifecycle))
        };
        let manager = opening.await.map_err(Failure::runtime)??;
        let reloaded = (manager.clone(), site.clone());
        lifecycle.on_reload(move || {
            let (manager, site) = reloaded.clone();
            async move { reload(&manager, site).await }
        });
        let closed = manager.clone();
        lifecycle.on_stop("state", move || async move {
            tokio::task::spawn_blocking(move || closed.close()).await??;
            Ok(())
        });
        Ok(Self {
            lifecycle,
            site,
            manager,
            listeners: Mutex::new(listeners),
            addresses,
            gets_max: flags.gets_max(),
        })
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> &[std::net::SocketAddr] {
        &self.addresses
    }
}

fn site_options(flags: &Flags) -> SiteOptions {
    SiteOptions {
        route_prefix: flags.route_prefix(),
        ready_text: "OK",
        lifecycle_endpoints: true,
        quit_endpoint: false,
        cors: Some(Arc::new(|_| true)),
        web_config: flags.web_config_file.clone(),
        ..SiteOptions::new("alertmanager")
    }
}

async fn reload(manager: &Manager, site: Site) -> Result<(), BoxError> {
    manager.reload().await?;
    tokio::task::spawn_blocking(move || site.reload_web_config()).await?.map_err(|failure| failure.error)
}

/// Opens what is on disk. Blocks.
fn open(
    flags: &Flags,
    settings: Settings,
    clock: Arc<dyn Clock>,
    cluster: Option<Cluster>,
    lifecycle: Lifecycle,
) -> Result<Manager, Failure> {
    let registry = &lifecycle.registry().clone();
    let config = Config::load(&settings.config_file, settings.matcher_mode)?;
    log_warnings(&config);
    let receivers = Receivers::build(&config).map_err(Failure::usage)?;
    service::check_data_directory(&flags.storage_path, "--storage.path")?;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let state = State::open(&flags.storage_path.join("state"), Arc::clone(&fs), registry)
        .map_err(Failure::runtime)?;
    let history = History::open(&flags.storage_path.join("history"), fs).map_err(Failure::runtime)?;
    take_over(&flags.storage_path, &state, &clock)?;
    let mut silences = Silences::new(flags.silence_limits());
    silences.apply(state.silences().map_err(Failure::runtime)?);
    let mut log = NotificationLog::default();
    for entry in state.log().map_err(Failure::runtime)? {
        log.apply(entry);
    }
    let parcels = state.parcels().map_err(Failure::runtime)?;
    let link_keys = state.link_keys().map_err(Failure::runtime)?;
    let acks = state.acks().map_err(Failure::runtime)?;
    let heartbeats = state.heartbeats().map_err(Failure::runtime)?;
    let not_before: TimestampNs = clock.now_ns() + ns(flags.start_delay);
    let options = DispatchOptions {
        retention_ns: settings.retention_ns,
        per_alertname_max: flags.per_alertname_limit,
        not_before,
    };
    let mut dispatcher = Dispatcher::new(Arc::new(config), options, silences, log);
    dispatcher.acks.apply(acks);
    let metrics = Metrics::register(registry, cluster.is_some(), flags.metric_labels());
    let parts = Parts {
        dispatcher,
        state,
        parcels,
        heartbeats,
        link_keys,
        history,
        metrics,
        clock,
        cluster,
        lifecycle,
        settings,
    };
    Ok(Manager::new(parts, receivers))
}

/// At the first start: what an Alertmanager has left in the directory. Its files stay as they are.
fn take_over(dir: &Path, state: &State, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    if state.has_taken_over().map_err(Failure::runtime)? {
        return Ok(());
    }
    let imported = import::read(dir).map_err(Failure::runtime)?;
    if imported.skipped > 0 {
        tracing::warn!(records = imported.skipped, "records of Alertmanager's data were skipped");
    }
    if !imported.silences.is_empty() || !imported.log.is_empty() {
        let (silences, entries) = (imported.silences.len(), imported.log.len());
        tracing::info!(silences, entries, "Alertmanager's data taken over");
    }
    state.take_over(&imported, clock.now_ns()).map_err(Failure::runtime)
}

impl App for AlertManager {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.manager.start();
            let listeners = std::mem::take(&mut *self.listeners.lock());
            for listener in listeners {
                let routes = Api::new(self.manager.clone(), self.gets_max).routes();
                self.site.serve(listener, routes, tonic::service::Routes::default());
            }
            self.lifecycle.set_ready();
            Ok(())
        })
    }
}
