//! The numbers of one cgroup, whichever way they were read. What could not be read is `None`, never 0.

/// CPU time in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CpuTimes {
    pub(crate) usage: f64,
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// By CPU, where the kernel tells it.
    pub(crate) per_cpu: Vec<f64>,
}

/// How often the quota held the group back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Throttling {
    pub(crate) periods: f64,
    pub(crate) throttled_periods: f64,
    pub(crate) throttled_seconds: f64,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MemoryUse {
    pub(crate) usage: f64,
    pub(crate) working_set: f64,
    pub(crate) rss: Option<f64>,
    pub(crate) cache: Option<f64>,
    pub(crate) mapped_file: Option<f64>,
    pub(crate) swap: Option<f64>,
    pub(crate) max_usage: Option<f64>,
    pub(crate) failcnt: Option<f64>,
    pub(crate) kernel: Option<f64>,
    pub(crate) active_file: Option<f64>,
    pub(crate) inactive_file: Option<f64>,
    pub(crate) page_faults: Option<f64>,
    pub(crate) major_page_faults: Option<f64>,
}

/// Reads and writes of one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DeviceIo {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) read_bytes: f64,
    pub(crate) write_bytes: f64,
    pub(crate) reads: f64,
    pub(crate) writes: f64,
}

/// Threads, and how many are allowed (0: no limit).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pids {
    pub(crate) current: f64,
    pub(crate) max: f64,
}

/// Limits that the group was given; 0 is none, as cAdvisor writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) cpu_period_us: Option<f64>,
    pub(crate) cpu_quota_us: Option<f64>,
    pub(crate) cpu_shares: Option<f64>,
    pub(crate) memory: Option<f64>,
    pub(crate) memory_swap: Option<f64>,
    pub(crate) memory_reservation: Option<f64>,
}

/// Seconds that some (`waiting`) or all (`stalled`) tasks waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GroupPressure {
    pub(crate) resource: &'static str,
    pub(crate) waiting: f64,
    pub(crate) stalled: Option<f64>,
}

/// All of one cgroup.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CgroupStats {
    pub(crate) cpu: Option<CpuTimes>,
    pub(crate) throttling: Option<Throttling>,
    pub(crate) memory: Option<MemoryUse>,
    pub(crate) io: Vec<DeviceIo>,
    pub(crate) pids: Option<Pids>,
    pub(crate) limits: Limits,
    pub(crate) pressure: Vec<GroupPressure>,
    /// Processes that the kernel killed for want of memory while this cgroup has existed.
    pub(crate) oom_kills: Option<u64>,
}

/// Lines of `key value`, as memory.stat and cpu.stat have them.
pub(crate) fn key_value(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// A limit as its file has it; `max` and what is beyond 2^62 mean none, which is 0.
pub(crate) fn limit_value(text: &str) -> Option<f64> {
    let text = text.trim();
    if text == "max" || text == "-1" {
        return Some(0.0);
    }
    let value: u64 = text.parse().ok()?;
    Some(if value > 1 << 62 { 0.0 } else { value as f64 })
}
