//! `process_*` from `/proc/self`.

use crate::collect::Collector;

/// Clock ticks per second in `/proc`: fixed by Linux's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds what can be read; what cannot is left out, never 0.
pub(crate) fn collect(out: &mut Collector) {
    if let Some(stat) = std::fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        out.counter(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            &[],
            stat.cpu_seconds,
        );
        out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[], stat.virtual_bytes);
        out.gauge("process_threads", "Number of threads of the process.", &[], stat.threads);
        if let Some(boot) = boot_time() {
            let started = boot + stat.start_seconds_after_boot;
            out.gauge(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                &[],
                started,
            );
        }
    }
    if let Some(bytes) = status_kib("VmRSS:") {
        out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", &[], bytes * 1024.0);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // The listing itself holds one descriptor.
        let open = entries.count().saturating_sub(1) as f64;
        out.gauge("process_open_fds", "Number of open file descriptors.", &[], open);
    }
    if let Some(limit) = open_files_limit() {
        out.gauge("process_max_fds", "Maximum number of open file descriptors.", &[], limit);
    }
}

struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_seconds_after_boot: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// Fields are counted from behind the command's name, which may hold spaces and parentheses itself.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |idx: usize| -> Option<f64> { fields.get(idx)?.parse().ok() };
        Some(Self {
            cpu_seconds: (number(11)? + number(12)?) / TICKS_PER_SECOND,
            threads: number(17)?,
            start_seconds_after_boot: number(19)? / TICKS_PER_SECOND,
            virtual_bytes: number(20)?,
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn status_kib(field: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.trim().trim_end_matches("kB").trim().parse().ok()
}

fn open_files_limit() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}
