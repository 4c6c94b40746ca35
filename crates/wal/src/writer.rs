//! The files that records go to: rotation, cutting back after a failed write, writing again after a failed sync.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use sys::{AppendFile, Fs};

use crate::replay::Replayed;
use crate::segment::{self, Segment};
use crate::{SyncPolicy, WalError, WalOptions};

/// Whole records as they stand in a segment.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A write that failed.
#[derive(Debug)]
pub(crate) struct WriteFailure {
    pub(crate) error: WalError,
    /// Whether nothing of the batch is left in any file, so that its sequence numbers are free again.
    pub(crate) clean: bool,
}

/// Counts of what the files have been through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriterCounts {
    pub(crate) syncs: u64,
    pub(crate) sync_failures: u64,
    pub(crate) write_failures: u64,
}

/// A second handle to the active segment, so that a sync does not hold up appends.
#[derive(Debug)]
pub(crate) struct SyncHandle {
    index: u64,
    state: Mutex<SyncState>,
}

#[derive(Debug)]
struct SyncState {
    file: Box<dyn AppendFile>,
    failed: bool,
}

impl SyncHandle {
    /// Syncs the segment, unless a sync of it has failed before: then a success would mean nothing.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        let mut state = self.state.lock();
        if state.failed {
            return Err(std::io::Error::other("an earlier sync of this file failed"));
        }
        let synced = state.file.sync();
        state.failed = synced.is_err();
        synced
    }
}

#[derive(Debug)]
struct Active {
    segment: Segment,
    file: Box<dyn AppendFile>,
    sync: Arc<SyncHandle>,
}

/// The segments of a log; used under a lock.
#[derive(Debug)]
pub(crate) struct Writer {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    options: WalOptions,
    closed: Vec<Segment>,
    active: Option<Active>,
    next_index: u64,
    /// Greater than every sequence number that is or may be in a file.
    next_seq: u64,
    /// What has been written since the last sync, to be written again where that sync fails.
    unsynced: VecDeque<Batch>,
    unsynced_bytes: usize,
    /// Whether `unsynced` has to go to a new segment before anything else.
    rewrite: bool,
    pub(crate) counts: WriterCounts,
}

impl Writer {
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf, options: WalOptions, replayed: Replayed) -> Self {
        Self {
            fs,
            dir,
            options,
            closed: replayed.segments,
            active: None,
            next_index: replayed.next_index,
            next_seq: replayed.next_seq,
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            rewrite: false,
            counts: WriterCounts::default(),
        }
    }

    /// Appends a batch; synced before it returns where the policy says so.
    pub(crate) fn write(&mut self, batch: Batch) -> Result<(), WriteFailure> {
        let last_seq = batch.last_seq;
        let written = self.write_unsynced(batch);
        if !matches!(written, Err(WriteFailure { clean: true, .. })) {
            self.next_seq = last_seq + 1;
        }
        self.counts.write_failures += u64::from(written.is_err());
        written?;
        let now =
            self.options.sync == SyncPolicy::Always || self.unsynced_bytes > self.options.unsynced_bytes_max;
        if now && let Err(error) = self.sync_now() {
            // Refused, so it must not be written again; a copy of it is in a file that is not trusted.
            if let Some(refused) = self.unsynced.pop_back() {
                self.unsynced_bytes -= refused.bytes.len();
            }
            return Err(WriteFailure { error, clean: false });
        }
        Ok(())
    }

    fn write_unsynced(&mut self, batch: Batch) -> Result<(), WriteFailure> {
        let clean = |error| WriteFailure { error, clean: true };
        let full = self.active.as_ref().is_some_and(|active| {
            let len = active.segment.len;
            len > segment::SEGMENT_HEADER_BYTES as u64
                && len + batch.bytes.len() as u64 > self.options.segment_bytes
        });
        if full {
            self.close_active().map_err(clean)?;
        }
        let active = self.active_or_new(batch.first_seq).map_err(clean)?;
        let Err(error) = active.file.append(&batch.bytes) else {
            active.segment.len += batch.bytes.len() as u64;
            active.segment.last_seq = batch.last_seq;
            self.unsynced_bytes += batch.bytes.len();
            self.unsynced.push_back(batch);
            return Ok(());
        };
        let cut = active.file.truncate(active.segment.len);
        let failure = WriteFailure {
            error: WalError::io("append to", &active.segment.path, error),
            clean: cut.is_ok(),
        };
        if cut.is_err() || !matches!(failure.error, WalError::Unavailable { .. }) {
            self.abandon_active();
        }
        Err(failure)
    }

    /// The active segment; a new one where there is none, with what a failed sync left unsure at its start.
    fn active_or_new(&mut self, next_seq: u64) -> Result<&mut Active, WalError> {
        if self.active.is_none() {
            let first_seq = match self.unsynced.front() {
                Some(unsynced) if self.rewrite => unsynced.first_seq,
                _ => next_seq,
            };
            let mut active = self.create(first_seq)?;
            if self.rewrite {
                if let Err(error) = rewrite(&mut active, &self.unsynced) {
                    self.fs.remove_file(&active.segment.path).ok();
                    return Err(error);
                }
                self.unsynced.clear();
                self.unsynced_bytes = 0;
                self.rewrite = false;
                self.counts.syncs += 1;
            }
            return Ok(self.active.insert(active));
        }
        // Borrowed here and not by an early return, which the borrow checker would extend over the creation above.
        Ok(self.active.as_mut().expect("checked right above"))
    }

    fn create(&mut self, first_seq: u64) -> Result<Active, WalError> {
        let index = self.next_index;
        self.next_index += 1;
        let (segment, file) = segment::create(&*self.fs, &self.dir, index, first_seq)?;
        let second = self.fs.open_append(&segment.path);
        let second = second.map_err(|error| WalError::io("open", &segment.path, error))?;
        let state = Mutex::new(SyncState { file: second, failed: false });
        Ok(Active { segment, file, sync: Arc::new(SyncHandle { index, state }) })
    }

    /// Closes the active segment, all of it synced, so that only the last segment can end in a torn write.
    pub(crate) fn close_active(&mut self) -> Result<(), WalError> {
        if self.active.is_some() {
            self.sync_now()?;
        }
        if let Some(active) = self.active.take() {
            self.closed.push(active.segment);
        }
        Ok(())
    }

    /// Leaves the active segment for good; what was unsynced in it goes to the next one.
    fn abandon_active(&mut self) {
        let Some(active) = self.active.take() else { return };
        self.counts.syncs += 1;
        self.rewrite = active.sync.sync().is_err();
        if self.rewrite {
            self.counts.sync_failures += 1;
        } else {
            self.unsynced.clear();
            self.unsynced_bytes = 0;
        }
        self.closed.push(active.segment);
        self.rewrite &= !self.unsynced.is_empty();
    }

    /// Makes all that was written durable.
    fn sync_now(&mut self) -> Result<(), WalError> {
        if let Some(handle) = self.begin_sync()? {
            let synced = handle.sync();
            let all = u64::MAX;
            self.end_sync(&handle, all, &synced)?;
        }
        Ok(())
    }

    /// What to sync, where there is something; what a failed sync left is written again right here.
    pub(crate) fn begin_sync(&mut self) -> Result<Option<Arc<SyncHandle>>, WalError> {
        if self.unsynced.is_empty() {
            return Ok(None);
        }
        if self.rewrite {
            let next_seq = self.last_unsynced_seq() + 1;
            self.active_or_new(next_seq)?;
            return Ok(None);
        }
        Ok(self.active.as_ref().map(|active| Arc::clone(&active.sync)))
    }

    /// The last sequence number that a sync which begins now covers.
    pub(crate) fn last_unsynced_seq(&self) -> u64 {
        self.unsynced.back().map_or(0, |batch| batch.last_seq)
    }

    /// Takes note of a sync that covered records up to `last_seq`; after a failure writes them to a new segment.
    pub(crate) fn end_sync(
        &mut self,
        handle: &SyncHandle,
        last_seq: u64,
        synced: &std::io::Result<()>,
    ) -> Result<(), WalError> {
        self.counts.syncs += 1;
        if synced.is_ok() {
            while self.unsynced.front().is_some_and(|batch| batch.last_seq <= last_seq) {
                let batch = self.unsynced.pop_front();
                self.unsynced_bytes -= batch.map_or(0, |batch| batch.bytes.len());
            }
            return Ok(());
        }
        self.counts.sync_failures += 1;
        if self.active.as_ref().is_some_and(|active| active.segment.index == handle.index) {
            let abandoned = self.active.take();
            self.closed.extend(abandoned.map(|active| active.segment));
            self.rewrite = !self.unsynced.is_empty();
        }
        self.begin_sync().map(drop)
    }

    /// Removes closed segments that hold only records before `seq`.
    pub(crate) fn truncate_before(&mut self, seq: u64) -> Result<u64, WalError> {
        let mut removed = 0;
        if self.closed.iter().all(|segment| segment.last_seq < seq) {
            // The header of the segment that stays is what remembers the next sequence number.
            let active = self.active_or_new(self.next_seq)?;
            let path = active.segment.path.clone();
            active.sync.sync().map_err(|error| WalError::io("sync", &path, error))?;
        }
        while let Some(segment) = self.closed.first().filter(|segment| segment.last_seq < seq) {
            match self.fs.remove_file(&segment.path) {
                // Gone already where an earlier attempt failed after the removal.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WalError::io("remove", &segment.path, error));
                }
                _ => {}
            }
            self.closed.remove(0);
            removed += 1;
        }
        if removed > 0 {
            self.fs.sync_dir(&self.dir).map_err(|error| WalError::io("sync", &self.dir, error))?;
        }
        Ok(removed)
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.closed.iter().chain(self.active.as_ref().map(|active| &active.segment))
    }

    pub(crate) fn unsynced_bytes(&self) -> usize {
        self.unsynced_bytes
    }
}

fn rewrite(active: &mut Active, unsynced: &VecDeque<Batch>) -> Result<(), WalError> {
    let fail = |error| WalError::io("write again to", &active.segment.path, error);
    for batch in unsynced {
        active.file.append(&batch.bytes).map_err(fail)?;
        active.segment.len += batch.bytes.len() as u64;
        active.segment.last_seq = batch.last_seq;
    }
    active.sync.sync().map_err(fail)
}
