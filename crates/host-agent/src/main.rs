//! The agent on each host: container and host metrics, logs.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run_main::<host_agent::AgentProgram>()
}
