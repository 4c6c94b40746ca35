//! Pressure stall information: how long work waited for CPU, I/O, memory.

use std::path::Path;

use super::{CollectError, HostContext};
use crate::page::Page;

/// Microseconds that some and that all work stood still, as a `*.pressure` file has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// Some task waited.
    pub(crate) some_us: Option<u64>,
    /// No task could go on.
    pub(crate) full_us: Option<u64>,
}

/// Reads the content of a pressure file.
pub(crate) fn parse(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let total = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="));
        let total = total.and_then(|value| value.parse().ok());
        if line.starts_with("some") {
            pressure.some_us = total;
        } else if line.starts_with("full") {
            pressure.full_us = total;
        }
    }
    pressure
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let read =
        |name: &str| ctx.read(&ctx.roots.proc("pressure").join(Path::new(name))).map(|text| parse(&text));
    let cpu = match read("cpu") {
        Ok(pressure) => pressure,
        // Kernels without CONFIG_PSI, or with psi=0, have no such files or refuse to open them.
        Err(error) => return Err(CollectError::NoData { what: error.to_string() }),
    };
    let seconds = |us: u64| us as f64 / 1e6;
    let mut counter = |name: &'static str, help: &'static str, us: Option<u64>| {
        if let Some(us) = us {
            page.counter(name, help, seconds(us));
        }
    };
    counter("node_pressure_cpu_waiting_seconds_total", "Seconds that work waited for CPU time.", cpu.some_us);
    let io = read("io").unwrap_or_default();
    counter("node_pressure_io_waiting_seconds_total", "Seconds that some work waited for I/O.", io.some_us);
    counter("node_pressure_io_stalled_seconds_total", "Seconds that all work waited for I/O.", io.full_us);
    let memory = read("memory").unwrap_or_default();
    let help = "Seconds that some work waited for memory.";
    counter("node_pressure_memory_waiting_seconds_total", help, memory.some_us);
    let help = "Seconds that all work waited for memory.";
    counter("node_pressure_memory_stalled_seconds_total", help, memory.full_us);
    let irq = read("irq").unwrap_or_default();
    counter(
        "node_pressure_irq_stalled_seconds_total",
        "Seconds that all work waited for interrupts.",
        irq.full_us,
    );
    Ok(())
}
