//! The agent as a program.

use std::path::{Path, PathBuf};

use service::{Failure, Ownership, Process, Program};
use telemetry::Registry;

use crate::app::Agent;
use crate::args::Flags;

/// What the program does beside serving.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Make data directories and give them to the users that services run as; for an init container
    PrepareData {
        /// Directory that holds them
        dir: PathBuf,
        /// Subdirectories with their owners, such as agent=5681:5681
        #[arg(required = true, value_name = "NAME=UID:GID")]
        owners: Vec<Ownership>,
    },
}

/// `watchbell-agent`.
#[derive(Debug)]
pub struct AgentProgram;

impl Program for AgentProgram {
    const NAME: &'static str = "watchbell-agent";
    const ABOUT: &'static str = "Container and host metrics for scraping, logs delivered to a log server.";
    type Flags = Flags;
    type Command = Command;
    type App = Agent;

    fn health_url(flags: &Flags) -> String {
        flags.health_url()
    }

    async fn build(flags: Flags, process: &Process) -> Result<Agent, Failure> {
        let options = flags.into_options()?;
        let registry = Registry::new();
        process.logging.register_metrics(&registry);
        registry.process_metrics();
        Agent::new(options, &registry).await
    }

    async fn command(command: Command) -> Result<(), Failure> {
        let Command::PrepareData { dir, owners } = command;
        let prepared = tokio::task::spawn_blocking(move || service::prepare_data(&dir, &owners)).await;
        prepared.map_err(Failure::runtime)?.map_err(Failure::usage)
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        crate::logs::check_config(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_files_load() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for file in ["conf/vector.toml", "deploy/target/vector.toml"] {
            let warnings = AgentProgram::check_config(&root.join(file)).unwrap();
            assert_eq!(warnings, Vec::<String>::new(), "{file}");
        }
    }
}
