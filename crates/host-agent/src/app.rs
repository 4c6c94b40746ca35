//! The composition root: an agent is made of its options here.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use service::{App, BoxError, Failure, Lifecycle, Listener, Site, SiteOptions};
use sys::{Clock, SystemClock};
use telemetry::Registry;

use crate::api::{self, ApiState};
use crate::containers::{ContainerCollectors, DockerLink, DockerWatch};
use crate::exporter::Exporter;
use crate::files::read_trimmed;
use crate::host::HostCollectors;
use crate::logs::{self, LogPipeline};
use crate::options::AgentOptions;
use crate::status::StatusBoard;

/// How long Docker may take to tell the machine's name before the agent goes on without it.
const NAME_TIMEOUT: Duration = Duration::from_secs(2);

/// An agent with its socket bound.
#[derive(Debug)]
pub struct Agent {
    lifecycle: Lifecycle,
    site: Site,
    api: ApiState,
    metrics_path: String,
    prepared: Mutex<Option<Prepared>>,
    address: std::net::SocketAddr,
}

/// What `start` takes.
#[derive(Debug)]
struct Prepared {
    listener: Listener,
    watch: DockerWatch,
    pipeline: Option<LogPipeline>,
}

impl Agent {
    /// Binds the socket, reads the log configuration and opens what is kept on disk.
    ///
    /// # Errors
    /// Where the address is taken, the configuration is wrong or the data directory cannot be written.
    pub async fn new(options: AgentOptions, registry: &Registry) -> Result<Self, Failure> {
        for warning in &options.warnings {
            tracing::warn!(warning, "command line");
        }
        let lifecycle = Lifecycle::new("host-agent", registry);
        let listener = Listener::bind(&options.listen_address, "--web.listen-address").await?;
        let address = listener.address();
        let site_options = SiteOptions {
            healthy_text: "host-agent is healthy.",
            ready_text: "host-agent is ready.",
            route_prefix: options.base_prefix.clone(),
            web_config: options.web_config.clone(),
            own_metrics_route: true,
            ..SiteOptions::new("watchbell_agent")
        };
        let site = Site::new(&lifecycle, site_options)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let status = Arc::new(StatusBoard::default());
        let setup = logs::load(&options.logs, &options.aliases)?;
        let docker_host = options.docker_host.clone().or_else(|| setup.docker_host().map(str::to_owned));
        let link = DockerLink::new(docker_host);
        let host: Arc<str> = match setup.host_in_labels().or_else(|| options.host_name.clone()) {
            Some(name) => name.into(),
            None => machine_name(&link, &options).await.into(),
        };
        let (watch, inventory) = DockerWatch::new(link.clone(), Arc::clone(&clock), Arc::clone(&status));
        let containers = Arc::new(ContainerCollectors::new(
            options.roots.clone(),
            options.containers.clone(),
            Arc::clone(&host),
            Arc::clone(&clock),
            Arc::clone(&status),
            link.clone(),
            inventory.clone(),
        ));
        let host_collectors = HostCollectors::new(
            options.roots.clone(),
            options.host.clone(),
            Arc::clone(&clock),
            Arc::clone(&status),
        );
        let pipeline_parts = logs::Parts {
            host: Arc::clone(&host),
            clock,
            status: Arc::clone(&status),
            link,
            inventory,
            roots: options.roots.clone(),
            data_dir: options.data_dir.clone(),
        };
        let pipeline = LogPipeline::open(setup, pipeline_parts, &lifecycle).await?;
        let exporter = Arc::new(Exporter::new(host_collectors, containers, registry.clone()));
        let api = ApiState {
            exporter,
            status,
            logs: pipeline.as_ref().map(LogPipeline::status),
            lifecycle: lifecycle.clone(),
            host,
        };
        let prepared = Mutex::new(Some(Prepared { listener, watch, pipeline }));
        Ok(Self { lifecycle, site, api, metrics_path: options.metrics_path, prepared, address })
    }

    /// Where it listens, with the port that was really taken.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }
}

impl App for Agent {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let Some(prepared) = self.prepared.lock().take() else { return Ok(()) };
            let site = self.site.clone();
            self.lifecycle.on_reload(move || {
                let site = site.clone();
                async move {
                    let reloaded = tokio::task::spawn_blocking(move || site.reload_web_config()).await?;
                    reloaded.map_err(|failure| BoxError::from(failure.to_string()))
                }
            });
            let router = api::router(self.api.clone(), &self.metrics_path);
            self.site.serve(prepared.listener, router, tonic::service::Routes::default());
            let stopping = self.lifecycle.stopping().clone();
            self.lifecycle.spawn("docker watch", prepared.watch.run(stopping));
            if let Some(pipeline) = prepared.pipeline {
                pipeline.start(&self.lifecycle);
            }
            self.lifecycle.set_ready();
            Ok(())
        })
    }
}

/// The machine's name: as Docker knows it (from within a container only Docker does), else from /etc/hostname, else uname's.
async fn machine_name(link: &DockerLink, options: &AgentOptions) -> String {
    if let Some(name) = &options.host_name {
        return name.clone();
    }
    let asked =
        tokio::time::timeout(NAME_TIMEOUT, async { link.client().await.ok()?.info().await.ok()?.name });
    if let Ok(Some(name)) = asked.await
        && !name.is_empty()
    {
        return name;
    }
    let file = options.roots.host_path("etc/hostname");
    let uname = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    read_trimmed(&file).filter(|name| !name.is_empty()).unwrap_or_else(uname)
}
