//! New lines on their way to tails.

use std::sync::Arc;

use log_storage_api::{AppendOutcome, BatchEntry, LogBatch};
use model::{Labels, LogEntry, TenantId};
use tokio::sync::broadcast;

/// How many batches a tail may be behind before it misses some.
const BATCHES_MAX: usize = 256;

/// A batch as it was stored.
#[derive(Debug)]
pub(crate) struct LiveBatch {
    pub(crate) tenant: TenantId,
    pub(crate) streams: Vec<LiveStream>,
}

/// Lines of a stream as they were stored.
#[derive(Debug)]
pub(crate) struct LiveStream {
    pub(crate) labels: Labels,
    pub(crate) entries: Vec<LogEntry>,
}

/// Hands batches to whoever tails. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LiveHub(broadcast::Sender<Arc<LiveBatch>>);

impl Default for LiveHub {
    fn default() -> Self {
        Self(broadcast::Sender::new(BATCHES_MAX))
    }
}

impl LiveHub {
    /// Whether anybody listens.
    pub(crate) fn has_tails(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Publishes what was stored of a batch.
    pub(crate) fn publish(&self, tenant: &TenantId, batch: &LogBatch<'_>, outcome: &AppendOutcome) {
        let streams = batch.streams.iter().map(|stream| LiveStream {
            labels: stream.labels.clone(),
            entries: stream.entries.iter().map(BatchEntry::to_entry).collect(),
        });
        let mut streams: Vec<LiveStream> = streams.collect();
        // From the back, so that indexes stay right; what was there already is rare and shown again.
        let mut rejections: Vec<(usize, usize)> =
            outcome.rejections.iter().map(|(stream, entry, _)| (*stream, *entry)).collect();
        rejections.sort_unstable();
        for (stream, entry) in rejections.into_iter().rev() {
            if let Some(stream) = streams.get_mut(stream)
                && entry < stream.entries.len()
            {
                stream.entries.remove(entry);
            }
        }
        // Nobody listening any more is no error.
        self.0.send(Arc::new(LiveBatch { tenant: tenant.clone(), streams })).ok();
    }

    /// Listens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<LiveBatch>> {
        self.0.subscribe()
    }
}
