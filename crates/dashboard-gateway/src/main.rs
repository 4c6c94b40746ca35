//! `watchbell-gateway`

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run_main::<dashboard_gateway::GatewayProgram>()
}
