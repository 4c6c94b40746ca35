//! Reading a group of cgroup version 1.

use std::path::PathBuf;

use super::cgroup::GroupReader;
use super::stats::{
    CgroupStats, CpuTimes, DeviceIo, Limits, MemoryUse, Pids, Throttling, key_value, limit_value,
};

/// Divided by, as a product with 0.000000001 would have digits that the file has not.
const NANOSECONDS: f64 = 1e9;
/// What cpuacct.stat counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the group whose directory for each controller `dir` knows.
pub(super) fn read(dir: &dyn Fn(&str) -> Option<PathBuf>, reader: &mut GroupReader) -> CgroupStats {
    let mut stats = CgroupStats::default();
    if let Some(dir) = dir("cpuacct") {
        let shares = reader.text(&dir, "cpuacct.usage_all").map(parse_usage_all);
        let usage = reader.number(&dir, "cpuacct.usage").map(|usage| usage / NANOSECONDS);
        stats.cpu = match (shares, usage) {
            (Some(shares), Some(usage)) => Some(scaled(shares, usage)),
            // Kernels before 4.7 have ticks only.
            _ => read_cpu_ticks(&dir, reader),
        };
    }
    if let Some(dir) = dir("cpu") {
        stats.limits.cpu_shares = reader.number(&dir, "cpu.shares");
        stats.limits.cpu_period_us = reader.number(&dir, "cpu.cfs_period_us");
        stats.limits.cpu_quota_us = reader.number(&dir, "cpu.cfs_quota_us").filter(|quota| *quota > 0.0);
        if stats.limits.cpu_quota_us.is_some() {
            stats.throttling = reader.text(&dir, "cpu.stat").map(parse_throttling);
        }
    }
    if let Some(dir) = dir("memory") {
        stats.memory = read_memory(&dir, reader);
        stats.oom_kills = reader
            .text(&dir, "memory.oom_control")
            .and_then(|text| key_value(text).find(|(key, _)| *key == "oom_kill").map(|(_, value)| value));
        let mut limit = |name: &str| reader.text(&dir, name).and_then(limit_value);
        let memory = limit("memory.limit_in_bytes");
        let memory_swap = limit("memory.memsw.limit_in_bytes");
        let memory_reservation = limit("memory.soft_limit_in_bytes");
        stats.limits = Limits { memory, memory_swap, memory_reservation, ..stats.limits };
    }
    if let Some(dir) = dir("blkio") {
        stats.io = read_io(&dir, reader);
    }
    if let Some(dir) = dir("pids")
        && let Some(current) = reader.number(&dir, "pids.current")
    {
        let max = reader.text(&dir, "pids.max").and_then(limit_value).unwrap_or(0.0);
        stats.pids = Some(Pids { current, max });
    }
    stats
}

/// Lines of `cpu user system` in nanoseconds below a heading.
fn parse_usage_all(text: &str) -> CpuTimes {
    let mut cpu = CpuTimes::default();
    for line in text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse::<f64>().ok());
        let (Some(user), Some(system)) = (words.next(), words.next()) else { continue };
        cpu.user += user / NANOSECONDS;
        cpu.system += system / NANOSECONDS;
        cpu.per_cpu.push((user + system) / NANOSECONDS);
    }
    cpu.usage = cpu.user + cpu.system;
    cpu
}

/// `cpuacct.usage` is exact; `usage_all` charges whole ticks to user or system and can be several percent off. So its
/// parts are scaled to the exact sum.
fn scaled(mut shares: CpuTimes, usage: f64) -> CpuTimes {
    let factor = if shares.usage > 0.0 { usage / shares.usage } else { 0.0 };
    shares.user *= factor;
    shares.system *= factor;
    shares.per_cpu.iter_mut().for_each(|cpu| *cpu *= factor);
    shares.usage = usage;
    shares
}

fn read_cpu_ticks(dir: &std::path::Path, reader: &mut GroupReader) -> Option<CpuTimes> {
    let usage = reader.number(dir, "cpuacct.usage")? / NANOSECONDS;
    let mut cpu = CpuTimes { usage, ..CpuTimes::default() };
    for (key, ticks) in key_value(reader.text(dir, "cpuacct.stat")?) {
        match key {
            "user" => cpu.user = ticks as f64 / TICKS_PER_SECOND,
            "system" => cpu.system = ticks as f64 / TICKS_PER_SECOND,
            _ => {}
        }
    }
    Some(cpu)
}

fn parse_throttling(text: &str) -> Throttling {
    let mut throttling = Throttling::default();
    for (key, value) in key_value(text) {
        match key {
            "nr_periods" => throttling.periods = value as f64,
            "nr_throttled" => throttling.throttled_periods = value as f64,
            "throttled_time" => throttling.throttled_seconds = value as f64 / NANOSECONDS,
            _ => {}
        }
    }
    throttling
}

fn read_memory(dir: &std::path::Path, reader: &mut GroupReader) -> Option<MemoryUse> {
    let usage = reader.number(dir, "memory.usage_in_bytes")?;
    let max_usage = reader.number(dir, "memory.max_usage_in_bytes");
    let failcnt = reader.number(dir, "memory.failcnt");
    let kernel = reader.number(dir, "memory.kmem.usage_in_bytes");
    let mut memory =
        MemoryUse { usage, working_set: usage, max_usage, failcnt, kernel, ..MemoryUse::default() };
    if let Some(text) = reader.text(dir, "memory.stat") {
        apply_memory_stat(text, &mut memory);
    }
    Some(memory)
}

/// Takes the `total_*` fields, which include the groups below.
fn apply_memory_stat(text: &str, memory: &mut MemoryUse) {
    for (key, value) in key_value(text) {
        let value = value as f64;
        match key {
            "total_rss" => memory.rss = Some(value),
            "total_cache" => memory.cache = Some(value),
            "total_mapped_file" => memory.mapped_file = Some(value),
            "total_swap" => memory.swap = Some(value),
            "total_active_file" => memory.active_file = Some(value),
            "total_inactive_file" => memory.inactive_file = Some(value),
            "total_pgfault" => memory.page_faults = Some(value),
            "total_pgmajfault" => memory.major_page_faults = Some(value),
            _ => {}
        }
    }
    memory.working_set = (memory.usage - memory.inactive_file.unwrap_or(0.0)).max(0.0);
}

/// Bytes and operations by device: of the throttling layer, which counts with every scheduler, else of bfq.
fn read_io(dir: &std::path::Path, reader: &mut GroupReader) -> Vec<DeviceIo> {
    let mut devices = Vec::new();
    for prefix in ["blkio.throttle", "blkio.bfq", "blkio"] {
        for suffix in ["_recursive", ""] {
            let bytes = format!("{prefix}.io_service_bytes{suffix}");
            if let Some(text) = reader.text(dir, &bytes) {
                apply_io(text, &mut devices, |device| (&mut device.read_bytes, &mut device.write_bytes));
            }
            if devices.is_empty() {
                continue;
            }
            let operations = format!("{prefix}.io_serviced{suffix}");
            if let Some(text) = reader.text(dir, &operations) {
                apply_io(text, &mut devices, |device| (&mut device.reads, &mut device.writes));
            }
            return devices;
        }
    }
    devices
}

fn apply_io(text: &str, devices: &mut Vec<DeviceIo>, slots: fn(&mut DeviceIo) -> (&mut f64, &mut f64)) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(operation), Some(value)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some((major, minor)) = device.split_once(':') else { continue };
        let (Ok(major), Ok(minor), Ok(value)) = (major.parse(), minor.parse(), value.parse::<f64>()) else {
            continue;
        };
        let known = devices.iter().position(|known| (known.major, known.minor) == (major, minor));
        let idx = known.unwrap_or_else(|| {
            devices.push(DeviceIo { major, minor, ..DeviceIo::default() });
            devices.len() - 1
        });
        let (read, write) = slots(&mut devices[idx]);
        match operation {
            "Read" => *read = value,
            "Write" => *write = value,
            _ => {}
        }
    }
}
