//! Where the machine's files are seen from here, and reading the small ones that the kernel makes up.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest kernel file that is read; none that we know comes near.
const KERNEL_FILE_BYTES_MAX: u64 = 4 << 20;

/// The three trees of the machine that is watched. In a container they lie below `/rootfs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The machine's root directory.
    pub rootfs: PathBuf,
    /// Its procfs.
    pub procfs: PathBuf,
    /// Its sysfs.
    pub sysfs: PathBuf,
}

impl Roots {
    /// The trees as given, else as found: `/rootfs` where the machine's root is mounted there, else `/`.
    pub fn detect(rootfs: Option<&Path>, procfs: Option<&Path>, sysfs: Option<&Path>) -> Self {
        let rootfs = match rootfs {
            Some(path) => path.to_path_buf(),
            None if Path::new("/rootfs/proc/1").exists() => PathBuf::from("/rootfs"),
            None => PathBuf::from("/"),
        };
        let under_root = |name: &str, given: Option<&Path>, probe: &str| match given {
            Some(path) => path.to_path_buf(),
            None if rootfs.join(name).join(probe).exists() => rootfs.join(name),
            None => Path::new("/").join(name),
        };
        let procfs = under_root("proc", procfs, "1");
        let sysfs = under_root("sys", sysfs, "class");
        Self { rootfs, procfs, sysfs }
    }

    /// A file of procfs.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        self.procfs.join(name)
    }

    /// A file of sysfs.
    pub(crate) fn sys(&self, name: &str) -> PathBuf {
        self.sysfs.join(name)
    }

    /// A network file of the machine: that of process 1, as ours are another namespace's in a container.
    pub(crate) fn net(&self, name: &str) -> PathBuf {
        let of_init = self.procfs.join("1/net").join(name);
        if of_init.exists() { of_init } else { self.procfs.join("net").join(name) }
    }

    /// A path of the machine as seen from here.
    pub(crate) fn host_path(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }

    /// Whether the machine is seen from within a container.
    pub(crate) fn is_container(&self) -> bool {
        self.rootfs != Path::new("/")
    }
}

/// Reads a file that the kernel makes up, as text; bytes that are no UTF-8 are replaced.
#[expect(
    clippy::disallowed_methods,
    reason = "procfs and sysfs are read where they are; no store is behind them"
)]
pub(crate) fn read_into(path: &Path, buf: &mut Vec<u8>) -> io::Result<()> {
    buf.clear();
    std::fs::File::open(path)?.take(KERNEL_FILE_BYTES_MAX).read_to_end(buf)?;
    Ok(())
}

/// Reads a kernel file into a new string.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut buf = Vec::new();
    read_into(path, &mut buf)?;
    Ok(match String::from_utf8(buf) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// A file with one value: its text without the surrounding blanks.
pub(crate) fn read_trimmed(path: &Path) -> Option<String> {
    read_text(path).ok().map(|text| text.trim().to_owned())
}

/// A file with one number.
pub(crate) fn read_number(path: &Path) -> Option<f64> {
    read_trimmed(path)?.parse().ok()
}

/// The names in a directory, sorted.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
