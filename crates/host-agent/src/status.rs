//! What this agent cannot read, and why: shown as JSON and on the Status page, instead of zeros in the metrics.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

/// How many entries are kept; a machine with more trouble than that is shown the first ones.
const ENTRIES_MAX: usize = 500;

/// The present troubles, by area and subject.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard(Mutex<BTreeMap<(&'static str, String), String>>);

/// One thing that is missing from the metrics or logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    /// What is missing: the part of the agent and the thing.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// What to grant, where that is known.
    pub(crate) grant: &'static str,
}

/// What helps against a reason, by a part of its text.
const GRANTS: [(&str, &str); 11] = [
    (
        "group that owns the docker socket",
        "`usermod -aG docker USER` and log in again; in a container set DOCKER_GID to the socket's group",
    ),
    ("Connection refused", "start Docker, if there are containers to watch"),
    ("docker socket", "mount /var/run/docker.sock and add the agent to the group that owns it"),
    (
        "rootless without cgroups",
        "boot with cgroup v2 and delegate its controllers to the user, which rootless Docker needs to measure",
    ),
    ("pid: host", "run the agent's container with pid: host"),
    ("only root may look", "run the agent as root, or do without these two metrics"),
    ("no cgroup files", "mount /sys read-only into the agent's container"),
    ("mountinfo", "mount / read-only at /rootfs, or set --path.rootfs"),
    ("journal", "add the agent to the group systemd-journal, or mount /var/log/journal"),
    (
        "does not support reading",
        "run the container with one of Docker's log drivers json-file, local and journald",
    ),
    ("ermission denied", "give the agent's user the right to read it"),
];

impl StatusBoard {
    /// Notes that `subject` cannot be read. Says whether that is news.
    pub(crate) fn set(&self, area: &'static str, subject: &str, reason: String) -> bool {
        let mut entries = self.0.lock();
        let key = (area, subject.to_owned());
        if entries.get(&key) == Some(&reason) || (!entries.contains_key(&key) && entries.len() >= ENTRIES_MAX)
        {
            return false;
        }
        let new = !entries.contains_key(&key);
        entries.insert(key, reason);
        new
    }

    /// Notes that `subject` can be read.
    pub(crate) fn clear(&self, area: &'static str, subject: &str) {
        let mut entries = self.0.lock();
        if !entries.is_empty() {
            entries.remove(&(area, subject.to_owned()));
        }
    }

    /// All that is missing now, in order of area and subject.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        let entries = self.0.lock();
        let entry = |((area, subject), reason): (&(&'static str, String), &String)| Missing {
            what: format!("{area}: {subject}"),
            why: reason.clone(),
            grant: GRANTS.iter().find(|(part, _)| reason.contains(part)).map_or("", |(_, grant)| grant),
        };
        entries.iter().map(entry).collect()
    }
}
