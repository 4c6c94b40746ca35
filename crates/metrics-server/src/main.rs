//! The metrics server's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run_main::<metrics_server::MetricsServer>()
}
