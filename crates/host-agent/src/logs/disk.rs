//! What of a delivery is on disk: positions in the state store, waiting batches in a log of segments.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use serde::{Deserialize, Serialize};
use state_store::{Keyspace, KeyspaceOptions, StateStore};
use sys::{Clock, Fs};
use telemetry::Registry;
use tokio::sync::mpsc;
use wal::{SyncPolicy, Wal, WalOptions};

use super::delivery::{Action, Batch, Event};
use super::line::{Place, Position};

/// Positions of sources that have not moved for so long are forgotten.
const FORGET_AFTER_MS: i64 = 30 * 24 * 3_600 * 1_000;
const ACKED_KEY: &str = "acked-seq";
const SEGMENT_BYTES: u64 = 16 << 20;

/// Why what is on disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum DiskError {
    /// The positions.
    #[error("positions of logs")]
    Positions(#[from] state_store::Error),
    /// The waiting lines.
    #[error("waiting log lines")]
    Waiting(#[from] wal::WalError),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredPosition {
    generation: u64,
    offset: u64,
    ordinal: u32,
    updated_ms: i64,
}

/// What a new agent begins with.
#[derive(Debug, Default)]
pub(super) struct Begin {
    /// How far each source has come, counting what waits on disk.
    pub(super) positions: BTreeMap<Arc<str>, Position>,
    /// Bytes that wait on disk, and the number of the first of them.
    pub(super) waiting_bytes: u64,
    pub(super) next_load: u64,
}

/// Does the disk's part of the actions. All of it blocks.
#[derive(Debug)]
pub(super) struct DeliveryDisk {
    state: StateStore,
    positions: Keyspace<StoredPosition>,
    acked: Keyspace<u64>,
    wal: Wal,
    clock: Arc<dyn Clock>,
}

impl DeliveryDisk {
    /// Opens what `dir` holds.
    pub(super) fn open(
        dir: &Path,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<(Self, Begin), DiskError> {
        let state = StateStore::open(&dir.join("positions"), Arc::clone(&fs), registry)?;
        let positions: Keyspace<StoredPosition> = state.keyspace(KeyspaceOptions::new("log-positions", 1))?;
        let acked: Keyspace<u64> = state.keyspace(KeyspaceOptions::new("log-delivery", 1))?;
        let acked_seq = acked.get(ACKED_KEY)?.unwrap_or(0);
        let mut begin = Begin { next_load: acked_seq + 1, ..Begin::default() };
        let oldest = clock.now_ms() - FORGET_AFTER_MS;
        let mut old = positions.batch();
        for (source, stored) in positions.scan("")? {
            if stored.updated_ms < oldest {
                old = old.remove(&source);
                continue;
            }
            let place = Place { offset: stored.offset, ordinal: stored.ordinal };
            begin.positions.insert(source.into(), Position { generation: stored.generation, place });
        }
        state.write(old)?;
        let options =
            WalOptions { sync: SyncPolicy::Deferred, segment_bytes: SEGMENT_BYTES, ..WalOptions::default() };
        let mut take = |seq: u64, payload: &[u8]| {
            if seq <= acked_seq {
                return;
            }
            // A record that cannot be read is of no use later either.
            let Ok(batch) = wire::delivery::Batch::decode(payload) else { return };
            let batch = Batch::new(batch.sources);
            begin.waiting_bytes += batch.bytes as u64;
            for (source, position) in batch.positions() {
                begin.positions.insert(source.into(), position);
            }
        };
        let (wal, report) = Wal::open(fs, &dir.join("waiting"), options, &mut take)?;
        // A log that was emptied counts from the beginning again.
        if wal.next_seq() <= acked_seq {
            begin.next_load = wal.next_seq();
            acked.put(ACKED_KEY, &(wal.next_seq().saturating_sub(1)))?;
        }
        if report.damaged_places > 0 {
            tracing::error!(places = report.damaged_places, "waiting log lines were damaged and set aside");
        }
        Ok((Self { state, positions, acked, wal, clock }, begin))
    }

    /// Works until the last sender of actions is gone; then closes what is open.
    pub(super) fn run(
        self,
        mut actions: mpsc::UnboundedReceiver<Action>,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        while let Some(action) = actions.blocking_recv() {
            let event = match action {
                Action::Spill(batches) => Some(self.spill(&batches)),
                Action::Load { from, bytes_max } => Some(self.load(from, bytes_max)),
                Action::Save { positions, acked_seq, disk_empty } => {
                    self.save(&positions, acked_seq, disk_empty);
                    None
                }
                Action::Connect | Action::Send { .. } => None,
            };
            // Whoever asked may have ended meanwhile: the work is done all the same.
            if let Some(event) = event {
                events.send(event).ok();
            }
        }
        if let Err(error) = self.state.close() {
            tracing::error!(error = %error, "positions of logs could not be closed");
        }
    }

    fn spill(&self, batches: &[Arc<Batch>]) -> Event {
        let mut seqs = Vec::with_capacity(batches.len());
        for batch in batches {
            let record = wire::delivery::Batch { sources: batch.sources.clone(), ..Default::default() };
            match self.wal.append(&record.encode_to_vec()) {
                Ok(seq) => seqs.push(seq),
                Err(error) => {
                    tracing::warn!(error = %error, "log lines cannot be kept on disk, the sources wait");
                    break;
                }
            }
        }
        if seqs.is_empty() {
            return Event::SpillFailed;
        }
        if let Err(error) = self.wal.sync() {
            tracing::warn!(error = %error, "log lines on disk are not synced");
        }
        // Those that found no place stay where they are.
        Event::Spilled(seqs)
    }

    fn load(&self, from: u64, bytes_max: usize) -> Event {
        let mut reader = self.wal.reader(from);
        let mut batches = Vec::new();
        let (mut bytes, mut next_seq) = (0, from);
        while bytes < bytes_max.max(1) {
            match reader.read_next() {
                Ok(Some(record)) => {
                    next_seq = record.seq + 1;
                    bytes += record.payload.len();
                    if let Ok(batch) = wire::delivery::Batch::decode(&record.payload[..]) {
                        batches.push((record.seq, Batch::new(batch.sources)));
                    }
                }
                Ok(None) => return Event::Loaded { batches, next_seq, exhausted: true },
                Err(error) => {
                    tracing::warn!(error = %error, "waiting log lines cannot be read now");
                    break;
                }
            }
        }
        let exhausted = next_seq >= self.wal.next_seq();
        Event::Loaded { batches, next_seq, exhausted }
    }

    fn save(&self, positions: &[(Arc<str>, Position)], acked_seq: Option<u64>, disk_empty: bool) {
        if let Err(error) = self.try_save(positions, acked_seq, disk_empty) {
            // They are saved with the next ones; until then lines may be sent twice, which the server notices.
            tracing::warn!(error = %service::error_chain(&error), "positions of logs are not saved");
        }
    }

    fn try_save(
        &self,
        positions: &[(Arc<str>, Position)],
        acked_seq: Option<u64>,
        disk_empty: bool,
    ) -> Result<(), DiskError> {
        let updated_ms = self.clock.now_ms();
        let mut batch = self.positions.batch();
        for (source, position) in positions {
            let Position { generation, place: Place { offset, ordinal } } = *position;
            batch = batch.put(source, &StoredPosition { generation, offset, ordinal, updated_ms })?;
        }
        match acked_seq {
            Some(seq) => self.state.write(batch.and(self.acked.batch().put(ACKED_KEY, &seq)?))?,
            None => self.state.write(batch)?,
        }
        if let Some(seq) = acked_seq {
            if disk_empty && self.wal.next_seq() == seq + 1 && self.wal.stats().segments > 0 {
                self.wal.rotate()?;
            }
            self.wal.truncate_before(seq + 1)?;
        }
        Ok(())
    }
}
