//! Reading a group of cgroup version 2.

use std::path::Path;

use super::cgroup::GroupReader;
use super::stats::{
    CgroupStats, CpuTimes, DeviceIo, GroupPressure, MemoryUse, Pids, Throttling, key_value, limit_value,
};
use crate::host::parse_pressure;

/// Divided by, as a product with 0.000001 would have digits that the file has not.
const MICROSECONDS: f64 = 1e6;

/// Reads the group in `dir`.
pub(super) fn read(dir: &Path, reader: &mut GroupReader) -> CgroupStats {
    let mut stats = CgroupStats::default();
    read_cpu_limits(dir, reader, &mut stats);
    if let Some(text) = reader.text(dir, "cpu.stat") {
        let (cpu, throttling) = parse_cpu_stat(text);
        stats.cpu = Some(cpu);
        stats.throttling = throttling.filter(|_| stats.limits.cpu_quota_us.is_some());
    }
    stats.memory = read_memory(dir, reader);
    stats.oom_kills = reader
        .text(dir, "memory.events")
        .and_then(|text| key_value(text).find(|(key, _)| *key == "oom_kill").map(|(_, value)| value));
    stats.limits.memory = reader.text(dir, "memory.max").and_then(limit_value);
    stats.limits.memory_swap = reader.text(dir, "memory.swap.max").and_then(limit_value);
    stats.limits.memory_reservation = reader.text(dir, "memory.min").and_then(limit_value);
    if let Some(text) = reader.text(dir, "io.stat") {
        stats.io = parse_io(text);
    }
    if let Some(current) = reader.number(dir, "pids.current") {
        let max = reader.text(dir, "pids.max").and_then(limit_value).unwrap_or(0.0);
        stats.pids = Some(Pids { current, max });
    }
    for (resource, file) in [("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("io", "io.pressure")] {
        let Some(pressure) = reader.text(dir, file).map(parse_pressure) else { continue };
        let Some(waiting) = pressure.some_us else { continue };
        let stalled = pressure.full_us.map(|us| us as f64 / MICROSECONDS);
        stats.pressure.push(GroupPressure { resource, waiting: waiting as f64 / MICROSECONDS, stalled });
    }
    stats
}

fn read_cpu_limits(dir: &Path, reader: &mut GroupReader, stats: &mut CgroupStats) {
    // `max 100000` or `50000 100000`: quota and period.
    if let Some((quota, period)) = reader.text(dir, "cpu.max").and_then(|text| text.trim().split_once(' ')) {
        stats.limits.cpu_period_us = period.parse().ok();
        stats.limits.cpu_quota_us = quota.parse().ok();
    }
    // The weight of 1 to 10000 back to version 1's shares of 2 to 262144, as runc converts them.
    let weight = reader.number(dir, "cpu.weight").filter(|weight| *weight >= 1.0);
    stats.limits.cpu_shares = weight.map(|weight| (2.0 + (weight - 1.0) * 262_142.0 / 9_999.0).floor());
}

fn parse_cpu_stat(text: &str) -> (CpuTimes, Option<Throttling>) {
    let mut cpu = CpuTimes::default();
    let mut throttling = None;
    for (key, value) in key_value(text) {
        let seconds = value as f64 / MICROSECONDS;
        match key {
            "usage_usec" => cpu.usage = seconds,
            "user_usec" => cpu.user = seconds,
            "system_usec" => cpu.system = seconds,
            "nr_periods" => throttling.get_or_insert_with(Throttling::default).periods = value as f64,
            "nr_throttled" => {
                throttling.get_or_insert_with(Throttling::default).throttled_periods = value as f64;
            }
            "throttled_usec" => {
                throttling.get_or_insert_with(Throttling::default).throttled_seconds = seconds
            }
            _ => {}
        }
    }
    (cpu, throttling)
}

fn read_memory(dir: &Path, reader: &mut GroupReader) -> Option<MemoryUse> {
    // The root group has no memory.current: the caller takes /proc/meminfo.
    let usage = reader.number(dir, "memory.current")?;
    let max_usage = reader.number(dir, "memory.peak");
    let swap = reader.number(dir, "memory.swap.current");
    let mut memory = MemoryUse { usage, working_set: usage, max_usage, swap, ..MemoryUse::default() };
    if let Some(text) = reader.text(dir, "memory.stat") {
        apply_memory_stat(text, &mut memory);
    }
    Some(memory)
}

fn apply_memory_stat(text: &str, memory: &mut MemoryUse) {
    for (key, value) in key_value(text) {
        let value = value as f64;
        match key {
            "anon" => memory.rss = Some(value),
            "file" => memory.cache = Some(value),
            "file_mapped" => memory.mapped_file = Some(value),
            "kernel" => memory.kernel = Some(value),
            // Kernels before 5.18 have no sum of it.
            "slab" if memory.kernel.is_none() => memory.kernel = Some(value),
            "active_file" => memory.active_file = Some(value),
            "inactive_file" => memory.inactive_file = Some(value),
            "pgfault" => memory.page_faults = Some(value),
            "pgmajfault" => memory.major_page_faults = Some(value),
            _ => {}
        }
    }
    memory.working_set = (memory.usage - memory.inactive_file.unwrap_or(0.0)).max(0.0);
}

fn parse_io(text: &str) -> Vec<DeviceIo> {
    let mut devices = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(|word| word.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        let mut device = DeviceIo { major, minor, ..DeviceIo::default() };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse::<f64>() else { continue };
            match key {
                "rbytes" => device.read_bytes = value,
                "wbytes" => device.write_bytes = value,
                "rios" => device.reads = value,
                "wios" => device.writes = value,
                _ => {}
            }
        }
        devices.push(device);
    }
    devices
}
