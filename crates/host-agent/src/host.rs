//! Host metrics under node_exporter's names: one collector per file, each isolated from the failures of the others.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use go_regex::Regex;
use parking_lot::Mutex;
use sys::Clock;

use crate::files::{Roots, read_text};
use crate::page::{Kind, Page};
use crate::status::StatusBoard;

mod cpu;
mod diskstats;
mod filefd;
mod filesystem;
mod hwmon;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod pressure;
mod sockstat;
mod stat;
mod textfile;
mod thermal;
mod time;
mod uname;
mod vmstat;

pub(crate) use diskstats::parse as parse_diskstats;
pub(crate) use filesystem::{FsSizes, parse_mountinfo, statvfs};
pub(crate) use meminfo::parse as parse_meminfo;
pub(crate) use netdev::parse as parse_net_dev;
pub(crate) use pressure::parse as parse_pressure;

/// Why a collector has nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CollectError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not look as expected.
    #[error("{} does not look as expected: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The kernel offers nothing of the kind.
    #[error("no data: {what}")]
    NoData {
        /// What is missing.
        what: String,
    },
}

/// Settings of the host collectors.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Collectors that are on beside the defaults.
    pub enabled: BTreeSet<String>,
    /// Collectors that are off.
    pub disabled: BTreeSet<String>,
    /// Whether only `enabled` ones run.
    pub disable_defaults: bool,
    /// Directories (with `*` and `?`) of `*.prom` files.
    pub textfile_directories: Vec<String>,
    /// How long statvfs of one file system may take.
    pub mount_timeout: Duration,
    /// Which devices, mounts and fields are left out or taken.
    pub filters: HostFilters,
}

/// Patterns over devices, mounts and fields. `None` as an include takes all.
#[derive(Clone, Debug)]
pub struct HostFilters {
    /// Block devices that are left out.
    pub diskstats_exclude: Option<Regex>,
    /// Block devices that alone are taken.
    pub diskstats_include: Option<Regex>,
    /// Mount points that are left out.
    pub mounts_exclude: Option<Regex>,
    /// File system types that are left out.
    pub fs_types_exclude: Option<Regex>,
    /// Network devices that are left out.
    pub netdev_exclude: Option<Regex>,
    /// Network devices that alone are taken.
    pub netdev_include: Option<Regex>,
    /// Network devices without `node_network_*` attributes.
    pub netclass_exclude: Option<Regex>,
    /// Keys of /proc/vmstat that are taken.
    pub vmstat_fields: Option<Regex>,
    /// Keys of /proc/net/netstat, snmp and snmp6 that are taken.
    pub netstat_fields: Option<Regex>,
}

/// The default patterns, as node_exporter documents them.
pub(crate) const DISKSTATS_EXCLUDE: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
pub(crate) const MOUNTS_EXCLUDE: &str =
    r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
pub(crate) const FS_TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|\
    fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|\
    erofs|sysfs|tracefs)$";
pub(crate) const VMSTAT_FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";
pub(crate) const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|\
    Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
    Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
    Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

impl HostFilters {
    /// The default patterns.
    ///
    /// # Errors
    /// Where one of them does not compile, which a test rules out.
    pub fn defaults() -> Result<Self, go_regex::RegexError> {
        Ok(Self {
            diskstats_exclude: Some(Regex::new(DISKSTATS_EXCLUDE)?),
            diskstats_include: None,
            mounts_exclude: Some(Regex::new(MOUNTS_EXCLUDE)?),
            fs_types_exclude: Some(Regex::new(FS_TYPES_EXCLUDE)?),
            netdev_exclude: None,
            netdev_include: None,
            netclass_exclude: None,
            vmstat_fields: Some(Regex::new(VMSTAT_FIELDS)?),
            netstat_fields: Some(Regex::new(NETSTAT_FIELDS)?),
        })
    }
}

impl HostOptions {
    /// Default collectors and patterns.
    ///
    /// # Errors
    /// As [`HostFilters::defaults`].
    pub fn defaults() -> Result<Self, go_regex::RegexError> {
        Ok(Self {
            enabled: BTreeSet::new(),
            disabled: BTreeSet::new(),
            disable_defaults: false,
            textfile_directories: Vec::new(),
            mount_timeout: Duration::from_secs(5),
            filters: HostFilters::defaults()?,
        })
    }
}

/// What a collector reads and remembers.
#[derive(Debug)]
pub(crate) struct HostContext {
    pub(crate) roots: Roots,
    pub(crate) options: HostOptions,
    pub(crate) clock: Arc<dyn Clock>,
    cpu: Mutex<cpu::CpuMemory>,
    mounts: filesystem::MountProbe,
    /// The machine's own name, where it is known from elsewhere than uname (which answers for our namespace).
    pub(crate) nodename: Mutex<Option<String>>,
}

impl HostContext {
    fn read(&self, path: &Path) -> Result<String, CollectError> {
        read_text(path).map_err(|source| CollectError::Read { path: path.to_path_buf(), source })
    }
}

/// A filter that an optional pattern makes: `None` matches nothing.
fn matches(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(text))
}

/// One collector: its name as flags and labels have it, and what it does.
struct Collector {
    name: &'static str,
    default_on: bool,
    collect: fn(&HostContext, &mut Page) -> Result<(), CollectError>,
}

/// In order of name.
const COLLECTORS: &[Collector] = &[
    Collector { name: "cpu", default_on: true, collect: cpu::collect },
    Collector { name: "diskstats", default_on: true, collect: diskstats::collect },
    Collector { name: "filefd", default_on: true, collect: filefd::collect },
    Collector { name: "filesystem", default_on: true, collect: filesystem::collect },
    Collector { name: "hwmon", default_on: true, collect: hwmon::collect },
    Collector { name: "loadavg", default_on: true, collect: loadavg::collect },
    Collector { name: "meminfo", default_on: true, collect: meminfo::collect },
    Collector { name: "netclass", default_on: true, collect: netclass::collect },
    Collector { name: "netdev", default_on: true, collect: netdev::collect },
    Collector { name: "netstat", default_on: true, collect: netstat::collect },
    Collector { name: "os", default_on: true, collect: os::collect },
    Collector { name: "pressure", default_on: true, collect: pressure::collect },
    Collector { name: "sockstat", default_on: true, collect: sockstat::collect },
    Collector { name: "stat", default_on: true, collect: stat::collect },
    Collector { name: "textfile", default_on: true, collect: textfile::collect },
    Collector { name: "thermal_zone", default_on: true, collect: thermal::collect },
    Collector { name: "time", default_on: true, collect: time::collect },
    Collector { name: "uname", default_on: true, collect: uname::collect },
    Collector { name: "vmstat", default_on: true, collect: vmstat::collect },
];

/// Names of node_exporter's collectors that are accepted as flags and not built here.
pub(crate) const UNBUILT_COLLECTORS: &[&str] = &[
    "arp",
    "bcache",
    "bonding",
    "btrfs",
    "buddyinfo",
    "cgroups",
    "conntrack",
    "cpufreq",
    "dmi",
    "drbd",
    "drm",
    "edac",
    "entropy",
    "ethtool",
    "fibrechannel",
    "infiniband",
    "interrupts",
    "ipvs",
    "kernel_hung",
    "ksmd",
    "lnstat",
    "logind",
    "mdadm",
    "meminfo_numa",
    "mountstats",
    "network_route",
    "nfs",
    "nfsd",
    "ntp",
    "nvme",
    "perf",
    "powersupplyclass",
    "processes",
    "qdisc",
    "rapl",
    "runit",
    "schedstat",
    "selinux",
    "slabinfo",
    "softirqs",
    "softnet",
    "supervisord",
    "sysctl",
    "systemd",
    "tapestats",
    "tcpstat",
    "timex",
    "udp_queues",
    "watchdog",
    "wifi",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
    "dmmultipath",
    "swap",
    "pcidevice",
    "bcachefs",
];

/// The names of all collectors that are built.
pub(crate) fn collector_names() -> impl Iterator<Item = &'static str> {
    COLLECTORS.iter().map(|collector| collector.name)
}

/// Which collectors one scrape asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CollectorSelection {
    /// Only these, where any is named.
    pub(crate) only: Vec<String>,
    /// Not these.
    pub(crate) except: Vec<String>,
}

/// The host collectors of one agent.
#[derive(Debug)]
pub(crate) struct HostCollectors {
    context: HostContext,
    status: Arc<StatusBoard>,
}

impl HostCollectors {
    pub(crate) fn new(
        roots: Roots,
        options: HostOptions,
        clock: Arc<dyn Clock>,
        status: Arc<StatusBoard>,
    ) -> Self {
        let mounts = filesystem::MountProbe::new(options.mount_timeout);
        let context =
            HostContext { roots, options, clock, cpu: Mutex::default(), mounts, nodename: Mutex::new(None) };
        Self { context, status }
    }

    /// Tells the machine's own name, which from within a container only others know.
    pub(crate) fn set_nodename(&self, nodename: String) {
        *self.context.nodename.lock() = Some(nodename);
    }

    /// Runs the collectors; blocks on the file system.
    pub(crate) fn collect(&self, selection: &CollectorSelection, page: &mut Page) {
        page.family("node_exporter_build_info", Kind::Gauge, "The version of what exports these metrics.")
            .add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        for collector in COLLECTORS.iter().filter(|collector| self.wanted(collector, selection)) {
            let start = self.context.clock.monotonic();
            let outcome = (collector.collect)(&self.context, page);
            let seconds = (self.context.clock.monotonic().saturating_sub(start)).as_secs_f64();
            let labels = [("collector", collector.name)];
            page.family("node_scrape_collector_duration_seconds", Kind::Gauge, "How long a collector took.")
                .add(&labels, seconds);
            let success = if outcome.is_ok() { 1.0 } else { 0.0 };
            page.family("node_scrape_collector_success", Kind::Gauge, "Whether a collector succeeded.")
                .add(&labels, success);
            match outcome {
                Ok(()) | Err(CollectError::NoData { .. }) => {
                    self.status.clear("host metrics", collector.name)
                }
                Err(error) => {
                    self.status.set("host metrics", collector.name, error.to_string());
                }
            }
        }
    }

    fn wanted(&self, collector: &Collector, selection: &CollectorSelection) -> bool {
        let options = &self.context.options;
        let on = (collector.default_on && !options.disable_defaults
            || options.enabled.contains(collector.name))
            && !options.disabled.contains(collector.name);
        let named = |names: &[String]| names.iter().any(|name| name == collector.name);
        on && (selection.only.is_empty() || named(&selection.only)) && !named(&selection.except)
    }
}

#[cfg(test)]
mod tests;
