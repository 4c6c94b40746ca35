//! What a service owns while it lives: tasks, cleanups, readiness, the wish to stop.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use telemetry::{Counter, Gauge, Registry};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::failure::BoxError;

type Cleanup = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), BoxError>> + Send>;
type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// A service's life. Cheap to clone; clones are the same life.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    name: &'static str,
    registry: Registry,
    draining: CancellationToken,
    stopping: CancellationToken,
    servers: Mutex<JoinSet<()>>,
    tasks: Mutex<JoinSet<()>>,
    cleanups: Mutex<Vec<(&'static str, Cleanup)>>,
    readiness: Mutex<Readiness>,
    ready: CancellationToken,
    wish: watch::Sender<Option<StopWish>>,
    reload: Mutex<Option<Reload>>,
    reloading: AsyncMutex<()>,
    last_reload_error: Mutex<Option<String>>,
    stopped: AtomicBool,
    panics: Counter,
    reload_ok: Gauge,
}

/// Whether requests are to come here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet, and what is going on, such as "replaying WAL, 40 %".
    Starting(String),
    /// Yes. Only stopping ends it.
    Ready,
    /// No longer.
    Stopping,
}

/// Why a service wants to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopWish {
    /// Somebody asked for it (`/-/quit`).
    Asked,
    /// It cannot go on.
    Failed(String),
    /// A task panicked: a defect of ours. Started again, the service may work.
    Panicked(String),
}

/// What stopping left undone: name and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Tasks and cleanups that failed or took too long.
    pub failed: Vec<(String, String)>,
}

impl Lifecycle {
    /// A life that has not begun. Its metrics go to `registry`.
    pub fn new(name: &'static str, registry: &Registry) -> Self {
        let panics = registry.counter("service_panics_total", "Panics in request handlers and tasks.");
        let reload_ok = registry.gauge(
            "service_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
        );
        reload_ok.set(1.0);
        Self(Arc::new(Inner {
            name,
            registry: registry.clone(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            servers: Mutex::default(),
            tasks: Mutex::default(),
            cleanups: Mutex::default(),
            readiness: Mutex::new(Readiness::Starting("starting".to_owned())),
            ready: CancellationToken::new(),
            wish: watch::Sender::new(None),
            reload: Mutex::default(),
            reloading: AsyncMutex::default(),
            last_reload_error: Mutex::default(),
            stopped: AtomicBool::new(false),
            panics,
            reload_ok,
        }))
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The registry of the service's metrics.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Runs `task` until it ends. It watches [`Self::stopping`] and ends soon after; a panic in it ends the service.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ok = task.map(|()| Ok(()));
        self.spawn_essential(name, ok);
    }

    /// Like [`Self::spawn`] for a task whose error ends the service.
    pub fn spawn_essential(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let guarded = self.guarded(name, task);
        let mut tasks = self.0.tasks.lock();
        // Ended tasks are taken out here, so that the set stays as small as what runs.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(guarded);
    }

    /// Runs a listener: it is drained before the tasks are stopped. It watches [`Self::draining`].
    pub(crate) fn spawn_server(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let guarded = self.guarded(name, task);
        self.0.servers.lock().spawn(guarded);
    }

    fn guarded(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let lifecycle = self.clone();
        let guarded = async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = crate::failure::error_chain(error.as_ref());
                    lifecycle.fail(format!("task {name} failed: {error}"));
                }
                Err(panic) => {
                    lifecycle.0.panics.inc();
                    let reason = format!("task {name} panicked: {}", panic_text(panic.as_ref()));
                    tracing::error!(service = lifecycle.0.name, error = reason, "task panicked");
                    lifecycle.wish(StopWish::Panicked(reason));
                }
            }
        };
        guarded.instrument(tracing::debug_span!("task", service = self.0.name, task = name))
    }

    /// Adds a cleanup; they run in reverse order after all tasks have ended.
    pub fn on_stop<F>(&self, name: &'static str, cleanup: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.0.cleanups.lock().push((name, Box::new(move || cleanup().boxed())));
    }

    /// Sets what a reload (SIGHUP, `/-/reload`) does. It keeps the old configuration where the new one is bad.
    pub fn on_reload<F>(&self, reload: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        *self.0.reload.lock() = Some(Arc::new(move || reload().boxed()));
    }

    /// Reloads; one at a time. Logs and counts the outcome.
    pub async fn reload(&self) -> Result<(), BoxError> {
        let _one_at_a_time = self.0.reloading.lock().await;
        let reload = self.0.reload.lock().clone();
        let Some(reload) = reload else { return Ok(()) };
        let result = reload().await;
        self.0.reload_ok.set(if result.is_ok() { 1.0 } else { 0.0 });
        let text = result.as_ref().err().map(|error| crate::failure::error_chain(error.as_ref()));
        match &text {
            None => tracing::info!(service = self.0.name, "configuration loaded"),
            Some(error) => {
                tracing::error!(service = self.0.name, error, "configuration is bad, the old one stays");
            }
        }
        *self.0.last_reload_error.lock() = text;
        result
    }

    /// The error of the last reload, if it failed: for status pages.
    pub fn last_reload_error(&self) -> Option<String> {
        self.0.last_reload_error.lock().clone()
    }

    /// Cancelled when no new requests are taken: endless streams (tails) end now.
    pub fn draining(&self) -> &CancellationToken {
        &self.0.draining
    }

    /// Cancelled when tasks are to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Whether requests are to come here.
    pub fn readiness(&self) -> Readiness {
        self.0.readiness.lock().clone()
    }

    /// Says what the start is at, unless it is over.
    pub fn set_starting(&self, what: impl Into<String>) {
        let mut readiness = self.0.readiness.lock();
        if let Readiness::Starting(text) = &mut *readiness {
            *text = what.into();
        }
    }

    /// Takes requests from now on; has no effect while stopping.
    pub fn set_ready(&self) {
        let mut readiness = self.0.readiness.lock();
        if matches!(&*readiness, Readiness::Starting(_)) {
            *readiness = Readiness::Ready;
            self.0.ready.cancel();
        }
    }

    /// Waits until the service takes requests.
    pub async fn wait_ready(&self) {
        self.0.ready.cancelled().await;
    }

    /// Asks whoever drives the service to stop it.
    pub fn ask_to_stop(&self) {
        self.wish(StopWish::Asked);
    }

    /// Says that the service cannot go on; whoever drives it stops it.
    pub fn fail(&self, reason: String) {
        tracing::error!(service = self.0.name, error = reason, "service cannot go on");
        self.wish(StopWish::Failed(reason));
    }

    fn wish(&self, wish: StopWish) {
        self.0.wish.send_if_modified(|present| {
            // The first wish stays: what follows is its consequence.
            let first = present.is_none();
            if first {
                *present = Some(wish);
            }
            first
        });
    }

    /// Waits until the service wants to end.
    pub async fn wants_to_stop(&self) -> StopWish {
        let mut wish = self.0.wish.subscribe();
        match wish.wait_for(Option::is_some).await.map(|wish| wish.clone()) {
            Ok(Some(wish)) => wish,
            // The sender lives as long as self does.
            Ok(None) | Err(_) => StopWish::Asked,
        }
    }

    /// Stops within `grace`: drains the listeners, then ends the tasks, then runs the cleanups in reverse order. Each gets
    /// what is left of the time. Later calls do nothing.
    pub async fn stop(&self, grace: Duration) -> StopReport {
        let mut report = StopReport::default();
        if self.0.stopped.swap(true, Ordering::AcqRel) {
            return report;
        }
        let end = Instant::now() + grace;
        *self.0.readiness.lock() = Readiness::Stopping;
        self.0.draining.cancel();
        // Half of the time is for requests; what hangs then is cut off, so that the rest still ends in order.
        let servers = std::mem::take(&mut *self.0.servers.lock());
        join_until(servers, Instant::now() + grace / 2, "listeners", &mut report).await;
        self.0.stopping.cancel();
        let tasks = std::mem::take(&mut *self.0.tasks.lock());
        join_until(tasks, Instant::now() + grace / 4, "tasks", &mut report).await;
        loop {
            let next = self.0.cleanups.lock().pop();
            let Some((name, cleanup)) = next else { break };
            let outcome = tokio::time::timeout_at(end, AssertUnwindSafe(cleanup()).catch_unwind()).await;
            let problem = match outcome {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(error))) => crate::failure::error_chain(error.as_ref()),
                Ok(Err(panic)) => format!("panicked: {}", panic_text(panic.as_ref())),
                Err(_) => "took too long".to_owned(),
            };
            tracing::error!(service = self.0.name, cleanup = name, error = problem, "cleanup failed");
            report.failed.push((name.to_owned(), problem));
        }
        report
    }

    pub(crate) fn count_panic(&self) {
        self.0.panics.inc();
    }
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lifecycle({}, {:?})", self.0.name, self.readiness())
    }
}

async fn join_until(mut set: JoinSet<()>, end: Instant, what: &str, report: &mut StopReport) {
    while !set.is_empty() {
        if tokio::time::timeout_at(end, set.join_next()).await.is_err() {
            report.failed.push((what.to_owned(), format!("{} did not end in time", set.len())));
            set.shutdown().await;
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic")
}

#[cfg(test)]
mod tests;
