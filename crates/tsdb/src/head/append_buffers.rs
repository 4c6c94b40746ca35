//! What a batch is gathered in, kept for the batches that come after it.

use parking_lot::Mutex;

use super::SeriesId;
use crate::wal::writer::RecordBatch;

/// So many are kept: about as many batches as are under way at a time.
const KEPT_MAX: usize = 8;
/// What takes more is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A sample that is checked and not yet applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingSample {
    pub(crate) series: SeriesId,
    pub(crate) generation: u32,
    pub(crate) wal_ref: u64,
    pub(crate) timestamp: i64,
    pub(crate) value: f64,
}

/// What a batch is gathered in.
#[derive(Debug, Default)]
pub(crate) struct AppendBuffers {
    pub(crate) samples: Vec<PendingSample>,
    /// A record while it is encoded.
    pub(crate) record: Vec<u8>,
    /// The encoded batch.
    pub(crate) records: RecordBatch,
}

impl AppendBuffers {
    fn bytes(&self) -> usize {
        self.samples.capacity() * size_of::<PendingSample>()
            + self.record.capacity()
            + self.records.capacity()
    }
}

/// Buffers that no batch is using.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Mutex<Vec<AppendBuffers>>);

impl BufferPool {
    /// Empty buffers.
    pub(crate) fn take(&self) -> AppendBuffers {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Keeps buffers for another batch, emptied, unless there are enough of them or one batch has made them large.
    pub(crate) fn give_back(&self, mut buffers: AppendBuffers) {
        if buffers.bytes() > KEPT_BYTES_MAX {
            return;
        }
        buffers.samples.clear();
        buffers.record.clear();
        buffers.records.clear();
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX {
            kept.push(buffers);
        }
    }
}
