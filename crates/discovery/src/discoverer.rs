//! What a kind of discovery is.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::discovery::Shared;
use crate::target_group::TargetGroup;

/// Finds targets until it is told to stop.
pub trait Discoverer: Debug + Send {
    /// Runs until [`Updates::stopped`] resolves; gives every new state of all its groups to [`Updates::set`].
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Where a discoverer puts what it finds.
#[derive(Clone, Debug)]
pub struct Updates {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: usize,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Updates {
    /// Replaces the groups of this discoverer.
    pub fn set(&self, groups: Vec<TargetGroup>) {
        self.shared.set(self.slot, groups);
    }

    /// Resolves when the discoverer is to end.
    pub async fn stopped(&mut self) {
        // An error means that the discovery is gone, which is a stop as well.
        self.stop.wait_for(|stop| *stop).await.ok();
    }
}
