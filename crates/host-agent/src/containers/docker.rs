//! The link to the Docker API: finds it, keeps an inventory of all containers by its events, comes back when it goes away.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{EventMessage, SystemInfoCgroupDriverEnum};
use bollard::query_parameters::{
    EventsOptions, InspectContainerOptions, ListContainersOptions, StatsOptions,
};
use futures::StreamExt;
use parking_lot::Mutex;
use sys::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::inventory::{ContainerInfo, Inventory};
use crate::status::StatusBoard;

/// Where Docker and Podman listen, in order: the machine's, then the user's own.
const SOCKETS: [&str; 3] = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"];
const USER_SOCKETS: [&str; 2] = ["docker.sock", "podman/podman.sock"];
/// How long one call may take.
const CALL_TIMEOUT_S: u64 = 30;
const STATS_TIMEOUT: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// What events could be missed is seen by then at the latest.
const RESCAN_INTERVAL: Duration = Duration::from_secs(60);
/// Asking for sizes makes Docker walk the writable layers.
const SIZES_INTERVAL: Duration = Duration::from_secs(600);
const INSPECT_CONCURRENCY: usize = 4;
/// How many containers are kept in mind; those beyond are counted in the status.
const CONTAINERS_MAX: usize = 2_000;
/// The events that change what an inspection shows. Health checks cause `exec_*` events all the time: those are not asked for.
const EVENTS: [&str; 12] = [
    "create",
    "start",
    "restart",
    "die",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
    "stop",
];
const AREA: &str = "containers";
const SUBJECT: &str = "docker api";

/// Calls of the Docker API. Cheap to clone; connects anew for each use after a loss.
#[derive(Clone, Debug)]
pub(crate) struct DockerLink {
    host: Option<String>,
    client: Arc<Mutex<Option<Docker>>>,
}

/// Why the Docker API did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DockerError {
    /// There is no socket.
    #[error("no docker socket at {tried}; mount it into the agent, or name it with --docker")]
    NoSocket {
        /// Where it was looked for.
        tried: String,
    },
    /// The address has a form that is not supported.
    #[error("{host:?} is not a docker address: unix:///path, tcp://host:port and http://host:port are")]
    Address {
        /// What was given.
        host: String,
    },
    /// The API answered with an error, or not at all.
    #[error("{message}")]
    Api {
        /// What it said.
        message: String,
        /// The HTTP status, where there was one.
        status: Option<u16>,
    },
}

impl From<bollard::errors::Error> for DockerError {
    fn from(error: bollard::errors::Error) -> Self {
        let status = match &error {
            bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
            _ => None,
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            let text = inner.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = inner.source();
        }
        if message.contains("Permission denied") {
            message.push_str(" (add the agent to the group that owns the docker socket)");
        }
        Self::Api { message, status }
    }
}

impl DockerError {
    /// Whether the container is gone.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { status: Some(404), .. })
    }

    /// Whether the container's log driver cannot be read: no later try will change that.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Api { status: Some(501), .. })
            || matches!(self, Self::Api { message, .. } if message.contains("does not support reading"))
    }
}

impl DockerLink {
    /// A link to `host` (`unix:///path`, `tcp://host:port`), else to `$DOCKER_HOST`'s value as given, else to the first socket
    /// of the machine or the user that exists.
    pub(crate) fn new(host: Option<String>) -> Self {
        Self { host, client: Arc::default() }
    }

    /// Whether there is anything to connect to.
    pub(crate) fn is_present(&self) -> bool {
        match self.host.as_deref() {
            Some(host) if host.starts_with("unix://") || host.starts_with('/') => {
                Path::new(host.trim_start_matches("unix://")).exists()
            }
            Some(_) => true,
            None => sockets().iter().any(|path| path.exists()),
        }
    }

    /// The client, connected where it is not.
    pub(crate) async fn client(&self) -> Result<Docker, DockerError> {
        if let Some(client) = self.client.lock().clone() {
            return Ok(client);
        }
        let client = self.connect()?.negotiate_version().await?;
        *self.client.lock() = Some(client.clone());
        Ok(client)
    }

    /// Forgets the client, so that the next use negotiates again: Docker may have been upgraded.
    pub(crate) fn reset(&self) {
        *self.client.lock() = None;
    }

    fn connect(&self) -> Result<Docker, DockerError> {
        let version = bollard::API_DEFAULT_VERSION;
        match self.host.as_deref() {
            None => {
                let sockets: Vec<String> = sockets().iter().map(|path| path.display().to_string()).collect();
                let Some(path) = sockets.iter().find(|path| Path::new(path).exists()) else {
                    return Err(DockerError::NoSocket { tried: sockets.join(", ") });
                };
                Ok(Docker::connect_with_unix(path, CALL_TIMEOUT_S, version)?)
            }
            Some(host) if host.starts_with("unix://") || host.starts_with('/') => {
                let path = host.trim_start_matches("unix://");
                if !Path::new(path).exists() {
                    return Err(DockerError::NoSocket { tried: path.to_owned() });
                }
                Ok(Docker::connect_with_unix(path, CALL_TIMEOUT_S, version)?)
            }
            Some(host) if host.starts_with("tcp://") || host.starts_with("http://") => {
                Ok(Docker::connect_with_http(host, CALL_TIMEOUT_S, version)?)
            }
            Some(host) => Err(DockerError::Address { host: host.to_owned() }),
        }
    }

    /// One reading of a container's numbers, without the second that Docker waits for CPU percentages.
    pub(crate) async fn stats(&self, id: &str) -> Option<bollard::models::ContainerStatsResponse> {
        let client = self.client().await.ok()?;
        let options = StatsOptions { stream: false, one_shot: true };
        let mut answers = std::pin::pin!(client.stats(id, Some(options)));
        tokio::time::timeout(STATS_TIMEOUT, answers.next()).await.ok()??.ok()
    }
}

/// Where to look; rootless engines listen in the user's own directory.
fn sockets() -> Vec<PathBuf> {
    let user = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let own = user.iter().flat_map(|dir| USER_SOCKETS.map(|name| dir.join(name)));
    SOCKETS.iter().map(PathBuf::from).chain(own).collect()
}

/// Keeps the inventory.
#[derive(Debug)]
pub(crate) struct DockerWatch {
    link: DockerLink,
    clock: Arc<dyn Clock>,
    status: Arc<StatusBoard>,
    sender: watch::Sender<Arc<Inventory>>,
    /// When the last counted event happened, so that those replayed after a reconnection count once.
    last_event_ns: i64,
    oom_events: HashMap<String, u64>,
}

impl DockerWatch {
    /// A watch and what others see of it.
    pub(crate) fn new(
        link: DockerLink,
        clock: Arc<dyn Clock>,
        status: Arc<StatusBoard>,
    ) -> (Self, watch::Receiver<Arc<Inventory>>) {
        let (sender, receiver) = watch::channel(Arc::new(Inventory::default()));
        let last_event_ns = clock.now_ns();
        (Self { link, clock, status, sender, last_event_ns, oom_events: HashMap::new() }, receiver)
    }

    /// Watches until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let outcome = tokio::select! {
                outcome = self.watch_once(&mut backoff) => outcome,
                () = cancel.cancelled() => return,
            };
            let Err(error) = outcome;
            self.link.reset();
            self.sender.send_modify(|inventory| Arc::make_mut(inventory).connected = false);
            if self.status.set(AREA, SUBJECT, error.to_string()) && self.link.is_present() {
                tracing::warn!(error = %error, "docker api not reachable");
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = cancel.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Lists all, then follows the events until they end.
    async fn watch_once(&mut self, backoff: &mut Duration) -> Result<std::convert::Infallible, DockerError> {
        let client = self.link.client().await?;
        let since_s = self.clock.now_ns().div_euclid(1_000_000_000);
        let info = client.info().await?;
        self.sender.send_modify(|inventory| {
            let inventory = Arc::make_mut(inventory);
            inventory.docker_version = info.server_version.unwrap_or_default();
            inventory.host_name = info.name;
            inventory.without_groups = info.cgroup_driver == Some(SystemInfoCgroupDriverEnum::NONE);
        });
        self.list(&client, false).await?;
        self.status.clear(AREA, SUBJECT);
        tracing::info!("docker api connected");
        *backoff = BACKOFF_MIN;
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), EVENTS.map(str::to_owned).to_vec()),
        ]);
        let options = EventsOptions { since: Some(since_s.to_string()), until: None, filters: Some(filters) };
        let mut events = std::pin::pin!(client.events(Some(options)));
        let mut rescan = tokio::time::interval(RESCAN_INTERVAL);
        let mut sizes = tokio::time::interval(SIZES_INTERVAL);
        rescan.reset();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.take_event(&client, event?).await?,
                    None => {
                        let message = "docker's event stream ended".to_owned();
                        return Err(DockerError::Api { message, status: None });
                    }
                },
                _ = rescan.tick() => self.list(&client, false).await?,
                _ = sizes.tick() => self.list(&client, true).await?,
            }
        }
    }

    /// Lists all containers and inspects those that are new or may have changed; all of them, and their sizes, if `full`.
    async fn list(&mut self, client: &Docker, full: bool) -> Result<(), DockerError> {
        let options = ListContainersOptions { all: true, limit: None, size: full, filters: None };
        let mut summaries = client.list_containers(Some(options)).await?;
        if summaries.len() > CONTAINERS_MAX {
            let beyond = summaries.len() - CONTAINERS_MAX;
            let reason = format!("{beyond} containers are not watched: at most {CONTAINERS_MAX} are");
            self.status.set(AREA, "container limit", reason);
            summaries.truncate(CONTAINERS_MAX);
        }
        let known = self.sender.borrow().clone();
        // What is as it was needs no inspection, which costs Docker more than a list; now and then all are looked at.
        let all = full || !known.connected;
        let (mut inspected, mut to_inspect) = (Vec::new(), Vec::new());
        for listed in summaries.iter().filter_map(ContainerInfo::from_summary) {
            match known.containers.get(&listed.id).filter(|before| !all && before.is_as_listed(&listed)) {
                Some(before) => inspected.push(ContainerInfo::clone(before)),
                None => to_inspect.push(listed),
            }
        }
        let answers: Vec<ContainerInfo> = futures::stream::iter(to_inspect)
            .map(|summary| self.inspected(client, summary))
            .buffer_unordered(INSPECT_CONCURRENCY)
            .filter_map(std::future::ready)
            .collect()
            .await;
        inspected.extend(answers);
        let mut containers = BTreeMap::new();
        for mut info in inspected {
            let before = known.containers.get(&info.id);
            info.writable_bytes = info.writable_bytes.or_else(|| before.and_then(|b| b.writable_bytes));
            info.oom_events = self.oom_events.get(&info.id).copied().unwrap_or(0);
            let unchanged = before.filter(|before| ***before == info).cloned();
            containers.insert(info.id.clone(), unchanged.unwrap_or_else(|| Arc::new(info)));
        }
        self.oom_events.retain(|id, _| containers.contains_key(id));
        self.sender.send_if_modified(|inventory| {
            let changed = !inventory.connected || inventory.containers != containers;
            if changed {
                let inventory = Arc::make_mut(inventory);
                inventory.containers = containers;
                inventory.connected = true;
            }
            changed
        });
        Ok(())
    }

    /// The full picture of a listed container; the list's own where the inspection fails; `None` where it is gone.
    async fn inspected(&self, client: &Docker, summary: ContainerInfo) -> Option<ContainerInfo> {
        let answer = client.inspect_container(&summary.id, None::<InspectContainerOptions>).await;
        match answer.map_err(DockerError::from) {
            Ok(inspection) => {
                let full = ContainerInfo::from_inspection(inspection)?;
                self.status.clear(AREA, &summary.name);
                Some(ContainerInfo { writable_bytes: summary.writable_bytes, ..full })
            }
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                self.status.set(AREA, &summary.name, format!("cannot be inspected: {error}"));
                Some(summary)
            }
        }
    }

    async fn take_event(&mut self, client: &Docker, event: EventMessage) -> Result<(), DockerError> {
        let action = event.action.unwrap_or_default();
        let Some(id) = event.actor.and_then(|actor| actor.id) else { return Ok(()) };
        let at_ns = event.time_nano.unwrap_or(0);
        if action == "oom" && at_ns > self.last_event_ns {
            *self.oom_events.entry(id.clone()).or_insert(0) += 1;
        }
        self.last_event_ns = self.last_event_ns.max(at_ns);
        if action == "destroy" {
            self.remove(&id);
            return Ok(());
        }
        let answer = client.inspect_container(&id, None::<InspectContainerOptions>).await;
        match answer.map_err(DockerError::from) {
            Ok(inspection) => {
                let Some(mut info) = ContainerInfo::from_inspection(inspection) else { return Ok(()) };
                self.sender.send_modify(|inventory| {
                    let inventory = Arc::make_mut(inventory);
                    let before = inventory.containers.get(&id);
                    info.writable_bytes = before.and_then(|before| before.writable_bytes);
                    info.oom_events = self.oom_events.get(&id).copied().unwrap_or(0);
                    if before.is_some() || inventory.containers.len() < CONTAINERS_MAX {
                        inventory.containers.insert(id, Arc::new(info));
                    }
                });
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.remove(&id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&mut self, id: &str) {
        self.oom_events.remove(id);
        self.sender.send_if_modified(|inventory| {
            inventory.containers.contains_key(id) && Arc::make_mut(inventory).containers.remove(id).is_some()
        });
    }
}
