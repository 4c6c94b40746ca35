//! The alert manager as a program.

use std::path::Path;

use service::{Failure, Process, Program};
use telemetry::Registry;

use crate::app::AlertManager;
use crate::cli::{self, Command};
use crate::config::Config;
use crate::flags::Flags;
use crate::manager::Receivers;
use crate::matchers::MatcherMode;

/// `watchbell-alerts`.
#[derive(Debug)]
pub struct AlertProgram;

impl Program for AlertProgram {
    const NAME: &'static str = "watchbell-alerts";
    const ABOUT: &'static str = "Groups, routes, mutes and sends alerts.";
    type Flags = Flags;
    type Command = Command;
    type App = AlertManager;

    fn health_url(flags: &Flags) -> String {
        flags.health_url()
    }

    async fn build(flags: Flags, process: &Process) -> Result<AlertManager, Failure> {
        let registry = Registry::new();
        process.logging.register_metrics(&registry);
        registry.process_metrics();
        AlertManager::new(flags, &registry).await
    }

    async fn command(command: Command) -> Result<(), Failure> {
        cli::run(command).await
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        let config = Config::load(file, MatcherMode::default())?;
        Receivers::build(&config).map_err(Failure::usage)?;
        Ok(config.warnings.iter().map(ToString::to_string).collect())
    }
}
