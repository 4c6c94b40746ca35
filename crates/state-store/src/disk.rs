//! Opening the database's directory: the lock, and what is done with a damaged one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::{FileLock, Fs};

use crate::backend::{Backend, Change};
use crate::error::{Error, Result};
use crate::export;
use crate::sled_backend::SledBackend;
use crate::value;

/// Bytes of an export that are read.
const EXPORT_BYTES_MAX: u64 = 1 << 30;

/// Where the parts of a store lie.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) dir: PathBuf,
    pub(crate) fs: Arc<dyn Fs>,
    _lock: Box<dyn FileLock>,
}

/// An opened database.
pub(crate) struct Opened {
    pub(crate) disk: Disk,
    pub(crate) backend: SledBackend,
    /// Whether it was damaged and has been rebuilt.
    pub(crate) rebuilt: bool,
}

impl Disk {
    pub(crate) fn export_path(&self) -> PathBuf {
        self.dir.join("export.jsonl")
    }
}

pub(crate) fn open(dir: &Path, fs: Arc<dyn Fs>) -> Result<Opened> {
    let io_error = |source: io::Error| Error::Io { path: dir.to_owned(), source };
    fs.create_dir_all(dir).map_err(io_error)?;
    let lock = fs.lock(&dir.join("lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { path: dir.to_owned() },
        _ => io_error(error),
    })?;
    let disk = Disk { dir: dir.to_owned(), fs, _lock: lock };
    let database = dir.join("sled");
    let (readable, reason) = match SledBackend::open(&database) {
        Ok(backend) => match check(&backend) {
            Ok(Checked { damaged: 0, .. }) => return Ok(Opened { disk, backend, rebuilt: false }),
            Ok(checked) => (checked.entries, format!("{} values with a wrong checksum", checked.damaged)),
            Err(Error::Damaged { reason, .. }) => (BTreeMap::new(), reason),
            Err(error) => return Err(error),
        },
        Err(Error::Damaged { reason, .. }) => (BTreeMap::new(), reason),
        Err(error) => return Err(error),
    };
    let backend = rebuild(&disk, &database, readable, &reason)?;
    Ok(Opened { disk, backend, rebuilt: true })
}

struct Checked {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    damaged: usize,
}

/// Reads everything once: the store is small, and damage is better met at the start than in the middle of a night.
fn check(backend: &SledBackend) -> Result<Checked> {
    let mut checked = Checked { entries: BTreeMap::new(), damaged: 0 };
    for (key, stored) in backend.scan(b"")? {
        match value::open(&key, &stored) {
            Some(_) => drop(checked.entries.insert(key, stored)),
            None => checked.damaged += 1,
        }
    }
    Ok(checked)
}

/// Sets the damaged database aside and makes a new one of the last export and of what could be read, which is newer.
fn rebuild(
    disk: &Disk,
    database: &Path,
    readable: BTreeMap<Vec<u8>, Vec<u8>>,
    reason: &str,
) -> Result<SledBackend> {
    let Disk { dir, fs, .. } = disk;
    let io_error = |source: io::Error| Error::Io { path: dir.clone(), source };
    let aside = (1..).map(|number| dir.join(format!("damaged-{number}"))).find(|path| !fs.exists(path));
    let Some(aside) = aside else { return Err(Error::Closed) };
    fs.rename(database, &aside).map_err(io_error)?;
    fs.sync_dir(dir).map_err(io_error)?;
    let exported = match fs.read(&disk.export_path(), EXPORT_BYTES_MAX) {
        Ok(text) => export::read(&text).unwrap_or_else(|error| {
            tracing::error!(path = %disk.export_path().display(), error, "state export cannot be used");
            Vec::new()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io_error(error)),
    };
    tracing::error!(
        set_aside = %aside.display(),
        reason,
        exported = exported.len(),
        readable = readable.len(),
        "state database is damaged, rebuilt from its last export"
    );
    let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = exported
        .into_iter()
        .map(|(key, json)| {
            let stored = value::seal(&key, &json);
            (key, stored)
        })
        .collect();
    entries.extend(readable);
    let backend = SledBackend::open(database)?;
    let changes: Vec<Change> = entries.into_iter().map(|(key, stored)| Change::Put(key, stored)).collect();
    backend.apply(&changes)?;
    backend.flush()?;
    Ok(backend)
}
