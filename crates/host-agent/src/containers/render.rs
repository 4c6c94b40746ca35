//! Writing the readings as metrics under cAdvisor's names, and what goes beyond it.

use super::collect::{Reading, Surroundings};
use super::identity::identity_labels;
use super::inventory::{ContainerInfo, Health};
use super::options::ContainerOptions;
use super::stats::CgroupStats;
use crate::page::{Kind, LabelBlock, Page, sanitize_name};

const FS_USAGE_HELP: &str = "Bytes that the container's writable layer takes.";
/// How many labels of one container become metric labels.
const CONTAINER_LABELS_MAX: usize = 64;

/// What all readings of a scrape are written with.
pub(super) struct Scene<'a> {
    pub(super) options: &'a ContainerOptions,
    pub(super) host: &'a str,
    pub(super) connected: bool,
    pub(super) docker_version: &'a str,
    pub(super) surroundings: &'a Surroundings,
    pub(super) now_ms: i64,
}

/// Writes samples of one container: its labels, and the time where times are asked for.
struct Target<'a> {
    page: &'a mut Page,
    block: LabelBlock,
    timestamp_ms: Option<i64>,
}

impl Target<'_> {
    fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        self.add(name, Kind::Gauge, help, &[], value);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        self.add(name, Kind::Counter, help, &[], value);
    }

    fn add(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        labels: &[(&str, &str)],
        value: impl Into<Option<f64>>,
    ) {
        if let Some(value) = value.into() {
            self.page.family(name, kind, help).add_to_block(&self.block, labels, value, self.timestamp_ms);
        }
    }

    /// A sample that never carries a time, as in the original.
    fn timeless(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.page.family(name, Kind::Gauge, help).add_to_block(&self.block, &[], value, None);
        }
    }
}

/// Writes all readings.
pub(super) fn render(scene: &Scene<'_>, readings: &[Reading], page: &mut Page) {
    for reading in readings {
        let block = label_block(scene, reading);
        let timestamp_ms = scene.options.timestamps.then_some(scene.now_ms);
        let mut target = Target { page: &mut *page, block, timestamp_ms };
        if reading.alive {
            render_numbers(scene, reading, &mut target);
        }
        if let Some(container) = &reading.container
            && scene.connected
        {
            render_state(container, &mut target);
        }
        if scene.options.has("oom_event")
            && let Some(kills) = reading.oom_kills
        {
            let help = "Processes killed for want of memory.";
            target.counter("container_oom_events_total", help, kills as f64);
            target.counter("container_oom_kills_total", help, kills as f64);
        }
    }
    render_root_fs(scene, page);
    render_version(scene, page);
}

fn label_block(scene: &Scene<'_>, reading: &Reading) -> LabelBlock {
    let Some(container) = &reading.container else {
        return LabelBlock::new([("host", scene.host), ("id", reading.group.as_str())]);
    };
    let restarts = container.restart_count.unwrap_or(0).to_string();
    let exported = exported_labels(scene.options, container);
    let mut pairs: Vec<(&str, &str)> = identity_labels(scene.host, container);
    pairs.extend(exported.iter().map(|(name, value)| (name.as_str(), *value)));
    pairs.push(("id", reading.group.as_str()));
    pairs.push(("image", container.image.as_str()));
    pairs.push(("name", container.name.as_str()));
    if restarts != "0" {
        pairs.push(("restartcount", restarts.as_str()));
    }
    LabelBlock::new(pairs)
}

/// `container_label_*` and `container_env_*`, sorted, each name once: the first of those that become equal stays.
fn exported_labels<'a>(options: &ContainerOptions, container: &'a ContainerInfo) -> Vec<(String, &'a str)> {
    const COMPOSE: [&str; 2] = ["com.docker.compose.project", "com.docker.compose.service"];
    let mut exported: Vec<(String, &str)> = Vec::new();
    for (key, value) in &container.labels {
        let wanted = options.all_labels
            || COMPOSE.contains(&key.as_str())
            || options.label_whitelist.iter().any(|listed| listed == key);
        if wanted && exported.len() < CONTAINER_LABELS_MAX {
            exported.push((format!("container_label_{}", sanitize_name(key)), value));
        }
    }
    for variable in &container.env {
        let Some((key, value)) = variable.split_once('=') else { continue };
        if options.env_whitelist.iter().any(|prefix| !prefix.is_empty() && key.starts_with(prefix.as_str())) {
            exported.push((format!("container_env_{}", sanitize_name(&key.to_lowercase())), value));
        }
    }
    exported.sort_by(|a, b| a.0.cmp(&b.0));
    exported.dedup_by(|a, b| a.0 == b.0);
    exported
}

fn render_numbers(scene: &Scene<'_>, reading: &Reading, target: &mut Target<'_>) {
    let options = scene.options;
    let now_s = scene.now_ms.div_euclid(1000) as f64;
    target.gauge("container_last_seen", "When the container was last seen, as Unix time.", now_s);
    if let Some(container) = &reading.container {
        let seconds = |ns: i64| ns as f64 / 1e9;
        let started = container.started_ns.unwrap_or(container.created_ns);
        let help = "When the container was started, as Unix time.";
        target.timeless("container_start_time_seconds", help, seconds(started).floor());
        let help = "When the container was created, as Unix time.";
        target.timeless("container_creation_time_seconds", help, seconds(container.created_ns).floor());
    }
    if options.has("cpu") {
        render_cpu(options, &reading.stats, target);
    }
    if options.has("memory") {
        render_memory(&reading.stats, target);
    }
    if options.has("network") {
        render_network(reading, target);
    }
    if options.has("diskIO") {
        render_io(scene, &reading.stats, target);
    }
    if options.has("disk")
        && let Some(bytes) = reading.container.as_ref().and_then(|container| container.writable_bytes)
    {
        target.add("container_fs_usage_bytes", Kind::Gauge, FS_USAGE_HELP, &[("device", "")], bytes);
    }
    if options.has("process") {
        render_processes(reading, target);
    }
    if options.has("pressure") {
        render_pressure(&reading.stats, target);
    }
    render_limits(&reading.stats, target);
}

fn render_cpu(options: &ContainerOptions, stats: &CgroupStats, target: &mut Target<'_>) {
    let Some(cpu) = &stats.cpu else { return };
    let help = "Seconds of CPU time used.";
    if options.has("percpu") && !cpu.per_cpu.is_empty() {
        for (idx, seconds) in cpu.per_cpu.iter().enumerate().filter(|(_, seconds)| **seconds > 0.0) {
            let name = format!("cpu{idx:02}");
            target.add("container_cpu_usage_seconds_total", Kind::Counter, help, &[("cpu", &name)], *seconds);
        }
    } else {
        target.add("container_cpu_usage_seconds_total", Kind::Counter, help, &[("cpu", "total")], cpu.usage);
    }
    target.counter("container_cpu_user_seconds_total", "Seconds of user CPU time used.", cpu.user);
    target.counter("container_cpu_system_seconds_total", "Seconds of system CPU time used.", cpu.system);
    if let Some(throttling) = stats.throttling {
        let help = "Periods in which the quota was enforced.";
        target.counter("container_cpu_cfs_periods_total", help, throttling.periods);
        let help = "Periods in which the container was held back.";
        target.counter("container_cpu_cfs_throttled_periods_total", help, throttling.throttled_periods);
        let help = "Seconds for which the container was held back.";
        target.counter("container_cpu_cfs_throttled_seconds_total", help, throttling.throttled_seconds);
    }
}

fn render_memory(stats: &CgroupStats, target: &mut Target<'_>) {
    let Some(memory) = stats.memory else { return };
    target.gauge("container_memory_usage_bytes", "Memory in use, caches included.", memory.usage);
    let help = "Memory in use without caches that are not active.";
    target.gauge("container_memory_working_set_bytes", help, memory.working_set);
    target.gauge("container_memory_rss", "Anonymous memory in bytes.", memory.rss);
    target.gauge("container_memory_cache", "Page cache in bytes.", memory.cache);
    target.gauge("container_memory_mapped_file", "Mapped files in bytes.", memory.mapped_file);
    target.gauge("container_memory_swap", "Swap in bytes.", memory.swap);
    target.gauge("container_memory_max_usage_bytes", "The largest use so far.", memory.max_usage);
    target.counter("container_memory_failcnt", "How often the limit was met.", memory.failcnt);
    target.gauge("container_memory_kernel_usage", "Kernel memory in bytes.", memory.kernel);
    let help = "Active page cache in bytes.";
    target.gauge("container_memory_total_active_file_bytes", help, memory.active_file);
    let help = "Inactive page cache in bytes.";
    target.gauge("container_memory_total_inactive_file_bytes", help, memory.inactive_file);
    for (kind, count) in [("pgfault", memory.page_faults), ("pgmajfault", memory.major_page_faults)] {
        for scope in ["container", "hierarchy"] {
            let labels = [("failure_type", kind), ("scope", scope)];
            let help = "Page faults.";
            target.add("container_memory_failures_total", Kind::Counter, help, &labels, count);
        }
    }
}

fn render_network(reading: &Reading, target: &mut Target<'_>) {
    const RECEIVE: [&str; 4] = [
        "container_network_receive_bytes_total",
        "container_network_receive_packets_total",
        "container_network_receive_errors_total",
        "container_network_receive_packets_dropped_total",
    ];
    const TRANSMIT: [&str; 4] = [
        "container_network_transmit_bytes_total",
        "container_network_transmit_packets_total",
        "container_network_transmit_errors_total",
        "container_network_transmit_packets_dropped_total",
    ];
    for traffic in &reading.network {
        let labels = [("interface", traffic.interface.as_str())];
        let counters = RECEIVE.iter().zip(traffic.receive).chain(TRANSMIT.iter().zip(traffic.transmit));
        for (name, value) in counters {
            target.add(name, Kind::Counter, "Network traffic by interface.", &labels, value as f64);
        }
    }
}

fn render_io(scene: &Scene<'_>, stats: &CgroupStats, target: &mut Target<'_>) {
    for io in &stats.io {
        let unnamed = || format!("{}:{}", io.major, io.minor);
        let device = scene.surroundings.devices.get(&(io.major, io.minor)).cloned().unwrap_or_else(unnamed);
        let labels = [("device", device.as_str())];
        let counters = [
            ("container_fs_reads_bytes_total", "Bytes read.", io.read_bytes),
            ("container_fs_writes_bytes_total", "Bytes written.", io.write_bytes),
            ("container_fs_reads_total", "Reads completed.", io.reads),
            ("container_fs_writes_total", "Writes completed.", io.writes),
        ];
        for (name, help, value) in counters {
            target.add(name, Kind::Counter, help, &labels, value);
        }
    }
}

fn render_processes(reading: &Reading, target: &mut Target<'_>) {
    target.gauge("container_processes", "Processes.", reading.processes.map(|count| count as f64));
    if let Some(pids) = reading.stats.pids {
        target.gauge("container_threads", "Threads.", pids.current);
        target.gauge("container_threads_max", "Threads that are allowed, 0 for no limit.", pids.max);
    }
    if let Some(open) = reading.open_files {
        target.gauge("container_file_descriptors", "Open files.", open.files as f64);
        target.gauge("container_sockets", "Open sockets.", open.sockets as f64);
    }
    let labels = [("ulimit", "max_open_files")];
    let help = "Soft limits of the main process, -1 for none.";
    target.add("container_ulimits_soft", Kind::Gauge, help, &labels, reading.max_open_files);
}

fn render_pressure(stats: &CgroupStats, target: &mut Target<'_>) {
    for pressure in &stats.pressure {
        let (waiting, stalled) = match pressure.resource {
            "cpu" => (
                "container_pressure_cpu_waiting_seconds_total",
                "container_pressure_cpu_stalled_seconds_total",
            ),
            "memory" => (
                "container_pressure_memory_waiting_seconds_total",
                "container_pressure_memory_stalled_seconds_total",
            ),
            _ => {
                ("container_pressure_io_waiting_seconds_total", "container_pressure_io_stalled_seconds_total")
            }
        };
        target.counter(waiting, "Seconds that some tasks waited.", pressure.waiting);
        target.counter(stalled, "Seconds that all tasks waited.", pressure.stalled);
    }
}

fn render_limits(stats: &CgroupStats, target: &mut Target<'_>) {
    let limits = stats.limits;
    target.timeless("container_spec_cpu_period", "The quota's period in microseconds.", limits.cpu_period_us);
    target.timeless("container_spec_cpu_quota", "The quota in microseconds.", limits.cpu_quota_us);
    target.timeless("container_spec_cpu_shares", "The CPU shares.", limits.cpu_shares);
    let help = "The memory limit in bytes, 0 for none.";
    target.timeless("container_spec_memory_limit_bytes", help, limits.memory);
    let help = "The limit of memory and swap in bytes, 0 for none.";
    target.timeless("container_spec_memory_swap_limit_bytes", help, limits.memory_swap);
    let help = "The memory reservation in bytes, 0 for none.";
    target.timeless("container_spec_memory_reservation_limit_bytes", help, limits.memory_reservation);
}

/// What stays visible of a container that has ended, as long as Docker lists it.
fn render_state(container: &ContainerInfo, target: &mut Target<'_>) {
    let help = "Always 1; the label tells the state that Docker reports.";
    target.add("container_state", Kind::Gauge, help, &[("state", &container.state)], 1.0);
    let help = "How the last run ended, where it has ended.";
    target.gauge("container_exit_code", help, container.exit_code.map(|code| code as f64));
    let help = "How often the restart policy started it again.";
    target.counter("container_restarts_total", help, container.restart_count.map(|count| count as f64));
    let health = match container.health {
        Health::None => -1.0,
        Health::Starting | Health::Unhealthy => 0.0,
        Health::Healthy => 1.0,
    };
    let help = "1 healthy, 0 starting or unhealthy, -1 without a health check.";
    target.gauge("container_health_state", help, health);
    let status = match container.health {
        Health::None => None,
        Health::Starting => Some("starting"),
        Health::Healthy => Some("healthy"),
        Health::Unhealthy => Some("unhealthy"),
    };
    if let Some(status) = status {
        let help = "Always 1; the label tells what the health check says.";
        target.add("container_health_status", Kind::Gauge, help, &[("status", status)], 1.0);
    }
    if !container.is_running() {
        let help = "When the last run ended, as Unix time.";
        target.gauge(
            "container_finished_time_seconds",
            help,
            container.finished_ns.map(|ns| ns as f64 / 1e9),
        );
    }
}

/// The space of the machine's real file systems, one series per device.
fn render_root_fs(scene: &Scene<'_>, page: &mut Page) {
    let block = LabelBlock::new([("host", scene.host), ("id", "/")]);
    let timestamp = scene.options.timestamps.then_some(scene.now_ms);
    for (device, sizes) in &scene.surroundings.file_systems {
        let labels = [("device", device.as_str())];
        let gauges = [
            ("container_fs_limit_bytes", "Size of the file system in bytes.", sizes.size),
            ("container_fs_usage_bytes", FS_USAGE_HELP, sizes.size - sizes.free),
            ("container_fs_inodes_total", "File nodes in all.", sizes.files),
            ("container_fs_inodes_free", "Free file nodes.", sizes.files_free),
        ];
        for (name, help, value) in gauges {
            page.family(name, Kind::Gauge, help).add_to_block(&block, &labels, value, timestamp);
        }
    }
}

fn render_version(scene: &Scene<'_>, page: &mut Page) {
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy();
    page.family("cadvisor_version_info", Kind::Gauge, "Versions of kernel, Docker and this agent.").add(
        &[
            ("cadvisorRevision", ""),
            ("cadvisorVersion", env!("CARGO_PKG_VERSION")),
            ("dockerVersion", scene.docker_version),
            ("kernelVersion", &kernel),
        ],
        1.0,
    );
}
