//! Loki's `logproto.Pusher`.

use std::sync::Arc;

use resources::CpuClass;
use tonic::{Request, Response, Status};
use wire::loki::pusher_server;
use wire::loki::{PushRequest, PushResponse};

use crate::ingest::from_proto;
use crate::server::{Server, blocking};

pub(super) struct Pusher(pub(super) Arc<Server>);

#[tonic::async_trait]
impl pusher_server::Pusher for Pusher {
    async fn push(&self, request: Request<PushRequest>) -> Result<Response<PushResponse>, Status> {
        let scope = super::scope(&self.0, &request, CpuClass::Ingest)?;
        let (server, ctx) = (Arc::clone(&self.0), scope.context);
        let message = request.into_inner();
        blocking(move || {
            let limits = server.limits_of(&ctx.tenant);
            server.ingester.push(&ctx, &limits, from_proto(message)?)?.into_result()
        })
        .await
        .map_err(|error| error.to_grpc())?;
        Ok(Response::new(PushResponse {}))
    }
}
