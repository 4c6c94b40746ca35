//! The file system as the stores see it: append-only files, positioned reads, directories with their own sync.
//!
//! Every operation blocks; callers run on threads that may. Nothing here retries or hides an error.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file system. Paths are as the caller's configuration has them.
pub trait Fs: Debug + Send + Sync {
    /// Opens an existing file for reading at positions.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>>;

    /// Maps an existing file's present content for reading. The file must not be changed while it is mapped:
    /// only immutable files (blocks, segments) are opened so.
    fn map(&self, path: &Path) -> io::Result<Arc<dyn Mapped>>;

    /// Reads a whole file of at most `limit` bytes; a larger one is an `InvalidData` error.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Creates a file that must not exist and opens it for appending.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens an existing file for appending at its end.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Renames a file or directory, replacing a file of the new name. Durable after `sync_dir` of both parents.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// A file's length in bytes; `NotFound` where there is none.
    fn file_len(&self, path: &Path) -> io::Result<u64>;

    /// Creates a second name for a file.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on `path`, created where missing; `WouldBlock` where another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;

    /// Free and total space of the file system that holds `path`.
    fn disk_space(&self, path: &Path) -> io::Result<DiskSpace>;

    /// Whether `path` exists.
    fn exists(&self, path: &Path) -> bool {
        match self.file_len(path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(_) => self.read_dir(path).is_ok(),
        }
    }

    /// Creates a directory and its missing parents, and makes their names durable.
    fn create_dir_durable(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !self.exists(ancestor))
            .collect();
        self.create_dir_all(path)?;
        for directory in missing.into_iter().rev() {
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            self.sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    /// Writes a file whole or not at all: `<path>.tmp`, sync, rename, sync of the directory.
    fn write_atomic(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        match self.remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.create_new(&temporary)?;
        file.append(content)?;
        file.sync()?;
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// A file open for reading.
pub trait ReadAt: Debug + Send + Sync {
    /// Fills `buf` from `offset` on; `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A file open for appending.
pub trait AppendFile: Debug + Send {
    /// Appends all of `data`. After an error the file may end with a part of it: cut it back with `truncate`.
    fn append(&mut self, data: &[u8]) -> io::Result<()>;

    /// Makes what was appended durable (fdatasync). After an error nothing unsynced may be trusted, ever.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes; appending goes on there.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> u64;

    /// Whether the file has no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file's content in memory.
pub trait Mapped: Debug + Send + Sync {
    /// The content.
    fn bytes(&self) -> &[u8];
}

/// A lock that ends when it is dropped.
pub trait FileLock: Debug + Send + Sync {}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The entry's name, without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// A file's length in bytes.
    pub len: u64,
}

/// Space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What this process may still write.
    pub available: u64,
    /// The file system's size.
    pub total: u64,
}
