//! A thread and a runtime for each service; a panic ends and restarts that service alone.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use service::{App, Failure, Process};
use telemetry::Logging;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::services::ServiceSpec;

/// How long a stopping service has.
const GRACE: Duration = Duration::from_secs(25);
/// How long after a panic a service starts again; doubles up to the second value.
const RESTART_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Threads of a service's runtime: what blocks or computes has pools of its own.
const WORKER_THREADS: usize = 2;

/// Who is to stop. The agent goes first, so that its last lines find the log server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    #[default]
    Nobody,
    Senders,
    All,
}

/// What the main thread tells its services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    stop: Stop,
    /// Counts reloads.
    reloads: u64,
}

/// What a service tells the main thread.
#[derive(Debug)]
enum Event {
    Started,
    Ended(&'static str, Result<(), Failure>),
}

/// Starts all services, calls `started` when the last of them serves, and runs until a signal or until one of them fails for
/// good. SIGHUP reloads all.
///
/// # Errors
/// The first failure of a service's start, or of its stopping in time.
pub fn run(specs: Vec<ServiceSpec>, logging: &Logging, started: impl FnOnce()) -> Result<(), Failure> {
    let (wish, wishes) = watch::channel(Wish::default());
    let (events, happened) = mpsc::channel();
    let count = specs.len();
    let threads: Vec<_> = specs
        .into_iter()
        .map(|spec| {
            let (wishes, events) = (wishes.clone(), events.clone());
            let process_logging = logging.clone();
            let thread = std::thread::Builder::new().name(spec.name.to_owned());
            thread.spawn(move || supervise(&spec, &process_logging, &wishes, &events))
        })
        .collect::<Result<_, _>>()
        .map_err(Failure::runtime)?;
    let signals = runtime("signals", 1)?;
    signals.spawn(forward_signals(wish.clone()));
    let outcome = wait(&happened, count, started);
    wish.send_modify(|wish| wish.stop = Stop::All);
    let mut failed = outcome.err();
    for thread in threads {
        // A supervisor catches its service's panics, so joining fails only where the supervisor itself has a defect.
        thread.join().ok();
    }
    for event in happened.try_iter() {
        if let Event::Ended(_, Err(failure)) = event {
            failed.get_or_insert(failure);
        }
    }
    signals.shutdown_background();
    failed.map_or(Ok(()), Err)
}

/// Waits until the first service has ended, which happens at a signal or a failure.
fn wait(happened: &mpsc::Receiver<Event>, count: usize, started: impl FnOnce()) -> Result<(), Failure> {
    let mut started = Some(started);
    let mut serving = 0;
    while let Ok(event) = happened.recv() {
        match event {
            Event::Started => {
                serving += 1;
                if serving == count
                    && let Some(started) = started.take()
                {
                    started();
                }
            }
            Event::Ended(name, outcome) => {
                return outcome.map_err(|failure| Failure {
                    exit_code: failure.exit_code,
                    error: format!("{name}: {failure}").into(),
                });
            }
        }
    }
    Ok(())
}

async fn forward_signals(wish: watch::Sender<Wish>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        tracing::error!("signals cannot be received: stop this process with kill -9");
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {
                wish.send_modify(|wish| wish.reloads += 1);
                continue;
            }
        }
        // Who asks again does not want to wait.
        wish.send_modify(|wish| {
            wish.stop = if wish.stop == Stop::Nobody { Stop::Senders } else { Stop::All };
        });
    }
}

fn supervise(
    spec: &ServiceSpec,
    logging: &Logging,
    wishes: &watch::Receiver<Wish>,
    events: &mpsc::Sender<Event>,
) {
    let mut pause = RESTART_AFTER.0;
    loop {
        let outcome = match runtime(spec.name, WORKER_THREADS) {
            Ok(runtime) => {
                let process = Process { logging: logging.clone() };
                let app = (spec.build)(spec.arguments.clone(), process);
                let run = serve(app, spec.stops_at, wishes.clone(), events.clone());
                let run = AssertUnwindSafe(run).catch_unwind();
                let outcome = runtime.block_on(run);
                runtime.shutdown_timeout(Duration::from_secs(2));
                outcome
            }
            Err(failure) => Ok(Err(failure)),
        };
        if let Ok(outcome) = outcome {
            // Nobody listens any more where the main thread has given up: then there is nothing left to tell.
            events.send(Event::Ended(spec.name, outcome)).ok();
            return;
        }
        tracing::error!(
            service = spec.name,
            pause_s = pause.as_secs(),
            "service panicked and is started again"
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(RESTART_AFTER.1);
        if wishes.borrow().stop > Stop::Nobody {
            events.send(Event::Ended(spec.name, Ok(()))).ok();
            return;
        }
    }
}

async fn serve(
    app: BoxFuture<'static, Result<Box<dyn App>, Failure>>,
    stops_at: Stop,
    wishes: watch::Receiver<Wish>,
    events: mpsc::Sender<Event>,
) -> Result<(), Failure> {
    let app = app.await?;
    let mut stop = wishes.clone();
    let end = Box::pin(async move {
        stop.wait_for(|wish| wish.stop >= stops_at).await.ok();
    });
    let announce = async {
        app.lifecycle().wait_ready().await;
        events.send(Event::Started).ok();
        reload_on_wish(&*app, wishes).await;
    };
    tokio::select! {
        report = app.run(end, GRACE) => report.map(drop),
        () = announce => Ok(()),
    }
}

/// Never returns while the process lives.
async fn reload_on_wish(app: &dyn App, mut wishes: watch::Receiver<Wish>) {
    let mut done = 0;
    while let Ok(wish) = wishes.wait_for(|wish| wish.reloads > done).await.map(|wish| *wish) {
        done = wish.reloads;
        // The outcome is logged and counted by the reload itself.
        app.reload().await.ok();
    }
    std::future::pending::<()>().await;
}

fn runtime(name: &'static str, threads: usize) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name(name).enable_all().build().map_err(Failure::runtime)
}
