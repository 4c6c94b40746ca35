//! Keeps where reading began at the first contact: an agent that is killed before the first acknowledgement goes on from
//! there, not from a later "newest lines".

use std::sync::Arc;

use tokio::sync::mpsc;

use super::delivery::Action;
use super::line::Position;

/// Tells the disk where sources begin. It does not keep the disk's task alive.
#[derive(Clone, Debug)]
pub(super) struct Beginnings(mpsc::WeakUnboundedSender<Action>);

impl Beginnings {
    pub(super) fn new(disk: &mpsc::UnboundedSender<Action>) -> Self {
        Self(disk.downgrade())
    }

    /// Saves positions of sources none of whose lines has been handed over.
    pub(super) fn save(&self, positions: Vec<(Arc<str>, Position)>) {
        if let Some(disk) = self.0.upgrade() {
            // Where the disk's task has ended, so has delivery.
            disk.send(Action::Save { positions, acked_seq: None, disk_empty: false }).ok();
        }
    }
}
