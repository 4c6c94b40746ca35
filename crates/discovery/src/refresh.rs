//! Discoveries that ask again and again.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use crate::discoverer::{Discoverer, Updates};
use crate::metrics::Metrics;
use crate::target_group::TargetGroup;

/// What a refresh yields.
pub(crate) type Refreshed<'a> = Pin<Box<dyn Future<Output = Result<Vec<TargetGroup>, String>> + Send + 'a>>;

/// Asks once.
pub(crate) trait Refresh: Debug + Send {
    /// The kind's name.
    fn kind(&self) -> &'static str;

    /// How often to ask.
    fn interval(&self) -> Duration;

    /// All groups as they are now.
    fn refresh(&mut self) -> Refreshed<'_>;
}

/// Drives a [`Refresh`]; a failure keeps the last good groups.
#[derive(Debug)]
pub(crate) struct Refreshing<R> {
    pub(crate) inner: R,
    pub(crate) metrics: Metrics,
}

impl<R: Refresh + 'static> Refreshing<R> {
    async fn drive(mut self, mut updates: Updates) {
        loop {
            tokio::select! {
                () = updates.stopped() => return,
                refreshed = self.inner.refresh() => match refreshed {
                    Ok(groups) => updates.set(groups),
                    Err(error) => {
                        self.metrics.refresh_failures.with(&[self.inner.kind()]).inc();
                        tracing::error!(kind = self.inner.kind(), error, "cannot refresh targets");
                    }
                }
            }
            tokio::select! {
                () = updates.stopped() => return,
                () = tokio::time::sleep(self.inner.interval()) => {}
            }
        }
    }
}

impl<R: Refresh + 'static> Discoverer for Refreshing<R> {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.drive(updates))
    }
}
