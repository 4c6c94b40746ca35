//! Gathering the numbers of all containers for one scrape.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::StreamExt;
use parking_lot::Mutex;
use sys::Clock;
use tokio::sync::watch;

use super::api_stats::{self, ApiReading};
use super::cgroup::{CgroupTree, GroupReader, container_group, container_id};
use super::docker::DockerLink;
use super::inventory::{ContainerInfo, Inventory};
use super::machine::Machine;
use super::options::ContainerOptions;
use super::processes::{self, InterfaceTraffic, OpenFiles};
use super::render;
use super::stats::{CgroupStats, MemoryUse};
use crate::files::{Roots, read_text};
use crate::host::FsSizes;
use crate::page::Page;
use crate::status::StatusBoard;

const AREA: &str = "container metrics";
/// How many containers are asked for over the API at the same time, and how many in one scrape.
const API_CONCURRENCY: usize = 8;
const API_CALLS_MAX: usize = 200;
/// How many cgroups that are no container are shown with `--docker_only=false`.
const PLAIN_GROUPS_MAX: usize = 300;
/// File systems whose space is the machine's: what `container_fs_*{id="/"}` shows.
const REAL_FS_TYPES: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "bcachefs"];

/// One container or cgroup as this scrape found it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The cgroup's path; for a container whose group is not visible `/docker/<id>`.
    pub(super) group: String,
    pub(super) container: Option<Arc<ContainerInfo>>,
    pub(super) stats: CgroupStats,
    pub(super) network: Vec<InterfaceTraffic>,
    pub(super) open_files: Option<OpenFiles>,
    pub(super) max_open_files: Option<f64>,
    pub(super) processes: Option<usize>,
    pub(super) oom_kills: Option<u64>,
    /// Whether it has processes now: only then do numbers and `container_last_seen` appear.
    pub(super) alive: bool,
}

/// The container metrics of one agent.
#[derive(Debug)]
pub(crate) struct ContainerCollectors {
    roots: Roots,
    options: ContainerOptions,
    /// The value of the label `host`.
    host: Arc<str>,
    clock: Arc<dyn Clock>,
    status: Arc<StatusBoard>,
    link: DockerLink,
    inventory: watch::Receiver<Arc<Inventory>>,
    memory: Mutex<ScrapeMemory>,
}

/// What is remembered from scrape to scrape.
#[derive(Debug, Default)]
struct ScrapeMemory {
    /// The cgroup of each container id.
    groups: HashMap<String, String>,
    oom: HashMap<String, OomCount>,
}

/// Kills of one container, kept when its cgroup goes away and comes back at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OomCount {
    ended: u64,
    current: u64,
    shown: u64,
}

impl OomCount {
    fn observe(&mut self, cgroup: Option<u64>, events: u64, oom_killed: bool) -> u64 {
        if let Some(kills) = cgroup {
            if kills < self.current {
                self.ended += self.current;
            }
            self.current = kills;
        }
        // Docker's events and its flag may know of a kill whose cgroup was gone before it was read.
        let known = (self.ended + self.current).max(events).max(u64::from(oom_killed));
        self.shown = self.shown.max(known);
        self.shown
    }
}

impl ContainerCollectors {
    pub(crate) fn new(
        roots: Roots,
        options: ContainerOptions,
        host: Arc<str>,
        clock: Arc<dyn Clock>,
        status: Arc<StatusBoard>,
        link: DockerLink,
        inventory: watch::Receiver<Arc<Inventory>>,
    ) -> Self {
        Self { roots, options, host, clock, status, link, inventory, memory: Mutex::default() }
    }

    /// The inventory as it is now.
    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        self.inventory.borrow().clone()
    }

    /// Collects onto `page`. The files are read on a thread that may block.
    pub(crate) async fn collect(self: &Arc<Self>, mut page: Page) -> Page {
        let inventory = self.inventory();
        let this = Arc::clone(self);
        let gathered = {
            let inventory = Arc::clone(&inventory);
            tokio::task::spawn_blocking(move || this.gather(&inventory)).await
        };
        let Ok((mut readings, surroundings)) = gathered else {
            self.status.set(AREA, "collector", "the collector ended early: a defect".to_owned());
            return page;
        };
        self.fill_from_api(&mut readings).await;
        let now_ms = self.clock.now_ms();
        if self.options.has("cpu") || self.options.has("memory") {
            surroundings.machine.render(&mut page);
        }
        let scene = render::Scene {
            options: &self.options,
            host: &self.host,
            connected: inventory.connected,
            docker_version: &inventory.docker_version,
            surroundings: &surroundings,
            now_ms,
        };
        render::render(&scene, &readings, &mut page);
        page
    }

    fn gather(&self, inventory: &Inventory) -> (Vec<Reading>, Surroundings) {
        (self.read_groups(inventory), Surroundings::read(&self.roots, &self.options))
    }

    fn read_groups(&self, inventory: &Inventory) -> Vec<Reading> {
        let tree = CgroupTree::detect(&self.roots);
        let mut reader = GroupReader::default();
        let mut readings = Vec::with_capacity(inventory.containers.len() + 1);
        if tree == CgroupTree::Absent {
            let reason = format!("no cgroup files below {}", self.roots.sys("fs/cgroup").display());
            self.status.set(AREA, "cgroup", reason);
        } else {
            self.status.clear(AREA, "cgroup");
        }
        if !self.options.disable_root {
            readings.push(self.root_reading(&tree, &mut reader));
        }
        let mut memory = self.memory.lock();
        memory.groups.retain(|id, group| inventory.containers.contains_key(id) && tree.exists(group));
        memory.oom.retain(|id, _| inventory.containers.contains_key(id));
        let plain = self.plain_groups(&tree, inventory, &mut memory);
        for container in inventory.containers.values() {
            readings.push(self.container_reading(
                container,
                inventory.connected,
                &tree,
                &mut reader,
                &mut memory,
            ));
        }
        self.note_open_files(&readings);
        for group in plain {
            let Some(stats) = tree.read(&group, &mut reader) else { continue };
            let oom_kills = stats.oom_kills;
            readings.push(Reading { group, stats, oom_kills, alive: true, ..Reading::default() });
        }
        readings
    }

    /// Finds the groups of containers that no process tells, and those that are shown without a container.
    fn plain_groups(
        &self,
        tree: &CgroupTree,
        inventory: &Inventory,
        memory: &mut ScrapeMemory,
    ) -> Vec<String> {
        for container in inventory.containers.values() {
            if memory.groups.contains_key(&container.id) {
                continue;
            }
            let told = container
                .pid
                .and_then(|pid| read_text(&self.roots.proc(&format!("{pid}/cgroup"))).ok())
                .and_then(|text| tree.group_of(&text))
                .and_then(|group| container_group(&group, &container.id).map(str::to_owned))
                .filter(|group| tree.exists(group));
            if let Some(group) = told {
                memory.groups.insert(container.id.clone(), group);
            }
        }
        let lost =
            inventory.containers.values().any(|c| c.is_running() && !memory.groups.contains_key(&c.id));
        if !lost && self.options.docker_only && inventory.connected {
            return Vec::new();
        }
        let mut plain = Vec::new();
        for group in tree.groups() {
            match container_id(&group) {
                Some(id) if inventory.containers.contains_key(id) => {
                    memory.groups.entry(id.to_owned()).or_insert(group);
                }
                // Without the API a container has at least its id.
                Some(_) => plain.push(group),
                None if !self.options.docker_only => plain.push(group),
                None => {}
            }
        }
        plain.truncate(PLAIN_GROUPS_MAX);
        plain
    }

    fn root_reading(&self, tree: &CgroupTree, reader: &mut GroupReader) -> Reading {
        let mut stats = tree.read("/", reader).unwrap_or_default();
        if stats.memory.is_none() {
            stats.memory = root_memory(&self.roots);
        }
        let network = processes::traffic(&self.roots, 1, processes::host_interface).unwrap_or_default();
        let oom_kills = stats.oom_kills;
        Reading { group: "/".to_owned(), stats, network, oom_kills, alive: true, ..Reading::default() }
    }

    fn container_reading(
        &self,
        container: &Arc<ContainerInfo>,
        connected: bool,
        tree: &CgroupTree,
        reader: &mut GroupReader,
        memory: &mut ScrapeMemory,
    ) -> Reading {
        let group = memory.groups.get(&container.id).cloned();
        let stats = group.as_deref().and_then(|group| tree.read(group, reader));
        let alive = stats.is_some() || (connected && container.is_running());
        let mut reading = Reading {
            group: group.unwrap_or_else(|| format!("/docker/{}", container.id)),
            container: Some(Arc::clone(container)),
            alive,
            ..Reading::default()
        };
        let cgroup_kills = stats.as_ref().and_then(|stats| stats.oom_kills);
        let count = memory.oom.entry(container.id.clone()).or_default();
        let kills = count.observe(cgroup_kills, container.oom_events, container.oom_killed);
        reading.oom_kills = (connected || cgroup_kills.is_some()).then_some(kills);
        let Some(stats) = stats else { return reading };
        reading.stats = stats;
        if let Some(pid) = container.pid {
            if self.options.has("network") && !container.shares_network {
                let traffic = processes::traffic(&self.roots, pid, processes::container_interface);
                self.note_network(container, traffic.is_some());
                reading.network = traffic.unwrap_or_default();
            }
            if self.options.has("process") {
                self.read_processes(tree, pid, reader, &mut reading);
            }
        }
        reading
    }

    fn note_network(&self, container: &ContainerInfo, readable: bool) {
        if readable {
            self.status.clear("container network", &container.name);
        } else {
            let reason = "its procfs entry is not visible: run the agent with `pid: host`".to_owned();
            self.status.set("container network", &container.name, reason);
        }
    }

    fn note_open_files(&self, readings: &[Reading]) {
        let hidden = |reading: &&Reading| reading.processes.is_some() && reading.open_files.is_none();
        match readings.iter().filter(hidden).count() {
            0 => self.status.clear(AREA, "open files"),
            count => {
                let reason = format!(
                    "only root may look into other users' processes: container_file_descriptors and container_sockets \
                     of {count} containers are absent"
                );
                self.status.set(AREA, "open files", reason);
            }
        }
    }

    fn read_processes(&self, tree: &CgroupTree, pid: u32, reader: &mut GroupReader, reading: &mut Reading) {
        const LIMIT: usize = 10_000;
        let Some(pids) = tree.processes(&reading.group, reader, LIMIT) else { return };
        // Processes of another namespace are shown as 0: their number is right all the same.
        reading.processes = Some(pids.len());
        reading.open_files = processes::open_files(&self.roots, &pids);
        reading.max_open_files = processes::max_open_files(&self.roots, pid);
    }

    /// Docker without cgroups answers with the numbers of the group that it runs in itself.
    fn note_groups(&self, without_groups: bool) {
        if without_groups {
            let reason =
                "Docker runs rootless without cgroups: CPU, memory and I/O of its containers are absent";
            self.status.set(AREA, "container cgroups", reason.to_owned());
        } else {
            self.status.clear(AREA, "container cgroups");
        }
    }

    /// Asks the API for what the files did not tell of running containers.
    async fn fill_from_api(&self, readings: &mut [Reading]) {
        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (idx, reading) in readings.iter().enumerate() {
            let Some(container) = &reading.container else { continue };
            let no_network =
                self.options.has("network") && !container.shares_network && reading.network.is_empty();
            let missing = reading.stats.cpu.is_none() || reading.stats.memory.is_none() || no_network;
            if container.is_running() && missing && self.inventory.borrow().connected {
                wanted.push((idx, container.id.clone()));
            }
        }
        wanted.truncate(API_CALLS_MAX);
        let without_groups = self.inventory.borrow().without_groups;
        self.note_groups(without_groups);
        let answers: BTreeMap<usize, ApiReading> = futures::stream::iter(wanted)
            .map(|(idx, id)| async move {
                (idx, self.link.stats(&id).await.map(|answer| api_stats::convert(answer, without_groups)))
            })
            .buffer_unordered(API_CONCURRENCY)
            .filter_map(|(idx, answer)| std::future::ready(answer.map(|answer| (idx, answer))))
            .collect()
            .await;
        for (idx, answer) in answers {
            let reading = &mut readings[idx];
            let shares = reading.container.as_ref().is_some_and(|container| container.shares_network);
            if reading.network.is_empty() && !shares {
                reading.network = answer.network;
            }
            let stats = &mut reading.stats;
            stats.cpu = stats.cpu.take().or(answer.stats.cpu);
            stats.memory = stats.memory.or(answer.stats.memory);
            stats.pids = stats.pids.or(answer.stats.pids);
            stats.limits.memory = stats.limits.memory.or(answer.stats.limits.memory);
            if stats.io.is_empty() {
                stats.io = answer.stats.io;
            }
        }
    }
}

/// The root group of version 2 has no memory files: the machine's own figures stand in.
fn root_memory(roots: &Roots) -> Option<MemoryUse> {
    let fields = crate::host::parse_meminfo(&read_text(&roots.proc("meminfo")).ok()?);
    let field = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1);
    let usage = field("MemTotal_bytes")? - field("MemFree_bytes")?;
    let inactive_file = field("Inactive_file_bytes");
    Some(MemoryUse {
        usage,
        working_set: (usage - inactive_file.unwrap_or(0.0)).max(0.0),
        rss: field("AnonPages_bytes"),
        cache: field("Cached_bytes"),
        mapped_file: field("Mapped_bytes"),
        active_file: field("Active_file_bytes"),
        inactive_file,
        ..MemoryUse::default()
    })
}

/// What the containers live on.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    machine: Machine,
    /// The names of block devices by number.
    pub(super) devices: HashMap<(u64, u64), String>,
    /// The space of the machine's real file systems, by device.
    pub(super) file_systems: Vec<(String, FsSizes)>,
}

impl Surroundings {
    fn read(roots: &Roots, options: &ContainerOptions) -> Self {
        let file_systems =
            if options.has("disk") && !options.disable_root { real_fs(roots) } else { Vec::new() };
        Self { machine: Machine::read(roots, options), devices: block_devices(roots), file_systems }
    }
}

/// Local file systems only: these do not hang.
fn real_fs(roots: &Roots) -> Vec<(String, FsSizes)> {
    let text = read_text(&roots.proc("1/mountinfo")).unwrap_or_default();
    let mut found: Vec<(String, FsSizes)> = Vec::new();
    for mount in crate::host::parse_mountinfo(&text) {
        let known = found.iter().any(|(device, _)| *device == mount.device);
        if known || !REAL_FS_TYPES.contains(&mount.fs_type.as_str()) {
            continue;
        }
        if let Ok(sizes) = crate::host::statvfs(&roots.host_path(&mount.mount_point)) {
            found.push((mount.device, sizes));
        }
    }
    found
}

/// The names of block devices by number.
fn block_devices(roots: &Roots) -> HashMap<(u64, u64), String> {
    let text = read_text(&roots.proc("diskstats")).unwrap_or_default();
    crate::host::parse_diskstats(&text)
        .into_iter()
        .map(|disk| ((u64::from(disk.major), u64::from(disk.minor)), format!("/dev/{}", disk.device)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_kept_when_a_container_starts_again() {
        let mut count = OomCount::default();
        assert_eq!(count.observe(Some(0), 0, false), 0);
        assert_eq!(count.observe(Some(2), 0, false), 2);
        assert_eq!(count.observe(None, 2, true), 2);
        assert_eq!(count.observe(Some(0), 2, false), 2);
        assert_eq!(count.observe(Some(1), 3, false), 3);
        assert_eq!(OomCount::default().observe(None, 0, true), 1);
    }
}
