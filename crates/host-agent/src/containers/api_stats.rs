//! The Docker API's numbers, where the cgroup and procfs files cannot be read.

use std::collections::HashMap;

use bollard::models::{ContainerBlkioStatEntry, ContainerNetworkStats, ContainerStatsResponse};

use super::processes::InterfaceTraffic;
use super::stats::{CgroupStats, CpuTimes, DeviceIo, MemoryUse, Pids};

/// Divided by, as a product with 0.000000001 would have digits that the file has not.
const NANOSECONDS: f64 = 1e9;

/// What the API told of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ApiReading {
    pub(super) stats: CgroupStats,
    pub(super) network: Vec<InterfaceTraffic>,
}

/// Takes over what the answer has; a stopped container's answer has nothing. Where containers have no groups of their own,
/// Docker reads the group that it runs in itself: of its answer only the network is the container's.
pub(super) fn convert(answer: ContainerStatsResponse, without_groups: bool) -> ApiReading {
    let network = traffic(answer.networks.clone().unwrap_or_default());
    if without_groups {
        return ApiReading { network, ..ApiReading::default() };
    }
    let mut stats = CgroupStats::default();
    if let Some(usage) = answer.cpu_stats.and_then(|cpu| cpu.cpu_usage) {
        let seconds = |ns: Option<u64>| ns.unwrap_or(0) as f64 / NANOSECONDS;
        stats.cpu = usage.total_usage.map(|_| CpuTimes {
            usage: seconds(usage.total_usage),
            user: seconds(usage.usage_in_usermode),
            system: seconds(usage.usage_in_kernelmode),
            per_cpu: usage
                .percpu_usage
                .unwrap_or_default()
                .iter()
                .map(|ns| *ns as f64 / NANOSECONDS)
                .collect(),
        });
    }
    if let Some(memory) = answer.memory_stats
        && let Some(usage) = memory.usage
    {
        let fields = memory.stats.unwrap_or_default();
        // Version 1 has `total_rss`, version 2 `anon`; and so on.
        let field = |names: [&str; 2]| names.iter().find_map(|name| fields.get(*name)).map(|v| *v as f64);
        let usage = usage as f64;
        let inactive_file = field(["total_inactive_file", "inactive_file"]);
        stats.memory = Some(MemoryUse {
            usage,
            working_set: (usage - inactive_file.unwrap_or(0.0)).max(0.0),
            rss: field(["total_rss", "anon"]),
            cache: field(["total_cache", "file"]),
            mapped_file: field(["total_mapped_file", "file_mapped"]),
            swap: field(["total_swap", "swap"]),
            max_usage: memory.max_usage.map(|v| v as f64),
            failcnt: memory.failcnt.map(|v| v as f64),
            kernel: field(["kernel", "slab"]),
            active_file: field(["total_active_file", "active_file"]),
            inactive_file,
            page_faults: field(["total_pgfault", "pgfault"]),
            major_page_faults: field(["total_pgmajfault", "pgmajfault"]),
        });
        stats.limits.memory = memory.limit.map(|v| v as f64);
    }
    if let Some(blkio) = answer.blkio_stats {
        let bytes = blkio.io_service_bytes_recursive.unwrap_or_default();
        add_io(&bytes, &mut stats.io, |device| (&mut device.read_bytes, &mut device.write_bytes));
        let operations = blkio.io_serviced_recursive.unwrap_or_default();
        add_io(&operations, &mut stats.io, |device| (&mut device.reads, &mut device.writes));
    }
    if let Some(pids) = answer.pids_stats
        && let Some(current) = pids.current
    {
        stats.pids =
            Some(Pids { current: current as f64, max: pids.limit.map_or(0.0, |limit| limit as f64) });
    }
    ApiReading { stats, network }
}

fn traffic(interfaces: HashMap<String, ContainerNetworkStats>) -> Vec<InterfaceTraffic> {
    let mut network: Vec<InterfaceTraffic> = interfaces
        .into_iter()
        .map(|(interface, counters)| {
            let number = |value: Option<u64>| value.unwrap_or(0);
            InterfaceTraffic {
                interface,
                receive: [counters.rx_bytes, counters.rx_packets, counters.rx_errors, counters.rx_dropped]
                    .map(number),
                transmit: [counters.tx_bytes, counters.tx_packets, counters.tx_errors, counters.tx_dropped]
                    .map(number),
            }
        })
        .collect();
    network.sort_by(|a, b| a.interface.cmp(&b.interface));
    network
}

fn add_io(
    entries: &[ContainerBlkioStatEntry],
    devices: &mut Vec<DeviceIo>,
    slots: fn(&mut DeviceIo) -> (&mut f64, &mut f64),
) {
    for entry in entries {
        let (Some(major), Some(minor), Some(value)) = (entry.major, entry.minor, entry.value) else {
            continue;
        };
        let known = devices.iter().position(|known| (known.major, known.minor) == (major, minor));
        let idx = known.unwrap_or_else(|| {
            devices.push(DeviceIo { major, minor, ..DeviceIo::default() });
            devices.len() - 1
        });
        let (read, write) = slots(&mut devices[idx]);
        match entry.op.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("read") => *read = value as f64,
            Some("write") => *write = value as f64,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a rootless Docker without cgroups answered: the numbers are the machine's.
    #[test]
    fn a_container_without_a_group_is_not_the_group_of_docker() {
        let json = r#"{"cpu_stats":{"cpu_usage":{"total_usage":57626772952975,"usage_in_usermode":49583780000000,
            "usage_in_kernelmode":8042980000000}},"memory_stats":{"usage":3494379520,"limit":25276514304},
            "pids_stats":{"current":200},"networks":{"eth0":{"rx_bytes":1252,"rx_packets":14,"tx_bytes":7}}}"#;
        let answer: ContainerStatsResponse = serde_json::from_str(json).unwrap();
        let with = convert(answer.clone(), false);
        assert_eq!(with.stats.memory.as_ref().map(|memory| memory.usage), Some(3_494_379_520.0));
        let without = convert(answer, true);
        assert_eq!(without.stats, CgroupStats::default());
        assert_eq!(without.network, with.network);
        assert_eq!(without.network[0].receive, [1_252, 14, 0, 0]);
    }
}
