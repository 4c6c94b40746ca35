//! The log: many threads append, one of them writes for all that wait.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use sys::{FileLock, Fs};

use crate::record::{HEADER_BYTES, encode};
use crate::replay::replay;
use crate::segment::Segment;
use crate::writer::{Batch, WriteFailure, Writer};
use crate::{ReplayReport, WalError, WalOptions, WalReader};

/// An append log of records with growing sequence numbers. Shared by reference between threads.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    _lock: Box<dyn FileLock>,
}

/// What a log has done since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Records acknowledged.
    pub appended_records: u64,
    /// Bytes of their payloads.
    pub appended_bytes: u64,
    /// Writes that carried them: fewer than records where several threads append.
    pub writes: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// Syncs.
    pub syncs: u64,
    /// Syncs that failed.
    pub sync_failures: u64,
    /// Bytes that the next sync has to make durable.
    pub unsynced_bytes: u64,
    /// The oldest sequence number that is still held; 0 where no segment is there.
    pub first_seq: u64,
    /// Segments on disk.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn Fs>,
    options: WalOptions,
    queue: Mutex<Queue>,
    /// Signalled when a batch is done.
    done: Condvar,
    writer: Mutex<Writer>,
    /// Held over a sync by the caller, so that two do not overlap.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Queue {
    /// Records that wait for the next write.
    pending: Vec<u8>,
    pending_records: u64,
    pending_outcome: Arc<Outcome>,
    next_seq: u64,
    /// Whether a thread is writing for all.
    writing: bool,
    appended_records: u64,
    appended_bytes: u64,
    writes: u64,
}

/// What became of the records of one write.
type Outcome = OnceLock<Result<(), WalError>>;

impl Wal {
    /// Opens the log in `dir`, created where missing, and hands every record that it holds to `take`, in order, each once.
    /// A torn last write is cut off; damaged places are set aside and counted in the report.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: WalOptions,
        take: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(Self, ReplayReport), WalError> {
        fs.create_dir_durable(dir).map_err(|error| WalError::io("create", dir, error))?;
        let lock_path = dir.join("lock");
        let lock = fs.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => WalError::Locked { path: lock_path.clone() },
            _ => WalError::io("lock", &lock_path, error),
        })?;
        let replayed = replay(&*fs, dir, take)?;
        let (next_seq, report) = (replayed.next_seq, replayed.report);
        let writer = Writer::new(Arc::clone(&fs), dir.to_owned(), options, replayed);
        let queue = Queue {
            pending: Vec::new(),
            pending_records: 0,
            pending_outcome: Arc::default(),
            next_seq,
            writing: false,
            appended_records: 0,
            appended_bytes: 0,
            writes: 0,
        };
        let shared = Shared {
            fs,
            options,
            queue: Mutex::new(queue),
            done: Condvar::new(),
            writer: Mutex::new(writer),
            syncing: Mutex::new(()),
        };
        Ok((Self { shared: Arc::new(shared), _lock: lock }, report))
    }

    /// Appends a record and returns its sequence number once it is acknowledged. Blocks for one write, and for a sync where
    /// the policy is [`crate::SyncPolicy::Always`]. Records of threads that append at the same time share both.
    pub fn append(&self, payload: &[u8]) -> Result<u64, WalError> {
        let limit = self.shared.options.record_bytes_max.min(u32::MAX as usize);
        if payload.is_empty() || payload.len() > limit {
            return Err(WalError::RecordSize { bytes: payload.len() as u64, limit: limit as u64 });
        }
        let crc = crc32c::crc32c(payload);
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        let room = shared.options.queue_bytes_max;
        while !queue.pending.is_empty() && queue.pending.len() + HEADER_BYTES + payload.len() > room {
            shared.done.wait(&mut queue);
        }
        let seq = queue.next_seq;
        queue.next_seq += 1;
        encode(&mut queue.pending, seq, payload, crc);
        queue.pending_records += 1;
        let outcome = Arc::clone(&queue.pending_outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                outcome.clone()?;
                queue.appended_records += 1;
                queue.appended_bytes += payload.len() as u64;
                return Ok(seq);
            }
            if queue.writing {
                shared.done.wait(&mut queue);
                continue;
            }
            queue.writing = true;
            let batch = queue.take_pending();
            let batch_outcome = std::mem::take(&mut queue.pending_outcome);
            drop(queue);
            let first_seq = batch.first_seq;
            let written = shared.writer.lock().write(batch);
            queue = shared.queue.lock();
            queue.finish(first_seq, &batch_outcome, written);
            shared.done.notify_all();
        }
    }

    /// Makes all acknowledged records durable. Appends go on meanwhile. After an error nothing is lost yet: what was unsynced
    /// is kept and the next call, or the next append, tries again with a new file; until then appends are refused.
    pub fn sync(&self) -> Result<(), WalError> {
        let _one_at_a_time = self.shared.syncing.lock();
        let mut writer = self.shared.writer.lock();
        let last_seq = writer.last_unsynced_seq();
        let Some(handle) = writer.begin_sync()? else { return Ok(()) };
        drop(writer);
        let synced = handle.sync();
        self.shared.writer.lock().end_sync(&handle, last_seq, &synced)
    }

    /// Closes the active segment, so that [`Wal::truncate_before`] can remove it once its records are not needed.
    pub fn rotate(&self) -> Result<(), WalError> {
        self.shared.writer.lock().close_active()
    }

    /// Removes closed segments all of whose records come before `seq`; returns how many.
    pub fn truncate_before(&self, seq: u64) -> Result<u64, WalError> {
        self.shared.writer.lock().truncate_before(seq)
    }

    /// The sequence number that the next record gets.
    pub fn next_seq(&self) -> u64 {
        self.shared.queue.lock().next_seq
    }

    /// Reads records from `seq` on, as far as they are acknowledged, while others append.
    pub fn reader(&self, seq: u64) -> WalReader {
        WalReader::new(Arc::clone(&self.shared), seq)
    }

    /// Counts for metrics.
    pub fn stats(&self) -> WalStats {
        let mut stats = {
            let queue = self.shared.queue.lock();
            WalStats {
                appended_records: queue.appended_records,
                appended_bytes: queue.appended_bytes,
                writes: queue.writes,
                ..WalStats::default()
            }
        };
        let writer = self.shared.writer.lock();
        stats.write_failures = writer.counts.write_failures;
        stats.syncs = writer.counts.syncs;
        stats.sync_failures = writer.counts.sync_failures;
        stats.unsynced_bytes = writer.unsynced_bytes() as u64;
        stats.first_seq = writer.segments().next().map_or(0, |segment| segment.first_seq);
        for segment in writer.segments() {
            stats.segments += 1;
            stats.segment_bytes += segment.len;
        }
        stats
    }
}

impl Shared {
    /// The first segment with an index of at least `index`, as far as it is written.
    pub(crate) fn segment_from(&self, index: u64) -> Option<Segment> {
        self.writer.lock().segments().find(|segment| segment.index >= index).cloned()
    }
}

impl Queue {
    fn take_pending(&mut self) -> Batch {
        let records = std::mem::take(&mut self.pending_records);
        let bytes = std::mem::take(&mut self.pending);
        Batch { first_seq: self.next_seq - records, last_seq: self.next_seq - 1, bytes }
    }

    fn finish(&mut self, first_seq: u64, outcome: &Outcome, written: Result<(), WriteFailure>) {
        self.writing = false;
        let result = match written {
            Ok(()) => {
                self.writes += 1;
                Ok(())
            }
            Err(WriteFailure { error, clean }) => {
                if clean {
                    // Numbers of records that were never written are used again, so that none is missing. Records that
                    // queued up behind them have later numbers: they fail with them.
                    self.next_seq = first_seq;
                    self.pending.clear();
                    self.pending_records = 0;
                    let queued = std::mem::take(&mut self.pending_outcome);
                    queued.set(Err(error.clone())).ok();
                }
                Err(error)
            }
        };
        outcome.set(result).ok();
    }
}
