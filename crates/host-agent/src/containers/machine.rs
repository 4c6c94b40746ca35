//! What the machine is: `machine_*`, and the root cgroup's place among the containers.

use std::collections::BTreeSet;

use super::options::ContainerOptions;
use crate::files::{Roots, names_in, read_text, read_trimmed};
use crate::page::{Kind, LabelBlock, Page};

/// The machine's size and identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    cores: usize,
    physical_cores: usize,
    sockets: usize,
    memory_bytes: Option<f64>,
    swap_bytes: Option<f64>,
    machine_id: String,
    boot_id: String,
    system_uuid: String,
}

impl Machine {
    pub(super) fn read(roots: &Roots, options: &ContainerOptions) -> Self {
        let cpus = names_in(&roots.sys("devices/system/cpu")).unwrap_or_default();
        let cpus: Vec<&String> = cpus
            .iter()
            .filter(|name| {
                name.strip_prefix("cpu")
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .collect();
        let mut cores = BTreeSet::new();
        let mut sockets = BTreeSet::new();
        for cpu in &cpus {
            let topology = roots.sys("devices/system/cpu").join(cpu).join("topology");
            let package = read_trimmed(&topology.join("physical_package_id"));
            if let (Some(package), Some(core)) = (package, read_trimmed(&topology.join("core_id"))) {
                cores.insert((package.clone(), core));
                sockets.insert(package);
            }
        }
        let meminfo = read_text(&roots.proc("meminfo")).unwrap_or_default();
        let meminfo = crate::host::parse_meminfo(&meminfo);
        let field = |name: &str| meminfo.iter().find(|field| field.0 == name).map(|field| field.1);
        let first = |paths: &[String]| {
            paths.iter().find_map(|path| match path.strip_prefix("/proc/") {
                Some(rest) => read_trimmed(&roots.proc(rest)),
                None => read_trimmed(&roots.host_path(path)),
            })
        };
        Self {
            cores: cpus.len(),
            physical_cores: cores.len(),
            sockets: sockets.len(),
            memory_bytes: field("MemTotal_bytes"),
            swap_bytes: field("SwapTotal_bytes"),
            machine_id: first(&options.machine_id_files).unwrap_or_default(),
            boot_id: first(&options.boot_id_files).unwrap_or_default(),
            system_uuid: read_trimmed(&roots.sys("class/dmi/id/product_uuid")).unwrap_or_default(),
        }
    }

    pub(super) fn render(&self, page: &mut Page) {
        let block = LabelBlock::new([
            ("boot_id", self.boot_id.as_str()),
            ("machine_id", self.machine_id.as_str()),
            ("system_uuid", self.system_uuid.as_str()),
        ]);
        let mut gauge = |name: &'static str, help: &'static str, value: Option<f64>| {
            if let Some(value) = value {
                page.family(name, Kind::Gauge, help).add_to_block(&block, &[], value, None);
            }
        };
        let count = |count: usize| (count > 0).then_some(count as f64);
        gauge("machine_cpu_cores", "Logical CPU cores.", count(self.cores));
        gauge("machine_cpu_physical_cores", "Physical CPU cores.", count(self.physical_cores));
        gauge("machine_cpu_sockets", "CPU sockets.", count(self.sockets));
        gauge("machine_memory_bytes", "Memory in bytes.", self.memory_bytes);
        gauge("machine_swap_bytes", "Swap in bytes.", self.swap_bytes);
    }
}
