//! Settings of the container metrics.

use std::collections::BTreeSet;

/// The names of metric sets, as cAdvisor's flags have them.
pub(crate) const METRIC_SETS: &[&str] = &[
    "advtcp",
    "app",
    "cpu",
    "cpuLoad",
    "cpu_topology",
    "cpuset",
    "disk",
    "diskIO",
    "hugetlb",
    "memory",
    "memory_numa",
    "network",
    "oom_event",
    "percpu",
    "perf_event",
    "pressure",
    "process",
    "referenced_memory",
    "resctrl",
    "sched",
    "tcp",
    "udp",
];

/// The sets that are off unless `--disable_metrics` or `--enable_metrics` says otherwise.
pub(crate) const DEFAULT_OFF_SETS: &[&str] = &[
    "advtcp",
    "app",
    "cpuLoad",
    "cpu_topology",
    "cpuset",
    "hugetlb",
    "memory_numa",
    "percpu",
    "perf_event",
    "referenced_memory",
    "resctrl",
    "sched",
    "tcp",
    "udp",
];

/// Which container metrics are shown, with which labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerOptions {
    /// The metric sets that are on.
    pub sets: BTreeSet<String>,
    /// Whether all container labels become metric labels; otherwise those of compose's identity only.
    pub all_labels: bool,
    /// Container labels that become metric labels where `all_labels` is off.
    pub label_whitelist: Vec<String>,
    /// Prefixes of environment variables that become metric labels.
    pub env_whitelist: Vec<String>,
    /// Whether samples carry the time they were taken at.
    pub timestamps: bool,
    /// Whether cgroups that are no container are left out (the root is always there).
    pub docker_only: bool,
    /// Whether the root cgroup is left out.
    pub disable_root: bool,
    /// Files that may hold the machine's id, first one wins.
    pub machine_id_files: Vec<String>,
    /// Files that may hold the boot's id, first one wins.
    pub boot_id_files: Vec<String>,
}

impl Default for ContainerOptions {
    fn default() -> Self {
        let on = METRIC_SETS.iter().filter(|set| !DEFAULT_OFF_SETS.contains(set));
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            sets: on.map(|set| (*set).to_owned()).collect(),
            all_labels: false,
            label_whitelist: Vec::new(),
            env_whitelist: Vec::new(),
            timestamps: false,
            docker_only: true,
            disable_root: false,
            machine_id_files: owned(&["/etc/machine-id", "/var/lib/dbus/machine-id"]),
            boot_id_files: owned(&["/proc/sys/kernel/random/boot_id"]),
        }
    }
}

impl ContainerOptions {
    /// Whether a metric set is on.
    pub(crate) fn has(&self, set: &str) -> bool {
        self.sets.contains(set)
    }
}
