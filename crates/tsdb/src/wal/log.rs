//! The log as committers share it: one writes at a time, one sync serves all that wrote before it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use sys::{AppendFile, Fs};

use super::writer::{RecordBatch, WalWriter};
use crate::Result;
use crate::metrics::{Count, Counters};

/// With more than this unsynced, a commit syncs itself: it bounds what is kept in memory for a failing sync.
const UNSYNCED_BYTES_MAX: usize = 2 << 20;
/// What a batch of unsynced records may hold on to when it is emptied.
const SPARE_BYTES_MAX: usize = 2 * UNSYNCED_BYTES_MAX;

/// A log that several threads write to.
#[derive(Debug)]
pub(crate) struct Log {
    inner: Mutex<LogInner>,
    sync: Mutex<SyncState>,
    synced: AtomicU64,
    counters: Arc<Counters>,
}

/// The end of the log. Whoever holds it decides the order of records.
#[derive(Debug)]
pub(crate) struct LogInner {
    writer: WalWriter,
    /// Written and not synced: what a new segment gets where a sync fails.
    unsynced: RecordBatch,
    /// A sync failed and no new segment could be made: nothing is taken before one is.
    broken: bool,
}

#[derive(Debug, Default)]
struct SyncState {
    handle: Option<(u64, Box<dyn AppendFile>)>,
    /// Takes the records that come while the ones before are synced.
    spare: RecordBatch,
    /// When the last sync began, on the monotonic clock.
    last: Duration,
}

impl Log {
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        segment_bytes: u64,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let writer = WalWriter::open(fs, dir, segment_bytes)?;
        Ok(Self {
            inner: Mutex::new(LogInner { writer, unsynced: RecordBatch::default(), broken: false }),
            sync: Mutex::default(),
            synced: AtomicU64::new(0),
            counters,
        })
    }

    /// Takes the end of the log: nobody else writes while it is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.inner.lock()
    }

    /// Makes everything up to the batch with this number durable; another thread's sync may have done it.
    pub(crate) fn sync_to(&self, number: u64, now: Duration) -> Result<()> {
        let mut sync = self.sync.lock();
        if self.synced.load(Ordering::Acquire) >= number {
            return Ok(());
        }
        self.sync_locked(&mut sync, now)
    }

    /// Makes everything durable that was written, where the last sync is at least `interval` ago.
    pub(crate) fn sync_if_due(&self, interval: Duration, now: Duration) -> Result<()> {
        let mut sync = self.sync.lock();
        if now.saturating_sub(sync.last) < interval {
            return Ok(());
        }
        self.sync_locked(&mut sync, now)
    }

    /// Makes everything durable that was written.
    pub(crate) fn sync(&self, now: Duration) -> Result<()> {
        self.sync_locked(&mut self.sync.lock(), now)
    }

    fn sync_locked(&self, sync: &mut SyncState, now: Duration) -> Result<()> {
        sync.last = now;
        let (number, segment, mut taken, retired, handle) = {
            let mut inner = self.inner.lock();
            if inner.broken {
                return self.replace(&mut inner, sync);
            }
            let number = inner.writer.written();
            if self.synced.load(Ordering::Acquire) >= number {
                return Ok(());
            }
            let segment = inner.writer.segment();
            let handle = match sync.handle.take() {
                Some((open, handle)) if open == segment => handle,
                _ => inner.writer.sync_handle()?,
            };
            let taken = std::mem::replace(&mut inner.unsynced, std::mem::take(&mut sync.spare));
            (number, segment, taken, inner.writer.take_retired(), handle)
        };
        let mut handle = handle;
        let retired = retired.into_iter().try_for_each(|mut file| file.sync());
        match retired.and_then(|()| handle.sync()) {
            Ok(()) => {
                self.counters.wal_syncs.add(1);
                self.synced.fetch_max(number, Ordering::AcqRel);
                sync.handle = Some((segment, handle));
                if taken.capacity() <= SPARE_BYTES_MAX {
                    taken.clear();
                    sync.spare = taken;
                }
                Ok(())
            }
            Err(error) => {
                // The kernel may have dropped what it could not write, and a second sync would not tell.
                self.counters.wal_syncs_failed.add(1);
                tracing::error!(segment, error = %error, "wal segment could not be synced");
                let mut inner = self.inner.lock();
                taken.extend(&inner.unsynced);
                inner.unsynced = taken;
                self.replace(&mut inner, sync)
            }
        }
    }

    fn replace(&self, inner: &mut LogInner, sync: &mut SyncState) -> Result<()> {
        sync.handle = None;
        inner.broken = true;
        inner.writer.replace_segment(&inner.unsynced)?;
        inner.broken = false;
        inner.unsynced = RecordBatch::default();
        self.synced.fetch_max(inner.writer.written(), Ordering::AcqRel);
        Ok(())
    }
}

impl LogInner {
    /// Writes all records of `batches`, or none, and returns the number to sync to.
    pub(crate) fn write(&mut self, batches: &[&RecordBatch]) -> Result<u64> {
        if self.broken {
            let error =
                std::io::Error::other("the log could not be synced and no new segment could be made yet");
            return Err(crate::Error::Io { action: "write to", path: "wal".into(), source: error });
        }
        self.writer.write(batches)?;
        for batch in batches {
            self.unsynced.extend(batch);
        }
        Ok(self.writer.written())
    }

    /// The number to sync to for all that was written.
    pub(crate) fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Whether so much is unsynced that the writer has to sync now.
    pub(crate) fn must_sync(&self) -> bool {
        self.unsynced.bytes() > UNSYNCED_BYTES_MAX
    }

    /// The segment being written.
    pub(crate) fn segment(&self) -> u64 {
        self.writer.segment()
    }

    /// Ends the segment and starts the next one.
    pub(crate) fn next_segment(&mut self) -> Result<()> {
        self.writer.next_segment()
    }
}
