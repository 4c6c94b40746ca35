//! `grpc.health.v1.Health`, written by hand: two messages of one field each, and `wire` is above this layer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use http::{Request, Response};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower_service::Service;

use crate::lifecycle::{Lifecycle, Readiness};

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, Debug)]
pub(crate) struct Health(Lifecycle);

pub(crate) fn service(lifecycle: &Lifecycle) -> Health {
    Health(lifecycle.clone())
}

impl Health {
    fn status(&self) -> i32 {
        if self.0.readiness() == Readiness::Ready { SERVING } else { NOT_SERVING }
    }

    /// The present status, and the end of serving when it comes.
    fn watch(&self) -> ResponseStream {
        let health = self.clone();
        Box::pin(async_stream::stream! {
            let mut last = health.status();
            yield Ok(HealthCheckResponse { status: last });
            let draining = health.0.draining().clone();
            while !draining.is_cancelled() {
                tokio::select! {
                    () = draining.cancelled() => {}
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                }
                let status = health.status();
                if status != last {
                    last = status;
                    yield Ok(HealthCheckResponse { status });
                }
            }
        })
    }
}

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

type ResponseStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Check(Health);

impl UnaryService<HealthCheckRequest> for Check {
    type Response = HealthCheckResponse;
    type Future = BoxFuture<Result<tonic::Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, _request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let status = self.0.status();
        Box::pin(async move { Ok(tonic::Response::new(HealthCheckResponse { status })) })
    }
}

struct Watch(Health);

impl ServerStreamingService<HealthCheckRequest> for Watch {
    type Response = HealthCheckResponse;
    type ResponseStream = ResponseStream;
    type Future = BoxFuture<Result<tonic::Response<ResponseStream>, Status>>;

    fn call(&mut self, _request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let stream = self.0.watch();
        Box::pin(async move { Ok(tonic::Response::new(stream)) })
    }
}

impl Service<Request<Body>> for Health {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let health = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<HealthCheckResponse, HealthCheckRequest>::default();
            let mut grpc = Grpc::new(codec).accept_compressed(CompressionEncoding::Gzip);
            Ok(match request.uri().path() {
                "/grpc.health.v1.Health/Check" => grpc.unary(Check(health), request).await,
                "/grpc.health.v1.Health/Watch" => grpc.server_streaming(Watch(health), request).await,
                _ => Status::new(Code::Unimplemented, "no such method").into_http(),
            })
        })
    }
}
