//! `watchbell`: checks ports and directories, starts the five services, says where to look.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use service::Failure;
use telemetry::{LogFormat, LogOptions, Logging};
use watchbell::{Arguments, Command, Flags, check_ports, run, run_service, service_specs};

/// As in the metrics server, which takes most of the memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        None => serve(arguments.flags),
        Some(Command::PrepareData { dir, owners }) => {
            service::prepare_data(&dir, &owners).map_err(Failure::usage)
        }
        Some(Command::Healthcheck) => healthcheck(arguments.flags),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "watchbell", &mut script);
            print(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Some(Command::Service(command)) => return run_service(command),
        Some(Command::Version) => {
            print(&format!("watchbell, version {}\n", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("watchbell: error: {failure}\n"));
            ExitCode::from(failure.exit_code)
        }
    }
}

fn serve(flags: Flags) -> Result<(), Failure> {
    let flags = flags.with_offset().map_err(Failure::usage)?;
    let taken = check_ports(&flags);
    if !taken.is_empty() {
        for port in &taken {
            complain(&format!(
                "watchbell: {} cannot be opened ({}): free it or choose another with {}\n",
                port.address, port.reason, port.flag
            ));
        }
        return Err(Failure::usage("ports are taken: --port-offset N moves all of them"));
    }
    service::check_data_directory(&flags.data, "--data")?;
    // Exporting traces needs a runtime that lives as long as the process.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::runtime)?;
    let entered = runtime.enter();
    let mut options = LogOptions::for_service("watchbell");
    options.level.clone_from(&flags.log_level);
    if flags.log_format == "json" {
        options.format = LogFormat::Json;
    }
    let logging = Logging::install(&options).map_err(Failure::usage)?;
    let specs = service_specs(&flags).map_err(Failure::usage)?;
    print("Watchbell is starting; Ctrl-C stops it.\n");
    let outcome = run(specs, &logging, || announce(&flags));
    logging.shutdown(std::time::Duration::from_secs(3));
    drop(entered);
    outcome
}

/// Where to look, and the first login where its password has not been changed yet.
fn announce(flags: &Flags) {
    let port = flags.gateway.port();
    let mut text = format!("Watchbell is ready: http://localhost:{port}\n");
    match std::fs::read_to_string(flags.data.join("grafana").join("initial-password")) {
        Ok(password) => text.push_str(&format!("First login: user admin, password {}\n", password.trim())),
        Err(_) => text.push_str(
            "Log in as admin; a lost password is set anew with: watchbell gateway reset-password\n",
        ),
    }
    text.push_str(&format!(
        "Metrics http://{}  logs http://{}  alerts http://{}  agent http://{}\n",
        flags.metrics, flags.logs, flags.alerts, flags.agent
    ));
    text.push_str(&format!("Data lies in {}\n", shown(&flags.data)));
    print(&text);
}

fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn healthcheck(flags: Flags) -> Result<(), Failure> {
    let flags = flags.with_offset().map_err(Failure::usage)?;
    service::probe(&format!("http://127.0.0.1:{}/-/healthy", flags.gateway.port()))
}

/// To the user's terminal; one that is gone is no reason to stop serving.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

fn complain(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}
