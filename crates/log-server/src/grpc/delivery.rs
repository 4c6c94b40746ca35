//! Agents' deliveries: at least once on the wire, once in the store.

use std::sync::Arc;

use async_stream::try_stream;
use log_storage_api::{BatchEntry, EntrySource, LogBatch, SourcePlace, StreamEntries};
use model::ErrorCode;
use resources::{CpuClass, RequestContext};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use wire::delivery::deliver_request::Message as Incoming;
use wire::delivery::deliver_response::Message as Outgoing;
use wire::delivery::{
    Ack, Batch, DeliverRequest, DeliverResponse, Hello, Rejection, SlowDown, SourceLines, SourcePosition,
    Welcome, delivery_server,
};

use super::Streamed;
use crate::error::ApiError;
use crate::ingest::{entry_bytes, rejection_reason, validated};
use crate::server::{Server, blocking};

/// How many batches an agent may have under way.
const BATCHES_IN_FLIGHT_MAX: u32 = 4;
/// The most bytes of a batch.
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// How long an agent is asked to wait.
const RETRY_AFTER_MS: u64 = 1000;
/// The most rejections that an acknowledgement lists.
const LISTED_MAX: usize = 10;

pub(super) struct Delivery(pub(super) Arc<Server>);

#[tonic::async_trait]
impl delivery_server::Delivery for Delivery {
    type DeliverStream = Streamed<DeliverResponse>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let scope = super::scope(&self.0, &request, CpuClass::Ingest)?;
        let mut ctx = scope.context;
        // The stream lives for as long as the agent does.
        ctx.timeout = None;
        let server = Arc::clone(&self.0);
        let mut incoming = request.into_inner();
        let stream = try_stream! {
            let mut agent = None;
            loop {
                let message = tokio::select! {
                    message = incoming.message() => message,
                    () = server.lifecycle.draining().cancelled() => Ok(None),
                };
                let Some(message) = message?.and_then(|request| request.message) else { break };
                let answer = match (message, &agent) {
                    (Incoming::Hello(hello), _) => {
                        let welcome = welcome(&server, &ctx, &hello).await?;
                        agent = Some(hello.agent);
                        Outgoing::Welcome(welcome)
                    }
                    (Incoming::Batch(batch), Some(agent)) => take(&server, &ctx, agent, batch).await?,
                    (Incoming::Batch(_), None) => {
                        Err(Status::failed_precondition("a stream begins with hello"))?
                    }
                };
                yield DeliverResponse { message: Some(answer) };
            }
        };
        Ok(Response::new(Box::pin(stream)))
    }
}

async fn welcome(server: &Arc<Server>, ctx: &RequestContext, hello: &Hello) -> Result<Welcome, Status> {
    if hello.agent.is_empty() {
        return Err(Status::invalid_argument("an agent needs a name"));
    }
    let (store, ctx, prefix) = (Arc::clone(&server.ingester.store), ctx.clone(), format!("{}/", hello.agent));
    let positions =
        blocking(move || Ok(store.positions(&ctx, &prefix)?)).await.map_err(|error| error.to_grpc())?;
    tracing::info!(
        agent = hello.agent,
        version = hello.version,
        sources = positions.len(),
        "agent connected"
    );
    let positions = positions.into_iter().map(|position| SourcePosition {
        source: position.source.to_string(),
        generation: position.generation,
        offset: position.place.offset,
        ordinal: position.place.ordinal,
    });
    Ok(Welcome {
        positions: positions.collect(),
        batches_in_flight_max: BATCHES_IN_FLIGHT_MAX,
        batch_bytes_max: BATCH_BYTES_MAX,
    })
}

/// Stores a batch. What cannot be taken now is asked for again later.
async fn take(
    server: &Arc<Server>,
    ctx: &RequestContext,
    agent: &str,
    batch: Batch,
) -> Result<Outgoing, Status> {
    let sequence = batch.sequence;
    if let Some(foreign) = batch.sources.iter().find(|source| !is_of(agent, &source.source)) {
        let message = format!("source {:?} is not of agent {agent:?}", foreign.source);
        return Err(Status::invalid_argument(message));
    }
    let span = tracing::info_span!("store a delivery", agent, sequence);
    telemetry::set_parent(&span, &batch.traceparent);
    let (worker, ctx) = (Arc::clone(server), ctx.clone());
    match blocking(move || store(&worker, &ctx, batch)).instrument(span).await {
        Ok(ack) => Ok(Outgoing::Ack(Ack { sequence, ..ack })),
        Err(error) if matches!(error.code, ErrorCode::LimitExceeded | ErrorCode::Unavailable) => {
            Ok(Outgoing::SlowDown(SlowDown {
                sequence,
                retry_after_ms: RETRY_AFTER_MS,
                reason: error.message,
            }))
        }
        Err(error) => Err(error.to_grpc()),
    }
}

fn is_of(agent: &str, source: &str) -> bool {
    source.strip_prefix(agent).is_some_and(|rest| rest.starts_with('/'))
}

fn store(server: &Server, ctx: &RequestContext, batch: Batch) -> Result<Ack, ApiError> {
    let limits = server.limits_of(&ctx.tenant);
    let mut ack = Ack::default();
    let mut streams = Vec::new();
    let (mut lines, mut bytes) = (0, 0);
    for source in batch.sources {
        let count = source.lines.len() as u64;
        let first_offset = source.lines.first().map_or(0, |line| line.offset);
        let name = source.source.clone();
        match stream(source, &limits) {
            Ok(stream) => {
                lines += count;
                bytes += stream.entries.iter().map(entry_bytes).sum::<u64>();
                streams.push(stream);
            }
            Err(reason) => {
                ack.rejected += count;
                ack.rejections.push(Rejection { source: name, offset: first_offset, reason });
            }
        }
    }
    if !streams.is_empty() {
        server.ingester.check_rate(ctx, &limits, lines, bytes)?;
        let tenant = ctx.tenant.as_str();
        server.ingester.metrics.received_lines.with(&[tenant]).add(lines);
        server.ingester.metrics.received_bytes.with(&[tenant]).add(bytes);
        let appended = server.ingester.append(ctx, &LogBatch { streams })?;
        ack.stored = appended.outcome.stored;
        ack.duplicates = appended.outcome.duplicates;
        ack.rejected += appended.outcome.rejected;
        ack.rejections.extend(appended.rejections.iter().map(|(labels, _, rejection)| Rejection {
            source: labels.to_string(),
            offset: 0,
            reason: rejection_reason(rejection).to_owned(),
        }));
    }
    ack.rejections.truncate(LISTED_MAX);
    Ok(ack)
}

fn stream(source: SourceLines, limits: &crate::config::Limits) -> Result<StreamEntries<'static>, String> {
    let labels: Vec<_> = source.labels.into_iter().map(|label| (label.name, label.value)).collect();
    let places =
        source.lines.iter().map(|line| SourcePlace { offset: line.offset, ordinal: line.ordinal }).collect();
    let entries = source.lines.into_iter().map(|line| BatchEntry {
        timestamp: line.timestamp_ns,
        line: line.text.into(),
        structured_metadata: line
            .structured_metadata
            .into_iter()
            .map(|label| (label.name, label.value))
            .collect(),
    });
    let (labels, entries) = validated(&labels, entries.collect(), limits)?;
    Ok(StreamEntries {
        labels,
        entries,
        accept_late: true,
        source: Some(EntrySource { source: source.source.into(), generation: source.generation, places }),
    })
}
