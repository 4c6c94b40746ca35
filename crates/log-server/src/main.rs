//! `watchbell-logs`: the log server.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run_main::<log_server::LogServer>()
}
