//! The metrics server's program.

use std::process::ExitCode;

/// A head of many small chunks that grow: the C library's allocator keeps about half as much again for it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    service::run_main::<metrics_server::MetricsServer>()
}
