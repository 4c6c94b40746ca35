//! A disk in memory that loses what was not flushed, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backend::{Backend, Change};
use crate::error::{Error, Result};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A simulated machine's disk. Open a store on it with [`crate::StateStore::open_simulated`], crash it, open another one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    durable: Entries,
    present: Entries,
    /// Counts crashes: a store of an earlier life is closed.
    life: u64,
    fail_flushes: u32,
    flushes: u64,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power is lost: what was not flushed is gone and all open stores are closed.
    pub fn crash(&self) {
        let mut disk = self.0.lock();
        disk.present = disk.durable.clone();
        disk.life += 1;
    }

    /// Lets the next `count` flushes fail, as a full disk does.
    pub fn fail_flushes(&self, count: u32) {
        self.0.lock().fail_flushes = count;
    }

    /// How many flushes succeeded.
    pub fn flushes(&self) -> u64 {
        self.0.lock().flushes
    }

    pub(crate) fn backend(&self) -> SimulatedBackend {
        let life = self.0.lock().life;
        SimulatedBackend { disk: self.clone(), life }
    }
}

#[derive(Debug)]
pub(crate) struct SimulatedBackend {
    disk: SimulatedDisk,
    life: u64,
}

impl SimulatedBackend {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> Result<T>) -> Result<T> {
        let mut disk = self.disk.0.lock();
        if disk.life == self.life { act(&mut disk) } else { Err(Error::Closed) }
    }
}

impl Backend for SimulatedBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(|disk| Ok(disk.present.get(key).cloned()))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.with(|disk| {
            let from = disk.present.range(prefix.to_vec()..);
            let matching = from.take_while(|(key, _)| key.starts_with(prefix));
            Ok(matching.map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }

    fn apply(&self, changes: &[Change]) -> Result<()> {
        self.with(|disk| {
            for change in changes {
                match change {
                    Change::Put(key, value) => drop(disk.present.insert(key.clone(), value.clone())),
                    Change::Remove(key) => drop(disk.present.remove(key)),
                }
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<()> {
        self.with(|disk| {
            if disk.fail_flushes > 0 {
                disk.fail_flushes -= 1;
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(Error::Io { path: "simulated".into(), source });
            }
            disk.flushes += 1;
            disk.durable = disk.present.clone();
            Ok(())
        })
    }
}
