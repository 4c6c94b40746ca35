//! A database as it is, for tools: the directory may be in use and is not changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::Fs;

use crate::block::ulid::new_ulid;
use crate::db::open::open_with_blocks;
use crate::{Db, DbOptions, Environment, Error, Result};

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;
/// What is written to while a database is in use, and so is copied.
const HEAD_DIRS: [&str; 3] = ["wal", "wbl", "chunks_head"];

/// An open copy of a directory's head beside its blocks. The copy is removed when this is dropped.
#[derive(Debug)]
pub struct ReadOnlyDb {
    db: Db,
    fs: Arc<dyn Fs>,
    sandbox: PathBuf,
}

impl ReadOnlyDb {
    /// Copies the head of `dir` into a new directory under `sandbox_root` and opens it with the blocks of `dir`. Takes as
    /// long as there is much in the log. Blocks.
    ///
    /// # Errors
    /// Where the directory cannot be read or the copy cannot be written.
    pub fn open(dir: &Path, sandbox_root: &Path, environment: Environment) -> Result<Self> {
        let fs = Arc::clone(&environment.fs);
        // Fails where there is no such directory, before anything is made.
        fs.read_dir(dir).map_err(Error::io("list", dir))?;
        // With this end a server removes at its start what a killed tool has left.
        let sandbox = sandbox_root.join(format!("{}.tmp", new_ulid(environment.clock.now_ms())));
        let opened = copy_head(&*fs, dir, &sandbox).and_then(|()| {
            let options = DbOptions { no_lock_file: true, retention_ms: 0, ..DbOptions::default() };
            open_with_blocks(&sandbox, Some(dir), options, environment)
        });
        match opened {
            Ok(db) => Ok(Self { db, fs, sandbox }),
            Err(error) => {
                remove(&*fs, &sandbox);
                Err(error)
            }
        }
    }

    /// The database, to be read only.
    pub fn db(&self) -> &Db {
        &self.db
    }
}

impl Drop for ReadOnlyDb {
    fn drop(&mut self) {
        remove(&*self.fs, &self.sandbox);
    }
}

fn remove(fs: &dyn Fs, dir: &Path) {
    if fs.exists(dir)
        && let Err(error) = fs.remove_dir_all(dir)
    {
        tracing::warn!(dir = %dir.display(), error = %error, "copy of the head could not be removed");
    }
}

fn copy_head(fs: &dyn Fs, dir: &Path, to: &Path) -> Result<()> {
    fs.create_dir_all(to).map_err(Error::io("create", to))?;
    for name in HEAD_DIRS {
        if fs.exists(&dir.join(name)) {
            copy_dir(fs, &dir.join(name), &to.join(name))?;
        }
    }
    Ok(())
}

fn copy_dir(fs: &dyn Fs, from: &Path, to: &Path) -> Result<()> {
    fs.create_dir_all(to).map_err(Error::io("create", to))?;
    for entry in fs.read_dir(from).map_err(Error::io("list", from))? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        let copied = if entry.is_dir { copy_dir(fs, &from, &to) } else { copy_file(fs, &from, &to) };
        match copied {
            // A server may remove what it has just folded into a block or a checkpoint.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            copied => copied?,
        }
    }
    Ok(())
}

fn copy_file(fs: &dyn Fs, from: &Path, to: &Path) -> Result<()> {
    let source = fs.open_read(from).map_err(Error::io("open", from))?;
    let length = source.len().map_err(Error::io("measure", from))?;
    let mut target = fs.create_new(to).map_err(Error::io("create", to))?;
    let mut buf = Vec::new();
    let mut offset = 0;
    while offset < length {
        buf.resize(COPY_BYTES.min(length - offset) as usize, 0);
        source.read_exact_at(offset, &mut buf).map_err(Error::io("read", from))?;
        target.append(&buf).map_err(Error::io("append to", to))?;
        offset += buf.len() as u64;
    }
    Ok(())
}
