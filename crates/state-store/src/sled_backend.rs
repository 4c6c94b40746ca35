//! sled 0.34 as the database.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::backend::{Backend, Change};
use crate::error::{Error, Result};

/// Bytes of sled's own cache: what is kept here is small.
const CACHE_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(crate) struct SledBackend {
    db: sled::Db,
    path: PathBuf,
}

impl SledBackend {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // sled panics on some damage that it meets while it recovers; that is damage too, not a defect of ours.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let config = sled::Config::default()
                .path(path)
                .cache_capacity(CACHE_BYTES)
                .mode(sled::Mode::LowSpace)
                .flush_every_ms(None);
            config.open()
        }));
        match opened {
            Ok(Ok(db)) => Ok(Self { db, path: path.to_owned() }),
            Ok(Err(error)) => Err(convert(path, error)),
            Err(_) => {
                Err(Error::Damaged { path: path.to_owned(), reason: "it could not be recovered".to_owned() })
            }
        }
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.db.get(key).map_err(|error| convert(&self.path, error))?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.db
            .scan_prefix(prefix)
            .map(|entry| match entry {
                Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
                Err(error) => Err(convert(&self.path, error)),
            })
            .collect()
    }

    fn apply(&self, changes: &[Change]) -> Result<()> {
        let mut batch = sled::Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key.as_slice(), value.as_slice()),
                Change::Remove(key) => batch.remove(key.as_slice()),
            }
        }
        self.db.apply_batch(batch).map_err(|error| convert(&self.path, error))
    }

    fn flush(&self) -> Result<()> {
        self.db.flush().map(drop).map_err(|error| convert(&self.path, error))
    }
}

fn convert(path: &Path, error: sled::Error) -> Error {
    let path = path.to_owned();
    match error {
        sled::Error::Io(source) => Error::Io { path, source },
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::CollectionNotFound(_) => Error::Damaged { path, reason: error.to_string() },
        sled::Error::Unsupported(reason) => Error::Io { path, source: io::Error::other(reason) },
    }
}
