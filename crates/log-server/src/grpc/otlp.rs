//! OpenTelemetry's `LogsService`: logs over gRPC.

use std::sync::Arc;

use prost::Message;
use resources::{CpuClass, RequestContext};
use tonic::{Request, Response, Status};
use wire::otlp::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse, logs_service_server,
};

use crate::error::ApiError;
use crate::ingest::{PushOutcome, otlp_streams};
use crate::server::{Server, blocking};

/// How long a sender is asked to wait.
const RETRY_AFTER_SECONDS: u32 = 1;

pub(super) struct OtlpLogs(pub(super) Arc<Server>);

#[tonic::async_trait]
impl logs_service_server::LogsService for OtlpLogs {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let scope = super::scope(&self.0, &request, CpuClass::Ingest)?;
        let (server, ctx) = (Arc::clone(&self.0), scope.context);
        let message = request.into_inner();
        let outcome =
            blocking(move || store(&server, &ctx, message)).await.map_err(|error| refused(&error))?;
        Ok(Response::new(ExportLogsServiceResponse { partial_success: partial_success(&outcome) }))
    }
}

fn store(
    server: &Server,
    ctx: &RequestContext,
    request: ExportLogsServiceRequest,
) -> Result<PushOutcome, ApiError> {
    let limits = server.limits_of(&ctx.tenant);
    let exceeded =
        |error: resources::MemoryExceeded| ApiError::new(model::ErrorCode::LimitExceeded, error.to_string());
    let mut memory = ctx.memory.reserve(request.encoded_len() as u64).map_err(exceeded)?;
    let streams = otlp_streams(request, &limits.otlp, server.now_ns(), &mut memory)?;
    if streams.is_empty() {
        return Ok(PushOutcome::default());
    }
    server.ingester.push(ctx, &limits, streams)
}

/// What the protocol wants to hear where some records were refused for good: the others must not be sent again.
fn partial_success(outcome: &PushOutcome) -> Option<ExportLogsPartialSuccess> {
    (outcome.rejected > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(outcome.rejected).unwrap_or(i64::MAX),
        error_message: outcome.messages.join("\n"),
    })
}

/// An error. Senders drop what is answered by "resource exhausted" unless it says when to try again.
fn refused(error: &ApiError) -> Status {
    let plain = error.to_grpc();
    if !error.code.retryable() {
        return plain;
    }
    let details =
        wire::rpc::Status { code: plain.code() as i32, message: error.message.clone(), details: Vec::new() };
    let details = details.retry_after(RETRY_AFTER_SECONDS).encode_to_vec();
    Status::with_details(plain.code(), error.message.as_str(), details.into())
}
