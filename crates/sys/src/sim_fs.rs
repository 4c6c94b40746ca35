//! A file system in memory that fails as real ones do, by seed: for tests and simulation.
//!
//! What a program wrote and did not sync is lost by [`SimFs::crash`] in part or whole, at random: the end of a file, single
//! pages of it (they read as zeros), names in directories. [`SimFs::kill`] loses nothing that was written, as when only the
//! process dies. Both return a new file system that holds what is left; the old one and its open files stay usable, so that
//! the store under test may be dropped in any order.
//!
//! A directory's creations, renames and removals survive a crash up to some point in their order, for each directory alone;
//! `sync_dir` makes all of them safe, as `sync` does a file's content. Syncing a file does not make its name safe.

mod node;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::fs::{AppendFile, DirEntry, DiskSpace, FileLock, Fs, Mapped, ReadAt};
use crate::rng::{Rng, SeededRng};
use node::{Directory, File, Node, NodeId, Tree};

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimFaults {
    /// How many bytes fit in all files together; the write that goes over it is cut short and fails with `ENOSPC`.
    pub capacity: Option<u64>,
    /// How many writes of a thousand are cut short and fail with `EIO`.
    pub write_errors_per_mille: u16,
    /// How many file syncs of a thousand fail with `EIO`. What was unsynced then is lost by a crash even if a later sync
    /// succeeds, as on Linux.
    pub sync_errors_per_mille: u16,
    /// How many reads of a thousand fail with `EIO`.
    pub read_errors_per_mille: u16,
    /// After so many changing operations the machine stops: this one is carried out in part, every later operation fails.
    pub stop_after: Option<u64>,
}

/// The simulated file system. Clones share the same files.
#[derive(Clone, Debug)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    tree: Tree,
    faults: SimFaults,
    rng: SeededRng,
    locks: BTreeSet<NodeId>,
    stopped: bool,
    operations: u64,
}

/// The size of what a disk writes whole or not at all.
const PAGE_BYTES: usize = 4096;

impl SimFs {
    /// An empty file system without faults; all that is random in it follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_tree(Tree::default(), seed)
    }

    fn with_tree(tree: Tree, seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let (faults, locks) = (SimFaults::default(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State { tree, faults, rng, locks, stopped: false, operations: 0 })))
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: SimFaults) {
        self.0.lock().faults = faults;
    }

    /// How many changing operations there have been: a range to draw `stop_after` from.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Whether `stop_after` has been reached.
    pub fn stopped(&self) -> bool {
        self.0.lock().stopped
    }

    /// What is left after a power loss.
    pub fn crash(&self) -> Self {
        let state = self.0.lock();
        let tree = state.tree.after_power_loss(&state.rng);
        Self::with_tree(tree, state.rng.next_u64())
    }

    /// What is left after `kill -9`: all that was written; locks are free again.
    pub fn kill(&self) -> Self {
        let state = self.0.lock();
        Self::with_tree(state.tree.as_written(), state.rng.next_u64())
    }

    /// Inverts one bit of a file, on disk as well.
    pub fn flip_bit(&self, path: &Path, bit_idx: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.tree.file_mut(path)?;
        let (byte_idx, mask) = ((bit_idx / 8) as usize, 1u8 << (bit_idx % 8));
        let byte = file.content.get_mut(byte_idx).ok_or(io::ErrorKind::InvalidInput)?;
        *byte ^= mask;
        if let Some(byte) = file.durable.get_mut(byte_idx) {
            *byte ^= mask;
        }
        Ok(())
    }

    /// Inverts a random bit of a file that is not empty; returns its index.
    pub fn flip_random_bit(&self, path: &Path) -> io::Result<u64> {
        let bits = self.file_len(path)? * 8;
        let bit_idx = self.0.lock().rng.below(bits);
        self.flip_bit(path, bit_idx)?;
        Ok(bit_idx)
    }

    /// Cuts a file short, on disk as well.
    pub fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.tree.file_mut(path)?;
        file.content.truncate(len as usize);
        file.durable.truncate(len as usize);
        Ok(())
    }

    /// All files below `path`, in order.
    pub fn files_below(&self, path: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![path.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in self.read_dir(&directory).unwrap_or_default() {
                let path = directory.join(&entry.name);
                if entry.is_dir { open.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}

impl State {
    /// Whether the machine still runs.
    fn check(&self) -> io::Result<()> {
        if self.stopped { Err(error(libc::EIO)) } else { Ok(()) }
    }

    /// Counts a changing operation; an error where the machine stops with it.
    fn change(&mut self) -> io::Result<()> {
        self.check()?;
        self.operations += 1;
        if let Some(left) = &mut self.faults.stop_after {
            *left = left.saturating_sub(1);
            self.stopped = *left == 0;
        }
        self.check()
    }

    fn happens(&self, per_mille: u16) -> bool {
        per_mille > 0 && self.rng.below(1000) < u64::from(per_mille)
    }

    fn read_fault(&self) -> io::Result<()> {
        self.check()?;
        if self.happens(self.faults.read_errors_per_mille) { Err(error(libc::EIO)) } else { Ok(()) }
    }

    fn append(&mut self, id: NodeId, data: &[u8]) -> io::Result<()> {
        let was_stopped = self.stopped;
        let mut fails = self.change().err();
        if was_stopped {
            return Err(error(libc::EIO));
        }
        let mut fits = data.len();
        if fails.is_none() && self.happens(self.faults.write_errors_per_mille) {
            fails = Some(error(libc::EIO));
        }
        if fails.is_some() {
            fits = self.rng.below(data.len() as u64 + 1) as usize;
        }
        if let Some(capacity) = self.faults.capacity {
            let free = capacity.saturating_sub(self.tree.bytes_used()) as usize;
            if free < fits {
                (fits, fails) = (free, Some(error(libc::ENOSPC)));
            }
        }
        self.tree.open_file_mut(id).content.extend_from_slice(&data[..fits]);
        fails.map_or(Ok(()), Err)
    }

    fn sync(&mut self, id: NodeId) -> io::Result<()> {
        self.change()?;
        let failed = self.happens(self.faults.sync_errors_per_mille);
        let file = self.tree.open_file_mut(id);
        if failed {
            file.lose_unsynced();
            return Err(error(libc::EIO));
        }
        file.make_durable();
        Ok(())
    }
}

impl Fs for SimFs {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let state = self.0.lock();
        state.read_fault()?;
        let id = state.tree.file_id(path)?;
        Ok(Box::new(SimFile { fs: self.clone(), id }))
    }

    fn map(&self, path: &Path) -> io::Result<Arc<dyn Mapped>> {
        Ok(Arc::new(SimMap { content: self.read(path, u64::MAX)? }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let state = self.0.lock();
        state.read_fault()?;
        let content = &state.tree.file(path)?.content;
        if content.len() as u64 > limit {
            let message = format!("{} is larger than {limit} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(content.clone())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let mut state = self.0.lock();
        state.change()?;
        let id = state.tree.create(path, Node::File(File::default()))?;
        Ok(Box::new(SimFile { fs: self.clone(), id }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let state = self.0.lock();
        state.check()?;
        let id = state.tree.file_id(path)?;
        Ok(Box::new(SimFile { fs: self.clone(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.tree.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.tree.file_id(path)?;
        state.tree.unlink(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.tree.directory(path)?;
        state.tree.unlink(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let mut directory = PathBuf::new();
        for part in path.components() {
            directory.push(part);
            match state.tree.id(&directory) {
                Ok(_) => state.tree.directory(&directory).map(drop)?,
                Err(_) => state.tree.create(&directory, Node::Directory(Directory::default())).map(drop)?,
            }
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.0.lock();
        state.read_fault()?;
        state.tree.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.tree.sync_directory(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let state = self.0.lock();
        state.check()?;
        match state.tree.node(path)? {
            Node::File(file) => Ok(file.content.len() as u64),
            Node::Directory(_) => Ok(0),
        }
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let id = state.tree.file_id(from)?;
        state.tree.link(to, id)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let mut state = self.0.lock();
        state.check()?;
        let id = match state.tree.file_id(path) {
            Ok(id) => id,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                state.change()?;
                state.tree.create(path, Node::File(File::default()))?
            }
            Err(other) => return Err(other),
        };
        if !state.locks.insert(id) {
            return Err(error(libc::EWOULDBLOCK));
        }
        Ok(Box::new(SimLock { fs: self.clone(), id }))
    }

    fn disk_space(&self, path: &Path) -> io::Result<DiskSpace> {
        let state = self.0.lock();
        state.check()?;
        state.tree.node(path)?;
        let total = state.faults.capacity.unwrap_or(1 << 40);
        Ok(DiskSpace { available: total.saturating_sub(state.tree.bytes_used()), total })
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    id: NodeId,
}

impl ReadAt for SimFile {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let state = self.fs.0.lock();
        state.read_fault()?;
        let content = &state.tree.open_file(self.id).content;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = from.checked_add(buf.len()).and_then(|to| content.get(from..to));
        buf.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.fs.0.lock();
        state.check()?;
        Ok(state.tree.open_file(self.id).content.len() as u64)
    }
}

impl AppendFile for SimFile {
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.fs.0.lock().append(self.id, data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.fs.0.lock().sync(self.id)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.fs.0.lock();
        state.change()?;
        state.tree.open_file_mut(self.id).resize(len as usize);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.fs.0.lock().tree.open_file(self.id).content.len() as u64
    }
}

#[derive(Debug)]
struct SimMap {
    content: Vec<u8>,
}

impl Mapped for SimMap {
    fn bytes(&self) -> &[u8] {
        &self.content
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    id: NodeId,
}

impl FileLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.0.lock().locks.remove(&self.id);
    }
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests;
