//! What a service is to whoever runs it: a `main`, or `watchbell` with five of them.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::failure::{BoxError, Failure};
use crate::lifecycle::{Lifecycle, StopReport, StopWish};

/// A service that has bound its sockets. Its constructor (`new`, async, in the service's own crate) opens what it needs and
/// gives it back where something fails; `:0` addresses work.
pub trait App: Send + Sync + 'static {
    /// The service's life.
    fn lifecycle(&self) -> &Lifecycle;

    /// Starts to serve and starts the tasks; returns when all is under way. The app calls [`Lifecycle::set_ready`] itself,
    /// here or later from a task.
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>>;

    /// Loads the configuration again; a bad one changes nothing.
    fn reload(&self) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(self.lifecycle().reload())
    }

    /// Stops within `grace`. Can be called again.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, StopReport> {
        Box::pin(self.lifecycle().stop(grace))
    }

    /// Starts, waits until the app wants to end or `end` completes, and stops. Where a task panicked the panic goes on from
    /// here after stopping: who runs several services catches it and starts this one again.
    fn run<'a>(
        &'a self,
        end: BoxFuture<'a, ()>,
        grace: Duration,
    ) -> BoxFuture<'a, Result<StopReport, Failure>> {
        Box::pin(async move {
            if let Err(failure) = self.start().await {
                self.stop(grace).await;
                return Err(failure);
            }
            let wish = tokio::select! {
                wish = self.lifecycle().wants_to_stop() => wish,
                () = end => StopWish::Asked,
            };
            let report = self.stop(grace).await;
            match wish {
                StopWish::Asked => Ok(report),
                StopWish::Failed(reason) => Err(Failure::runtime(reason)),
                StopWish::Panicked(reason) => std::panic::resume_unwind(Box::new(reason)),
            }
        })
    }
}
