//! The gRPC services: Loki's, OpenTelemetry's logs, agents' deliveries, queries of the gateway.

mod delivery;
mod logs_query;
mod otlp;
mod pusher;
mod querier;

use std::pin::Pin;
use std::sync::Arc;

use logql::QueryStats;
use resources::{CpuClass, Principal};
use service::RequestScope;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Status};
use wire::delivery::delivery_server::DeliveryServer;
use wire::logs::logs_query_server::LogsQueryServer;
use wire::loki::pusher_server::PusherServer;
use wire::loki::querier_server::QuerierServer;
use wire::otlp::logs_service_server::LogsServiceServer;

use crate::server::Server;

/// A streamed answer.
type Streamed<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

/// All services. Messages may be as large as a push body.
pub(crate) fn routes(server: &Arc<Server>) -> Routes {
    let bytes_max = usize::try_from(server.loaded.read().config.push_bytes_max).unwrap_or(usize::MAX);
    // Collectors compress what they send unless they are told not to; the bound holds for what it expands to.
    let pusher = PusherServer::new(pusher::Pusher(Arc::clone(server)))
        .max_decoding_message_size(bytes_max)
        .accept_compressed(CompressionEncoding::Gzip);
    let otlp = LogsServiceServer::new(otlp::OtlpLogs(Arc::clone(server)))
        .max_decoding_message_size(bytes_max)
        .accept_compressed(CompressionEncoding::Gzip);
    let delivery =
        DeliveryServer::new(delivery::Delivery(Arc::clone(server))).max_decoding_message_size(bytes_max);
    let query = LogsQueryServer::new(logs_query::LogsQuery(Arc::clone(server)));
    let querier = QuerierServer::new(querier::Querier(Arc::clone(server)));
    let routes = Routes::new(pusher).add_service(otlp).add_service(delivery);
    routes.add_service(query).add_service(querier)
}

fn scope<T>(server: &Server, request: &Request<T>, class: CpuClass) -> Result<RequestScope, Status> {
    let principal = request.extensions().get::<Principal>();
    server
        .contexts
        .from_headers(request.metadata().as_ref(), principal, class)
        .map_err(|error| service::grpc_status(error.code(), error.to_string()))
}

/// What an asker should know of an answer.
fn warnings(stats: &QueryStats) -> Vec<String> {
    match stats.scan.blocks_damaged {
        0 => Vec::new(),
        damaged => vec![format!("{damaged} damaged blocks were left out: lines are missing")],
    }
}
