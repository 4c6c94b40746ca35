//! The server as a program: flags, subcommands, how it is made.

use std::path::Path;

use service::{Failure, Process, Program};

use crate::app::App;
use crate::cli::Command;
use crate::config;
use crate::flags::Flags;

/// `watchbell-metrics`
#[derive(Clone, Copy, Debug)]
pub struct MetricsServer;

impl Program for MetricsServer {
    const NAME: &'static str = "watchbell-metrics";
    const ABOUT: &'static str = "Scrapes and stores metrics, answers PromQL, evaluates alerting rules.";
    type Flags = Flags;
    type Command = Command;
    type App = App;

    fn health_url(flags: &Flags) -> String {
        let address = flags.listen_address.last().map_or("0.0.0.0:9090", String::as_str);
        let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
        let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
        let prefix = flags.effective_route_prefix();
        format!("http://{host}:{port}{}/-/healthy", prefix.trim_end_matches('/'))
    }

    async fn build(flags: Flags, process: &Process) -> Result<App, Failure> {
        let registry = telemetry::Registry::new();
        process.logging.register_metrics(&registry);
        App::new(flags, &registry).await
    }

    async fn command(command: Command) -> Result<(), Failure> {
        command.run().await
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        config::load(file, &config::PathAliases::default()).map(|loaded| loaded.warnings)
    }
}
