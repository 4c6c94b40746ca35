//! A shard: a bounded queue and the task that empties it, batch by batch, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::batch::{Batch, Entry};
use super::{Core, Outgoing};

/// A queue with its task.
#[derive(Debug)]
pub(crate) struct Shard {
    queue: Mutex<Queue>,
    /// Room has become free.
    room: Condvar,
    /// Something has come, or the shard closes.
    filled: Notify,
    ended: watch::Sender<bool>,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Entry>,
    /// The sequence of the oldest item of the batch under way.
    under_way: Option<u64>,
    is_closed: bool,
}

impl Shard {
    /// Starts the task.
    pub(super) fn start(core: Arc<Core>) -> Arc<Self> {
        let shard = Arc::new(Self {
            queue: Mutex::default(),
            room: Condvar::new(),
            filled: Notify::new(),
            ended: watch::Sender::new(false),
            task: Mutex::default(),
        });
        let task = tokio::spawn(Arc::clone(&shard).drive(core));
        *shard.task.lock() = Some(task.abort_handle());
        shard
    }

    /// Adds an item where there is room, or within `patience`; else gives it back.
    pub(super) fn push(
        &self,
        sequence: u64,
        item: Outgoing,
        capacity: usize,
        patience: Duration,
    ) -> Result<(), Box<Outgoing>> {
        let mut queue = self.queue.lock();
        if queue.items.len() >= capacity {
            self.room.wait_for(&mut queue, patience);
        }
        if queue.items.len() >= capacity || queue.is_closed {
            return Err(Box::new(item));
        }
        queue.items.push_back(Entry { sequence, item });
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// The oldest sequence that is not done.
    pub(super) fn oldest(&self) -> Option<u64> {
        let queue = self.queue.lock();
        queue.under_way.or_else(|| queue.items.front().map(|entry| entry.sequence))
    }

    pub(super) fn len(&self) -> usize {
        self.queue.lock().items.len()
    }

    /// Takes nothing more; what is there is still sent.
    pub(super) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.filled.notify_one();
    }

    pub(super) async fn ended(&self) {
        self.ended.subscribe().wait_for(|ended| *ended).await.ok();
    }

    pub(super) fn abort(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    async fn drive(self: Arc<Self>, core: Arc<Core>) {
        while let Some(batch) = self.next_batch(&core).await {
            let kinds = batch.kinds();
            core.delivery.deliver(&core, batch).await;
            for (gauge, count) in core.metrics.pending.iter().zip(kinds) {
                gauge.add(-(count as f64));
            }
            self.queue.lock().under_way = None;
        }
        self.ended.send_replace(true);
    }

    /// Waits until a batch is full or its time is over; `None` where the shard is closed and empty.
    async fn next_batch(&self, core: &Core) -> Option<Batch> {
        let most = core.config.queue.max_samples_per_send;
        let mut deadline = None;
        loop {
            {
                let mut queue = self.queue.lock();
                let is_due = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                if queue.items.len() >= most || (!queue.items.is_empty() && (is_due || queue.is_closed)) {
                    let count = queue.items.len().min(most);
                    let entries: Vec<Entry> = queue.items.drain(..count).collect();
                    queue.under_way = entries.first().map(|entry| entry.sequence);
                    drop(queue);
                    self.room.notify_all();
                    return Some(Batch::new(entries));
                }
                if queue.is_closed {
                    return None;
                }
                if queue.items.is_empty() {
                    deadline = None;
                } else if deadline.is_none() {
                    deadline = Some(Instant::now() + core.config.queue.batch_send_deadline);
                }
            }
            match deadline {
                None => self.filled.notified().await,
                Some(deadline) => {
                    tokio::time::timeout_at(deadline, self.filled.notified()).await.ok();
                }
            }
        }
    }
}
