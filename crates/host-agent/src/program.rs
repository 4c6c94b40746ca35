//! The agent as a program.

use std::path::Path;

use service::{Failure, NoCommand, Process, Program};
use telemetry::Registry;

use crate::app::Agent;
use crate::args::Flags;

/// `watchbell-agent`.
#[derive(Debug)]
pub struct AgentProgram;

impl Program for AgentProgram {
    const NAME: &'static str = "watchbell-agent";
    const ABOUT: &'static str = "Container and host metrics for scraping, logs delivered to a log server.";
    type Flags = Flags;
    type Command = NoCommand;
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

    async fn command(command: NoCommand) -> Result<(), Failure> {
        match command {}
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        crate::logs::check_config(file)
    }
}
