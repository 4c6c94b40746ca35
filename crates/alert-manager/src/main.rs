//! The service in Alertmanager's role.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run_main::<alert_manager::AlertProgram>()
}
