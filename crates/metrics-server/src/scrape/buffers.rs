//! Memory for bodies, kept from one scrape to the next: the same few buffers for all targets, so that they stay in the cache.

use parking_lot::Mutex;

/// So many are kept.
const KEPT_MAX: usize = 8;
/// A larger one is not kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Buffers that no scrape is using.
#[derive(Debug, Default)]
pub(crate) struct BodyBuffers(Mutex<Vec<Vec<u8>>>);

impl BodyBuffers {
    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut buffer = self.0.lock().pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Keeps a buffer for another scrape, unless there are enough or it is too large.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX && buffer.capacity() <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    }
}
