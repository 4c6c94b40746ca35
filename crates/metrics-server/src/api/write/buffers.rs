//! Memory for expanded requests, kept from one to the next: made anew each time, it would cost as much as reading them.

use parking_lot::Mutex;

/// So many are kept.
const KEPT_MAX: usize = 4;
/// A larger one is not kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Buffers that no request is using.
#[derive(Debug, Default)]
pub(crate) struct MessageBuffers(Mutex<Vec<Vec<u8>>>);

impl MessageBuffers {
    /// A buffer with whatever it held before.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Keeps a buffer for another request, unless there are enough or it is too large.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX && buffer.capacity() <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    }
}
