//! The service in Alertmanager's role.

use std::process::ExitCode;

/// Many small texts that come and go with each post and message: the C library's allocator keeps twice as much for them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    service::run_main::<alert_manager::AlertProgram>()
}
