//! What procfs says about a container's processes: network traffic, open files, limits.

use crate::files::{Roots, names_in, read_text};
use crate::host::parse_net_dev;

/// How many processes of one container are looked into for open files.
const PROCESSES_MAX: usize = 50;

/// Counters of one interface: bytes, packets, errors, drops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceTraffic {
    pub(crate) interface: String,
    pub(crate) receive: [u64; 4],
    pub(crate) transmit: [u64; 4],
}

/// Open files of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    pub(crate) files: u64,
    pub(crate) sockets: u64,
}

/// The traffic in the network namespace of a process; `None` where it cannot be read.
pub(super) fn traffic(roots: &Roots, pid: u32, wanted: fn(&str) -> bool) -> Option<Vec<InterfaceTraffic>> {
    let text = read_text(&roots.proc(&format!("{pid}/net/dev"))).ok()?;
    let devices = parse_net_dev(&text).into_iter().filter(|device| wanted(&device.name));
    Some(
        devices
            .map(|device| {
                let columns = device.columns;
                InterfaceTraffic {
                    interface: device.name,
                    receive: [columns[0], columns[1], columns[2], columns[3]],
                    transmit: [columns[8], columns[9], columns[10], columns[11]],
                }
            })
            .collect(),
    )
}

/// A container's own interfaces: all but loopback.
pub(super) fn container_interface(name: &str) -> bool {
    name != "lo"
}

/// The machine's interfaces without those that only lead to containers.
pub(super) fn host_interface(name: &str) -> bool {
    name != "lo" && !["veth", "docker", "nerdctl"].iter().any(|prefix| name.starts_with(prefix))
}

/// Open files of all processes; `None` where one may not be looked into: a part is no answer.
pub(super) fn open_files(roots: &Roots, pids: &[u32]) -> Option<OpenFiles> {
    if pids.is_empty() || pids.len() > PROCESSES_MAX {
        return None;
    }
    let mut open = OpenFiles::default();
    for pid in pids {
        let dir = roots.proc(&format!("{pid}/fd"));
        let Ok(names) = names_in(&dir) else {
            // A process that has just ended has nothing open.
            if dir.exists() {
                return None;
            }
            continue;
        };
        open.files += names.len() as u64;
        let is_socket = |name: &String| {
            std::fs::read_link(dir.join(name))
                .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        };
        open.sockets += names.iter().filter(|name| is_socket(name)).count() as u64;
    }
    Some(open)
}

/// The soft limit of open files of a process.
pub(super) fn max_open_files(roots: &Roots, pid: u32) -> Option<f64> {
    let text = read_text(&roots.proc(&format!("{pid}/limits"))).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(-1.0),
        number => number.parse().ok(),
    }
}
