//! The operating system's files. The one place that maps files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::fs::{AppendFile, DirEntry, DiskSpace, FileLock, Fs, Mapped, ReadAt};

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl Fs for RealFs {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(RealFile { file: open(path)? }))
    }

    #[expect(unsafe_code, reason = "mapping immutable files is what keeps indexes out of the heap")]
    fn map(&self, path: &Path) -> io::Result<Arc<dyn Mapped>> {
        let file = open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Arc::new(EmptyMap));
        }
        // SAFETY: the trait's contract is that only immutable files are mapped; another process that truncates one under
        // us would raise SIGBUS, which no user-space check can prevent. Mapped data is checksummed by its readers.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Arc::new(RealMap { map }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            let message = format!("{} is larger than {limit} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(content)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(RealAppendFile { file, len: 0 }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        let len = file.metadata()?.len();
        Ok(Box::new(RealAppendFile { file, len }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // An entry may be gone between listing and looking: that is not an error of the directory.
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, is_dir: metadata.is_dir(), len: metadata.len() });
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        open(path)?.sync_all()
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    #[expect(unsafe_code, reason = "flock has no safe wrapper in std for this edition's minimum")]
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // SAFETY: the descriptor is open for the whole call and flock touches no memory of ours.
        let status = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Box::new(RealLock { _file: file }))
    }

    #[expect(unsafe_code, reason = "statvfs has no wrapper in std")]
    fn disk_space(&self, path: &Path) -> io::Result<DiskSpace> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the path is a terminated string and `stat` has room for the structure that statvfs fills.
        let status = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: statvfs succeeded, so it has filled the whole structure.
        let stat = unsafe { stat.assume_init() };
        Ok(DiskSpace { available: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that opens files for the stores")]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl ReadAt for RealFile {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[derive(Debug)]
struct RealAppendFile {
    file: File,
    len: u64,
}

impl AppendFile for RealAppendFile {
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(data);
        self.len = match &written {
            Ok(()) => self.len + data.len() as u64,
            Err(_) => self.file.metadata()?.len(),
        };
        written
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

#[derive(Debug)]
struct RealMap {
    map: memmap2::Mmap,
}

impl Mapped for RealMap {
    fn bytes(&self) -> &[u8] {
        &self.map
    }
}

#[derive(Debug)]
struct EmptyMap;

impl Mapped for EmptyMap {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}

#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl FileLock for RealLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_back_and_cut() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("f");
        let mut file = RealFs.create_new(&path)?;
        file.append(b"hello world")?;
        file.truncate(5)?;
        file.append(b"!")?;
        file.sync()?;
        assert_eq!((file.len(), RealFs.read(&path, 100)?.as_slice()), (6, b"hello!".as_slice()));
        assert_eq!(RealFs.map(&path)?.bytes(), b"hello!");
        let mut middle = [0; 3];
        RealFs.open_read(&path)?.read_exact_at(1, &mut middle)?;
        assert_eq!(&middle, b"ell");
        assert!(RealFs.create_new(&path).is_err() && RealFs.read(&path, 5).is_err());
        Ok(())
    }

    #[test]
    fn a_lock_excludes_and_ends_with_its_holder() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        let held = RealFs.lock(&path)?;
        assert_eq!(RealFs.lock(&path).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::WouldBlock));
        drop(held);
        RealFs.lock(&path).map(drop)
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_behind() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state.json");
        RealFs.write_atomic(&path, b"1")?;
        RealFs.write_atomic(&path, b"22")?;
        let names: Vec<_> = RealFs.read_dir(dir.path())?.into_iter().map(|e| (e.name, e.len)).collect();
        assert_eq!(names, [("state.json".to_owned(), 2)]);
        assert!(RealFs.disk_space(dir.path())?.total > 0);
        Ok(())
    }
}
