//! Drives a delivery: sources, link and disk around the state machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use service::{Failure, Lifecycle};
use sys::{Clock, RealFs};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::beginnings::Beginnings;
use super::delivery::{Action, Delivery, DeliveryCounts, Event};
use super::disk::{Begin, DeliveryDisk};
use super::grpc::GrpcLink;
use super::labels::Labeler;
use super::line::SourceLines;
use super::link::{LinkCommand, LinkHealth};
use super::loki::{self, LokiLink};
use super::options::{LogOptions, SinkOptions, SinkTarget};
use super::sources::Sources;

/// Messages of sources that wait for delivery.
const HANDED_OVER_MAX: usize = 16;
/// How long a stopping agent waits for acknowledgements, and then for the disk.
const DRAIN_WAIT: Duration = Duration::from_secs(2);
const DISK_WAIT: Duration = Duration::from_secs(3);

/// How delivery stands, for people and metrics.
#[derive(Clone, Debug)]
pub(crate) struct LogStatus(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    server: String,
    health: Arc<LinkHealth>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    counts: DeliveryCounts,
    connected: bool,
    memory_bytes: u64,
    disk_bytes: u64,
    waiting: bool,
}

impl LogStatus {
    /// Pairs to show as they are.
    pub(crate) fn details(&self) -> Vec<(&'static str, String)> {
        let state = *self.0.state.lock();
        vec![
            ("log server", self.0.server.clone()),
            ("lines delivered", state.counts.acked_lines.to_string()),
            ("lines rejected", (state.counts.rejected_lines + state.counts.refused_lines).to_string()),
            ("waiting in memory", model::ByteSize(state.memory_bytes).to_string()),
            ("waiting on disk", model::ByteSize(state.disk_bytes).to_string()),
        ]
    }

    /// What is wrong at present.
    pub(crate) fn trouble(&self) -> Option<String> {
        let full = self.0.state.lock().waiting;
        let full = full.then(|| "the disk buffer is full: containers' logs are not read on".to_owned());
        self.0.health.trouble().or(full)
    }
}

/// Sources to a server.
#[derive(Debug)]
pub(crate) struct LogPipeline {
    options: LogOptions,
    sink: SinkOptions,
    parts: Parts,
    disk: DeliveryDisk,
    begin: Begin,
    labeler: Labeler,
    link: Link,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Link {
    Grpc(GrpcLink),
    Loki(LokiLink),
}

impl LogPipeline {
    /// Opens what is on disk; `None` where no logs are wanted.
    pub(crate) async fn open(
        options: LogOptions,
        parts: Parts,
        lifecycle: &Lifecycle,
    ) -> Result<Option<Self>, Failure> {
        let Some(sink) = options.sink.clone() else { return Ok(None) };
        let data_dir: PathBuf = options.data_dir.clone().unwrap_or_else(|| parts.data_dir.clone());
        let registry = lifecycle.registry().clone();
        let clock = Arc::clone(&parts.clock);
        let opened = tokio::task::spawn_blocking(move || {
            service::check_data_directory(&data_dir, "--storage.path")?;
            DeliveryDisk::open(&data_dir, Arc::new(RealFs), clock, &registry).map_err(Failure::runtime)
        });
        let (disk, begin) = opened.await.map_err(Failure::runtime)??;
        let labeler = Labeler::new(&sink, &parts.host).map_err(Failure::usage)?;
        let health = Arc::new(LinkHealth::default());
        let (link, server) = make_link(&sink, &parts, &health).await?;
        let shared = Arc::new(Shared { server, health, state: Mutex::default() });
        register_metrics(lifecycle, &shared);
        Ok(Some(Self { options, sink, parts, disk, begin, labeler, link, shared }))
    }

    /// How delivery stands.
    pub(crate) fn status(&self) -> LogStatus {
        LogStatus(Arc::clone(&self.shared))
    }

    /// Starts the tasks.
    pub(crate) fn start(self, lifecycle: &Lifecycle) {
        let (lines_sender, lines) = mpsc::channel(HANDED_OVER_MAX);
        let (events_sender, events) = mpsc::unbounded_channel();
        let (disk_sender, disk_actions) = mpsc::unbounded_channel();
        let (link_sender, link_commands) = mpsc::channel(4);
        let delivery = Delivery::new(self.sink.limits, self.begin.waiting_bytes, self.begin.next_load);
        let positions = Arc::new(self.begin.positions);
        let clock = Arc::clone(&self.parts.clock);
        let sources = Sources {
            parts: self.parts,
            lines: lines_sender,
            positions,
            beginnings: Beginnings::new(&disk_sender),
            lifecycle: lifecycle.clone(),
        };
        sources.start(&self.options);
        let disk_events = events_sender.clone();
        let disk = self.disk;
        lifecycle.spawn_essential("log disk", async move {
            tokio::task::spawn_blocking(move || disk.run(disk_actions, &disk_events)).await?;
            Ok(())
        });
        // The link has nobody to report to once delivery has ended, even where a server has not answered yet.
        let delivered = CancellationToken::new();
        let until_delivered = delivered.clone();
        let link = self.link;
        lifecycle.spawn("log link", async move {
            let run = async {
                match link {
                    Link::Grpc(link) => link.run(link_commands, events_sender).await,
                    Link::Loki(link) => link.run(link_commands, events_sender).await,
                }
            };
            tokio::select! {
                () = run => {}
                () = until_delivered.cancelled() => {}
            }
        });
        let driver = Driver {
            delivery,
            labeler: self.labeler,
            clock,
            lines,
            events,
            disk: disk_sender,
            link: link_sender,
            shared: self.shared,
        };
        let stopping = lifecycle.stopping().clone();
        lifecycle.spawn("log delivery", async move {
            driver.run(stopping).await;
            delivered.cancel();
        });
    }
}

async fn make_link(
    sink: &SinkOptions,
    parts: &Parts,
    health: &Arc<LinkHealth>,
) -> Result<(Link, String), Failure> {
    let health = Arc::clone(health);
    match sink.target.clone() {
        SinkTarget::Grpc { endpoint } => {
            let link = GrpcLink { endpoint: endpoint.clone(), agent: Arc::clone(&parts.host), health };
            Ok((Link::Grpc(link), endpoint))
        }
        SinkTarget::Loki { url, snappy, tenant, credentials, tls } => {
            let built = tokio::task::spawn_blocking(move || loki::client(credentials.as_ref(), &tls)).await;
            let client = built.map_err(Failure::runtime)?.map_err(Failure::usage)?;
            let tenant = tenant.map(|tenant| http_client::HeaderValue::from_str(&tenant)).transpose();
            let tenant = tenant.map_err(|_| Failure::usage("tenant_id is no valid header value"))?;
            let server = url.to_string();
            Ok((Link::Loki(LokiLink { url, snappy, tenant, client, health }), server))
        }
    }
}

fn register_metrics(lifecycle: &Lifecycle, shared: &Arc<Shared>) {
    let registry = lifecycle.registry();
    let counter = |name: &str, help: &str, read: fn(&State) -> u64| {
        let shared = Arc::clone(shared);
        registry.counter_fn(name, help, move || read(&shared.state.lock()) as f64);
    };
    counter("agent_log_lines_delivered_total", "Log lines that the server has acknowledged.", |s| {
        s.counts.acked_lines
    });
    counter("agent_log_lines_rejected_total", "Log lines that the server will never take.", |s| {
        s.counts.rejected_lines + s.counts.refused_lines
    });
    counter("agent_log_batches_delivered_total", "Batches that the server has acknowledged.", |s| {
        s.counts.acked_batches
    });
    counter("agent_log_batches_spilled_total", "Batches that were written to disk.", |s| {
        s.counts.spilled_batches
    });
    counter("agent_log_attempts_failed_total", "Attempts to deliver that failed.", |s| {
        s.counts.failed_attempts
    });
    counter("agent_log_slow_downs_total", "How often the server asked for time.", |s| s.counts.slow_downs);
    let gauge = |name: &str, help: &str, read: fn(&State) -> f64| {
        let shared = Arc::clone(shared);
        registry.gauge_fn(name, help, move || read(&shared.state.lock()));
    };
    gauge("agent_log_waiting_memory_bytes", "Bytes of lines that wait in memory.", |s| s.memory_bytes as f64);
    gauge("agent_log_waiting_disk_bytes", "Bytes of lines that wait on disk.", |s| s.disk_bytes as f64);
    gauge("agent_log_server_up", "Whether the log server took the last batch.", |s| f64::from(s.connected));
}

/// The loop around the state machine.
struct Driver {
    delivery: Delivery,
    labeler: Labeler,
    clock: Arc<dyn Clock>,
    lines: mpsc::Receiver<SourceLines>,
    events: mpsc::UnboundedReceiver<Event>,
    disk: mpsc::UnboundedSender<Action>,
    link: mpsc::Sender<LinkCommand>,
    shared: Arc<Shared>,
}

impl Driver {
    async fn run(mut self, stopping: CancellationToken) {
        let mut open = true;
        while !stopping.is_cancelled() {
            let timer = self.delivery.next_timer();
            let wait = timer.map(|at| at.saturating_sub(self.clock.monotonic()));
            let accepts = open && self.delivery.accepts_lines();
            tokio::select! {
                lines = self.lines.recv(), if accepts => match lines {
                    Some(lines) => self.take_lines(lines).await,
                    None => open = false,
                },
                Some(event) = self.events.recv() => self.step(event).await,
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {
                    self.step(Event::Tick).await;
                }
                () = stopping.cancelled() => {}
            }
        }
        self.finish().await;
    }

    /// What was read is delivered if the server is quick, else kept on disk.
    async fn finish(mut self) {
        let end = tokio::time::Instant::now() + DRAIN_WAIT;
        // The sources end too; what they still hand over is taken as long as there is room.
        while let Ok(Some(lines)) = tokio::time::timeout_at(end, self.lines.recv()).await {
            if !self.delivery.accepts_lines() {
                break;
            }
            self.take_lines(lines).await;
        }
        self.lines.close();
        self.wait_until(end, Delivery::is_drained).await;
        self.step(Event::Flush).await;
        let end = tokio::time::Instant::now() + DISK_WAIT;
        self.wait_until(end, Delivery::is_safe).await;
        if !self.delivery.is_safe() {
            tracing::warn!(
                "some log lines are neither delivered nor on disk: they are read again at the next start"
            );
        }
    }

    async fn wait_until(&mut self, end: tokio::time::Instant, done: fn(&Delivery) -> bool) {
        while !done(&self.delivery) {
            let wait = self.delivery.next_timer().map(|at| at.saturating_sub(self.clock.monotonic()));
            tokio::select! {
                Some(event) = self.events.recv() => self.step(event).await,
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {
                    self.step(Event::Tick).await;
                }
                () = tokio::time::sleep_until(end) => return,
            }
        }
    }

    async fn take_lines(&mut self, lines: SourceLines) {
        for labelled in self.labeler.label(lines) {
            self.step(Event::Lines(labelled)).await;
        }
    }

    async fn step(&mut self, event: Event) {
        let now = self.clock.monotonic();
        for action in self.delivery.step(now, event) {
            match action {
                Action::Connect => self.tell_link(LinkCommand::Connect).await,
                Action::Send { sequence, batch } => {
                    self.tell_link(LinkCommand::Send { sequence, batch }).await
                }
                Action::Spill(_) | Action::Load { .. } | Action::Save { .. } => {
                    // The disk's task ends after this one only.
                    self.disk.send(action).ok();
                }
            }
        }
        let state = State {
            counts: self.delivery.counts(),
            connected: self.delivery.is_connected(),
            memory_bytes: self.delivery.memory_bytes() as u64,
            disk_bytes: self.delivery.disk_bytes(),
            waiting: !self.delivery.accepts_lines(),
        };
        *self.shared.state.lock() = state;
    }

    /// At most one command is under way at a time, so this never waits long.
    async fn tell_link(&self, command: LinkCommand) {
        // The link's task ends after this one only.
        self.link.send(command).await.ok();
    }
}

#[cfg(test)]
mod tests;
