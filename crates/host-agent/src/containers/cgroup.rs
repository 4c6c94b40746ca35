//! Where cgroups are mounted, which ones there are, and reading one of either version.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::stats::CgroupStats;
use super::{cgroup_v1, cgroup_v2};
use crate::files::{Roots, names_in, read_into};

/// How many cgroups a walk visits, and how deep it goes.
const VISITED_MAX: usize = 5_000;
const DEPTH_MAX: usize = 8;
/// The controllers of version 1 whose files are read.
const V1_CONTROLLERS: [&str; 5] = ["cpu", "cpuacct", "memory", "blkio", "pids"];

/// The mounted hierarchy. A hybrid set-up counts as version 1, as its controllers are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CgroupTree {
    /// A directory per controller.
    V1(HashMap<&'static str, PathBuf>),
    /// One unified directory.
    V2(PathBuf),
    /// Nothing is mounted here.
    Absent,
}

/// Reads small files into one buffer.
#[derive(Debug, Default)]
pub(crate) struct GroupReader {
    buf: Vec<u8>,
}

impl GroupReader {
    /// The text of `dir/name`, if it can be read.
    pub(crate) fn text(&mut self, dir: &Path, name: &str) -> Option<&str> {
        read_into(&dir.join(name), &mut self.buf).ok()?;
        std::str::from_utf8(&self.buf).ok()
    }

    /// The one number of `dir/name`.
    pub(crate) fn number(&mut self, dir: &Path, name: &str) -> Option<f64> {
        self.text(dir, name)?.trim().parse().ok()
    }
}

impl CgroupTree {
    /// Looks for the hierarchy below sysfs.
    pub(crate) fn detect(roots: &Roots) -> Self {
        let base = roots.sys("fs/cgroup");
        if base.join("cgroup.controllers").exists() {
            return Self::V2(base);
        }
        let names = names_in(&base).unwrap_or_default();
        let mut controllers = HashMap::new();
        for controller in V1_CONTROLLERS {
            // Controllers that are mounted together have a directory named `cpu,cpuacct`.
            let dir = names.iter().find(|name| name.split(',').any(|part| part == controller));
            if let Some(dir) = dir {
                controllers.insert(controller, base.join(dir));
            }
        }
        if controllers.is_empty() { Self::Absent } else { Self::V1(controllers) }
    }

    /// The directories to look for groups in.
    fn walk_root(&self) -> Option<&Path> {
        match self {
            Self::V1(controllers) => {
                V1_CONTROLLERS.iter().find_map(|name| controllers.get(name)).map(PathBuf::as_path)
            }
            Self::V2(dir) => Some(dir),
            Self::Absent => None,
        }
    }

    /// Whether the group exists.
    pub(crate) fn exists(&self, group: &str) -> bool {
        self.walk_root().is_some_and(|root| join(root, group).is_dir())
    }

    /// Reads a group; `None` where it does not exist.
    pub(crate) fn read(&self, group: &str, reader: &mut GroupReader) -> Option<CgroupStats> {
        if !self.exists(group) {
            return None;
        }
        match self {
            Self::V1(controllers) => {
                let dir = |name: &str| controllers.get(name).map(|dir| join(dir, group));
                Some(cgroup_v1::read(&dir, reader))
            }
            Self::V2(base) => Some(cgroup_v2::read(&join(base, group), reader)),
            Self::Absent => None,
        }
    }

    /// The processes of a group and of those below it, at most `limit`: a container that has groups of its own, as with systemd
    /// or Docker inside, has its processes there alone.
    pub(crate) fn processes(&self, group: &str, reader: &mut GroupReader, limit: usize) -> Option<Vec<u32>> {
        let dir = join(self.walk_root()?, group);
        let mut found = Vec::new();
        push_processes(reader.text(&dir, "cgroup.procs")?, limit, &mut found);
        let mut below = Vec::new();
        walk(&dir, "", 0, &mut below);
        for child in below {
            // A group that has gone meanwhile has no processes.
            let text = reader.text(&join(&dir, &child), "cgroup.procs").unwrap_or_default();
            push_processes(text, limit, &mut found);
        }
        Some(found)
    }

    /// All groups below the root, parents first.
    pub(crate) fn groups(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(root) = self.walk_root() {
            walk(root, "", 0, &mut found);
        }
        found
    }

    /// The group of a process as `/proc/<pid>/cgroup` tells it.
    pub(crate) fn group_of(&self, proc_cgroup: &str) -> Option<String> {
        let path = proc_cgroup.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let wanted = match self {
                Self::V1(_) => controllers.split(',').any(|name| name == "memory" || name == "cpuacct"),
                Self::V2(_) => controllers.is_empty(),
                Self::Absent => false,
            };
            wanted.then_some(path)
        })?;
        // Seen from another cgroup namespace the path begins with `/..`: of no use here.
        (!path.starts_with("/..")).then(|| path.to_owned())
    }
}

/// The group of container `id` that holds `group`: a process may be in a group that the container has made below its own. `None`
/// where it is not in the path: seen from another cgroup namespace `/` is not the root, but whatever that namespace begins with.
pub(crate) fn container_group<'a>(group: &'a str, id: &str) -> Option<&'a str> {
    let ends = group.match_indices('/').map(|(at, _)| at).skip(1).chain([group.len()]);
    ends.map(|end| &group[..end]).find(|part| container_id(part) == Some(id))
}

/// The container id in a group's name: the last 64 hexadecimal digits of its last part.
pub(crate) fn container_id(group: &str) -> Option<&str> {
    let last = group.rsplit('/').next()?;
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let id = last.get(last.len().checked_sub(64)?..)?;
    let before = &last[..last.len() - 64];
    let is_id =
        id.bytes().all(|byte| byte.is_ascii_hexdigit()) && (before.is_empty() || before.ends_with('-'));
    is_id.then_some(id)
}

fn join(base: &Path, group: &str) -> PathBuf {
    base.join(group.trim_start_matches('/'))
}

fn push_processes(text: &str, limit: usize, found: &mut Vec<u32>) {
    let room = limit.saturating_sub(found.len());
    found.extend(text.lines().filter_map(|line| line.trim().parse::<u32>().ok()).take(room));
}

fn walk(dir: &Path, group: &str, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if found.len() >= VISITED_MAX {
            return;
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let child = format!("{group}/{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        found.push(child.clone());
        if depth < DEPTH_MAX {
            walk(&path, &child, depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_found_in_all_forms() {
        let id = "0123456789abcdef".repeat(4);
        for group in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope"),
            format!("/kubepods/besteffort/podx/cri-containerd-{id}.scope"),
        ] {
            assert_eq!(container_id(&group), Some(id.as_str()), "{group}");
        }
        for group in ["/", "/system.slice/ssh.service", "/docker", "/docker/buildkit"] {
            assert_eq!(container_id(group), None, "{group}");
        }
        assert_eq!(container_id(&format!("/docker/{id}/sub")), None);
    }

    #[test]
    fn a_group_within_a_container_is_the_containers() {
        let id = "0123456789abcdef".repeat(4);
        let scope = format!("/system.slice/docker-{id}.scope");
        let nested = format!("{scope}/init/user.slice/docker-{}.scope", "f".repeat(64));
        assert_eq!(container_group(&nested, &id), Some(scope.as_str()));
        assert_eq!(container_group(&scope, &id), Some(scope.as_str()));
        for foreign in ["", "/", "/system.slice/ssh.service", "no/slash"] {
            assert_eq!(container_group(foreign, &id), None, "{foreign}");
        }
    }

    #[test]
    fn the_group_of_a_process_is_found() {
        let v1 = CgroupTree::V1(HashMap::new());
        let v2 = CgroupTree::V2(PathBuf::new());
        let text = "9:name=systemd:/x\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/docker/v2\n";
        assert_eq!(v1.group_of(text).as_deref(), Some("/docker/abc"));
        assert_eq!(v2.group_of(text).as_deref(), Some("/docker/v2"));
        assert_eq!(v2.group_of("0::/../../docker-x.scope\n"), None);
        assert_eq!(CgroupTree::Absent.group_of(text), None);
    }
}
