//! File systems: sizes by statvfs, each call on a thread of its own so that a dead NFS server cannot hold up a scrape.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::{CollectError, HostContext, matches};
use crate::files::read_text;
use crate::page::{Kind, Page};

/// How many statvfs calls may hang at the same time; a mount beyond that is reported as failed without being asked.
const STUCK_MAX: usize = 16;

/// A line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `major:minor`.
    pub(crate) device_number: String,
    /// Where it is mounted, as the machine sees it.
    pub(crate) mount_point: String,
    /// The file system's type.
    pub(crate) fs_type: String,
    /// What is mounted.
    pub(crate) device: String,
    /// Whether the mount or its file system is read-only.
    pub(crate) read_only: bool,
}

/// Sizes of a file system, in bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FsSizes {
    pub(crate) size: f64,
    pub(crate) free: f64,
    pub(crate) available: f64,
    pub(crate) files: f64,
    pub(crate) files_free: f64,
}

/// Asks for the sizes of mounts and remembers those that do not answer.
#[derive(Debug)]
pub(super) struct MountProbe {
    timeout: Duration,
    stuck: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl MountProbe {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, stuck: Arc::default() }
    }

    /// The sizes of all `paths`, or why they are not known. Waits `timeout` in all.
    fn sizes(&self, paths: &[PathBuf]) -> Vec<Result<FsSizes, String>> {
        let (sender, receiver) = channel();
        let mut answers: Vec<Result<FsSizes, String>> =
            vec![Err("mountpoint timeout".to_owned()); paths.len()];
        let mut asked: Vec<(usize, PathBuf)> = Vec::new();
        {
            let mut stuck = self.stuck.lock();
            for (idx, path) in paths.iter().enumerate() {
                if !stuck.contains(path) && stuck.len() < STUCK_MAX {
                    asked.push((idx, path.clone()));
                }
            }
            stuck.extend(asked.iter().map(|(_, path)| path.clone()));
        }
        let mut waiting = asked.len();
        let stuck = Arc::clone(&self.stuck);
        // One thread asks in turn; where a mount hangs, the thread stays with it and those after it wait for the next
        // scrape, when that mount is known to hang and is passed over.
        let worker = move || {
            let mut rest = asked.into_iter();
            for (idx, path) in rest.by_ref() {
                let answer = statvfs(&path);
                stuck.lock().remove(&path);
                if sender.send((idx, answer)).is_err() {
                    break;
                }
            }
            for (_, path) in rest {
                stuck.lock().remove(&path);
            }
        };
        if std::thread::Builder::new().name("statvfs".to_owned()).spawn(worker).is_err() {
            return answers;
        }
        while waiting > 0 {
            match receiver.recv_timeout(self.timeout) {
                Ok((idx, answer)) => answers[idx] = answer,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            waiting -= 1;
        }
        answers
    }
}

/// The sizes of the file system that holds `path`.
pub(crate) fn statvfs(path: &std::path::Path) -> Result<FsSizes, String> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| errno.to_string())?;
    let block = stat.f_frsize as f64;
    Ok(FsSizes {
        size: stat.f_blocks as f64 * block,
        free: stat.f_bfree as f64 * block,
        available: stat.f_bavail as f64 * block,
        files: stat.f_files as f64,
        files_free: stat.f_ffree as f64,
    })
}

/// Reads mountinfo; a mount point that is mounted over shows only what was mounted last.
pub(crate) fn parse_mountinfo(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        if left.len() < 6 || right.len() < 3 {
            continue;
        }
        let read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let mount = Mount {
            device_number: left[2].to_owned(),
            mount_point: unescape(left[4]),
            fs_type: right[0].to_owned(),
            device: unescape(right[1]),
            read_only: read_only(left[5]) || read_only(right[2]),
        };
        mounts.retain(|earlier| earlier.mount_point != mount.mount_point);
        mounts.push(mount);
    }
    mounts
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\040` and so on.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut idx = 0;
    while idx < bytes.len() {
        let octal = (bytes[idx] == b'\\')
            .then(|| bytes.get(idx + 1..idx + 4))
            .flatten()
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0_u8, |n, d| n.wrapping_mul(8).wrapping_add(d - b'0')));
                idx += 4;
            }
            None => {
                out.push(bytes[idx]);
                idx += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The mounts of the machine that the filters leave.
fn wanted_mounts(ctx: &HostContext) -> Result<Vec<Mount>, CollectError> {
    let of_init = ctx.roots.proc("1/mountinfo");
    let text = match read_text(&of_init) {
        Ok(text) => text,
        // Ours would be the container's: wrong numbers are worse than none.
        Err(source) if ctx.roots.is_container() => return Err(CollectError::Read { path: of_init, source }),
        Err(_) => ctx.read(&ctx.roots.proc("self/mountinfo"))?,
    };
    let filters = &ctx.options.filters;
    let mut mounts = parse_mountinfo(&text);
    mounts.retain(|mount| {
        !matches(filters.mounts_exclude.as_ref(), &mount.mount_point)
            && !matches(filters.fs_types_exclude.as_ref(), &mount.fs_type)
    });
    Ok(mounts)
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let mounts = wanted_mounts(ctx)?;
    let paths: Vec<PathBuf> = mounts.iter().map(|mount| ctx.roots.host_path(&mount.mount_point)).collect();
    let sizes = ctx.mounts.sizes(&paths);
    for (mount, sizes) in mounts.iter().zip(sizes) {
        render(mount, &sizes, page);
    }
    Ok(())
}

fn render(mount: &Mount, sizes: &Result<FsSizes, String>, page: &mut Page) {
    let error = sizes.as_ref().err().map_or("", String::as_str);
    let labels = [
        ("device", mount.device.as_str()),
        ("device_error", error),
        ("fstype", mount.fs_type.as_str()),
        ("mountpoint", mount.mount_point.as_str()),
    ];
    let mut gauge = |name: &'static str, help: &'static str, value: f64| {
        page.family(name, Kind::Gauge, help).add(&labels, value);
    };
    gauge(
        "node_filesystem_device_error",
        "Whether the file system's sizes are unknown.",
        f64::from(sizes.is_err()),
    );
    gauge("node_filesystem_readonly", "Whether the file system is read-only.", f64::from(mount.read_only));
    if let Ok(sizes) = sizes {
        gauge("node_filesystem_size_bytes", "Size in bytes.", sizes.size);
        gauge("node_filesystem_free_bytes", "Free bytes.", sizes.free);
        gauge("node_filesystem_avail_bytes", "Free bytes for those who are not root.", sizes.available);
        gauge("node_filesystem_files", "File nodes in all.", sizes.files);
        gauge("node_filesystem_files_free", "Free file nodes.", sizes.files_free);
    }
    let (major, minor) = mount.device_number.split_once(':').unwrap_or(("", ""));
    let labels = [
        ("device", mount.device.as_str()),
        ("major", major),
        ("minor", minor),
        ("mountpoint", mount.mount_point.as_str()),
    ];
    page.family("node_filesystem_mount_info", Kind::Gauge, "The device numbers of a mount.")
        .add(&labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_read() {
        let text = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=x\n\
            23 22 0:20 / /mnt/a\\040b ro,nosuid - nfs4 server:/x rw\nbroken\n\
            24 22 0:21 / /mnt/a\\040b rw - tmpfs tmpfs ro\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].fs_type.as_str(), mounts[0].read_only), ("ext4", false));
        assert_eq!((mounts[1].mount_point.as_str(), mounts[1].read_only), ("/mnt/a b", true));
    }

    #[test]
    fn a_failed_statvfs_is_an_error_and_no_zero() {
        let probe = MountProbe::new(Duration::from_secs(5));
        let answers = probe.sizes(&[PathBuf::from("/"), PathBuf::from("/does/not/exist")]);
        assert!(answers[0].as_ref().is_ok_and(|sizes| sizes.size > 0.0));
        assert!(answers[1].is_err());
    }
}
