//! The service as a program.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use http_client::HostAliases;
use resources::{CpuPools, MemoryBudget};
use service::{Failure, Process, Program};
use sys::{RealFs, SystemClock};
use telemetry::Registry;

use crate::app::{App, Dependencies, Options};
use crate::cli::{
    DeleteCommand, DetectedFieldsArgs, FmtArgs, InspectArgs, InstantArgs, LabelsArgs, QueryArgs, SeriesArgs,
    StatsArgs, TailArgs, VolumeArgs,
};
use crate::config;
use crate::flags::Flags;

/// The log server.
#[derive(Debug)]
pub struct LogServer;

/// Subcommands: a client of a running server, and tools.
#[derive(Debug, Subcommand)]
pub enum LogsCommand {
    /// Run a query
    Query(QueryArgs),
    /// Show new lines as they arrive
    Tail(TailArgs),
    /// List the names of labels, or the values of one
    Labels(LabelsArgs),
    /// Evaluate a metric query at one time
    InstantQuery(InstantArgs),
    /// List streams
    Series(SeriesArgs),
    /// Show how much streams hold
    Stats(StatsArgs),
    /// Show which streams are large
    Volume(VolumeArgs),
    /// Show which streams are large, over time
    #[command(name = "volume_range", alias = "volume-range")]
    VolumeRange(VolumeArgs),
    /// Show what fields lines have
    DetectedFields(DetectedFieldsArgs),
    /// Delete lines
    #[command(subcommand)]
    Delete(DeleteCommand),
    /// Format the query on standard input
    Fmt(FmtArgs),
    /// Look into segment files
    Inspect(InspectArgs),
}

impl Program for LogServer {
    const NAME: &'static str = "watchbell-logs";
    const ABOUT: &'static str = "Stores logs and answers LogQL, compatible with Loki.";
    type Flags = Flags;
    type Command = LogsCommand;
    type App = App;

    fn health_url(flags: &Flags) -> String {
        // A configuration that cannot be read is the server's to complain of.
        let server = flags.load().map(|loaded| loaded.config.server).unwrap_or_default();
        let host = match server.http_listen_address.as_str() {
            "" | "0.0.0.0" | "::" => "127.0.0.1",
            address => address,
        };
        format!(
            "http://{host}:{}{}/ready",
            server.http_listen_port,
            server.http_path_prefix.trim_end_matches('/')
        )
    }

    async fn build(flags: Flags, process: &Process) -> Result<App, Failure> {
        let registry = Registry::new();
        registry.process_metrics();
        process.logging.register_metrics(&registry);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = CpuPools::with_cores(cores).map_err(Failure::runtime)?;
        let dependencies = Dependencies {
            registry,
            memory: MemoryBudget::root("queries", "--querier.memory-limit", flags.query_memory),
            cpu,
            clock: Arc::new(SystemClock::new()),
            fs: Arc::new(RealFs),
            aliases: HostAliases::default(),
        };
        App::new(Options::from_flags(flags)?, dependencies).await
    }

    async fn command(command: LogsCommand) -> Result<(), Failure> {
        match command {
            LogsCommand::Query(args) => args.run().await,
            LogsCommand::Tail(args) => args.run().await,
            LogsCommand::Labels(args) => args.run().await,
            LogsCommand::InstantQuery(args) => args.run().await,
            LogsCommand::Series(args) => args.run().await,
            LogsCommand::Stats(args) => args.run().await,
            LogsCommand::Volume(args) => args.run(false).await,
            LogsCommand::VolumeRange(args) => args.run(true).await,
            LogsCommand::DetectedFields(args) => args.run().await,
            LogsCommand::Delete(command) => command.run().await,
            LogsCommand::Fmt(args) => args.run(),
            LogsCommand::Inspect(args) => args.run(),
        }
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        let loaded = config::load(file, false)?;
        if let Some(dir) = &loaded.config.ruler.rules_dir {
            crate::ruler::load_rules(dir)?;
        }
        Ok(loaded.warnings)
    }
}
