//! The `main` of a service.

use std::future::Future;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use futures::FutureExt;
use telemetry::{LogFormat, LogOptions, Logging};

use crate::app::App;
use crate::failure::Failure;
use crate::flags;
use crate::lifecycle::panic_text;
use crate::probe::probe;

/// How long a stopping service has, unless its program says otherwise.
const GRACE: Duration = Duration::from_secs(25);

/// A service as a program: its flags, its subcommands and how it is made of them.
pub trait Program: Sized + 'static {
    /// The program's name.
    const NAME: &'static str;
    /// One sentence for `--help`.
    const ABOUT: &'static str;
    /// The flags of the service itself.
    type Flags: Args + Send;
    /// The subcommands beside `healthcheck`, `version`, `completions` (and `check-config`, see [`Self::check_config`]).
    type Command: Subcommand + Send;
    /// The service.
    type App: App;

    /// Where `healthcheck` looks, given the flags that came with it.
    fn health_url(flags: &Self::Flags) -> String;

    /// Makes the service: binds its sockets, opens its stores.
    fn build(
        flags: Self::Flags,
        process: &Process,
    ) -> impl Future<Output = Result<Self::App, Failure>> + Send;

    /// Runs a subcommand. It writes to `std::io::stdout()` itself.
    fn command(command: Self::Command) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads a configuration file whole and returns its warnings. Blocks.
    fn check_config(file: &Path) -> Result<Vec<String>, Failure>;
}

/// For a program without subcommands of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum NoCommand {}

/// What the process gives its service.
#[derive(Debug)]
pub struct Process {
    /// Logs: for their level and their metrics.
    pub logging: Logging,
}

/// Runs a program: flags, logs, service, signals. SIGTERM and SIGINT stop it (the second one at once), SIGHUP reloads.
pub fn run_main<P: Program>() -> ExitCode {
    run_arguments::<P>(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()))
}

/// The same with arguments of the caller's, the program's name first: for a binary that holds several programs.
pub fn run_arguments<P: Program>(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let command = command_line::<P>();
    let arguments = flags::normalize(&command, arguments);
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are answers, not errors; clap knows where each goes.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch::<P>(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                let message = format!("{}: error: {failure}\n", P::NAME);
                std::io::stderr().write_all(message.as_bytes()).ok();
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Makes a service from arguments as its own `main` would, without subcommands: for a process that runs several services.
/// `arguments` begin with the program's name.
pub async fn build_from_arguments<P: Program>(
    arguments: Vec<String>,
    process: &Process,
) -> Result<P::App, Failure> {
    let command = command_line::<P>();
    let arguments = flags::normalize(&command, arguments);
    let matches =
        command.try_get_matches_from(arguments).map_err(|error| Failure::usage(error.to_string()))?;
    P::build(flags_of::<P>(&matches)?, process).await
}

/// The whole command line of a program: for its `completions`, its man page and tests.
pub fn command_line<P: Program>() -> Command {
    let level = Arg::new("kit-log-level")
        .long("log.level")
        .value_name("LEVEL")
        .default_value("info")
        .global(true)
        .help("Lowest level that is logged: debug, info, warn, error, or directives such as info,tsdb=debug");
    let format = Arg::new("kit-log-format")
        .long("log.format")
        .value_name("FORMAT")
        .default_value("logfmt")
        .value_parser(["logfmt", "json"])
        .global(true)
        .help("Form of the log lines");
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .help("Page to ask, such as http://127.0.0.1:9090/-/healthy");
    let file = Arg::new("file").value_name("FILE").required(true).num_args(1..).help("Files to check");
    let shell = Arg::new("shell")
        .required(true)
        .value_parser(clap::value_parser!(clap_complete::Shell))
        .help("Shell to write completions for");
    let command = Command::new(P::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(level)
        .arg(format)
        .args_override_self(true)
        .subcommand_negates_reqs(true);
    let command = P::Flags::augment_args(command);
    // The flags of the service work behind `healthcheck` too, so that the same ones can be given to both.
    let healthcheck = P::Flags::augment_args(Command::new("healthcheck"))
        .mut_args(|argument| argument.required(false))
        .about("Ask the running service whether it is healthy")
        .long_about(None);
    // Flags and subcommands bring what they are described as with them: what the program is described as comes after.
    P::Command::augment_subcommands(command)
        .about(P::ABOUT)
        .long_about(None)
        .subcommand_required(false)
        .arg_required_else_help(false)
        .subcommand(
            Command::new("check-config").about("Check configuration files and say what is wrong").arg(file),
        )
        .subcommand(healthcheck.arg(url))
        .subcommand(Command::new("version").about("Print the version"))
        .subcommand(Command::new("completions").about("Write shell completions").arg(shell))
}

fn dispatch<P: Program>(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        None => serve::<P>(matches),
        Some(("version", _)) => print(&format!("{}, version {}\n", P::NAME, env!("CARGO_PKG_VERSION"))),
        Some(("check-config", matches)) => {
            let files = matches.get_many::<String>("file").into_iter().flatten();
            files.map(String::as_str).try_for_each(check_config::<P>)
        }
        Some(("healthcheck", own)) => {
            let url = match own.get_one::<String>("url") {
                Some(url) => url.clone(),
                None => P::health_url(&flags_of::<P>(own).or_else(|_| flags_of::<P>(matches))?),
            };
            probe(&url)
        }
        Some(("completions", own)) => {
            let Some(shell) = own.get_one::<clap_complete::Shell>("shell") else { return Ok(()) };
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command_line::<P>(), P::NAME, &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Some(_) => {
            let command =
                P::Command::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))?;
            runtime()?.block_on(P::command(command))
        }
    }
}

fn flags_of<P: Program>(matches: &ArgMatches) -> Result<P::Flags, Failure> {
    P::Flags::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
}

fn check_config<P: Program>(file: &str) -> Result<(), Failure> {
    let warnings = P::check_config(Path::new(file))?;
    let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    text.push_str(&format!("{file}: valid\n"));
    print(&text)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::runtime)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::runtime)
}

fn serve<P: Program>(matches: &ArgMatches) -> Result<(), Failure> {
    let flags = flags_of::<P>(matches)?;
    let mut log_options = LogOptions::for_service(P::NAME);
    if let Some(level) = matches.get_one::<String>("kit-log-level") {
        log_options.level.clone_from(level);
    }
    if matches.get_one::<String>("kit-log-format").is_some_and(|format| format == "json") {
        log_options.format = LogFormat::Json;
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let logging = Logging::install(&log_options).map_err(Failure::usage)?;
        let process = Process { logging };
        tracing::info!(program = P::NAME, version = env!("CARGO_PKG_VERSION"), "starting");
        let app = P::build(flags, &process).await?;
        let running = AssertUnwindSafe(run_with_signals(&app, GRACE)).catch_unwind();
        let ended = running.await.unwrap_or_else(|panic| {
            let reason = panic_text(panic.as_ref()).to_owned();
            Err(Failure::runtime(reason))
        });
        let logging = process.logging;
        tokio::task::spawn_blocking(move || logging.shutdown(Duration::from_secs(3))).await.ok();
        ended
    });
    // Blocking work that outlives its grace (a long compaction) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

/// Runs `app` until it or a signal ends it. For `main`s that are not one [`Program`], such as that of all services in one.
pub async fn run_with_signals(app: &dyn App, grace: Duration) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind: SignalKind| signal(kind).map_err(Failure::runtime);
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let (end, ended) = tokio::sync::oneshot::channel();
    let signals = async {
        let mut end = Some(end);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {
                    // The outcome is logged and counted by the reload itself.
                    app.reload().await.ok();
                    continue;
                }
            }
            match end.take() {
                Some(end) => {
                    tracing::info!("stopping: a second signal ends the process at once");
                    end.send(()).ok();
                }
                None => return,
            }
        }
    };
    let wait = Box::pin(async move {
        ended.await.ok();
    });
    tokio::select! {
        report = app.run(wait, grace) => {
            let report = report?;
            if report.failed.is_empty() {
                tracing::info!("stopped");
            }
            Ok(())
        }
        () = signals => Err(Failure::runtime("ended by a second signal")),
    }
}
