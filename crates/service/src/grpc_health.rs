//! `grpc.health.v1.Health`: what Kubernetes, Envoy and grpc-health-probe ask.

use std::pin::Pin;

use futures::Stream;
use tonic::{Request, Response, Status};
use wire::health::health_check_response::ServingStatus;
use wire::health::health_server::{Health, HealthServer};
use wire::health::{HealthCheckRequest, HealthCheckResponse};

use crate::lifecycle::{Lifecycle, Readiness};

/// How often a watcher's status is looked at.
const WATCH_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) fn service(lifecycle: &Lifecycle) -> HealthServer<Answer> {
    HealthServer::new(Answer(lifecycle.clone()))
}

/// One status for all services of the process: they are ready together.
#[derive(Clone, Debug)]
pub(crate) struct Answer(Lifecycle);

impl Answer {
    fn now(&self) -> HealthCheckResponse {
        let ready = self.0.readiness() == Readiness::Ready;
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        HealthCheckResponse { status: status.into() }
    }
}

#[tonic::async_trait]
impl Health for Answer {
    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(self.now()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The present status and its changes, until the service drains.
    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let answer = self.clone();
        Ok(Response::new(Box::pin(async_stream::stream! {
            let mut last = answer.now();
            yield Ok(last);
            let draining = answer.0.draining().clone();
            while !draining.is_cancelled() {
                tokio::select! {
                    () = draining.cancelled() => {}
                    () = tokio::time::sleep(WATCH_INTERVAL) => {}
                }
                let now = answer.now();
                if now.status != last.status {
                    last = now;
                    yield Ok(last);
                }
            }
        })))
    }
}
