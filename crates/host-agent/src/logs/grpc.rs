//! Delivery over `watchbell.delivery.v1`: one stream, one batch under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::tokio_stream::StreamExt as _;
use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};
use tracing::Instrument as _;
use wire::delivery::deliver_request::Message as Ask;
use wire::delivery::deliver_response::Message as Answer;
use wire::delivery::delivery_client::DeliveryClient;
use wire::delivery::{Ack, Batch as WireBatch, DeliverRequest, DeliverResponse, Hello};

use super::delivery::Event;
use super::link::{LinkCommand, LinkHealth};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may take for one batch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection that was cut without a word is noticed by then.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The link to one server.
#[derive(Debug)]
pub(super) struct GrpcLink {
    pub(super) endpoint: String,
    /// The agent's name, with which all sources' names begin.
    pub(super) agent: Arc<str>,
    pub(super) health: Arc<LinkHealth>,
}

/// An open stream.
struct Session {
    requests: mpsc::Sender<DeliverRequest>,
    answers: Streaming<DeliverResponse>,
}

impl GrpcLink {
    /// Does what it is told until nobody tells it anything more.
    pub(super) async fn run(
        self,
        mut commands: mpsc::Receiver<LinkCommand>,
        events: mpsc::UnboundedSender<Event>,
    ) {
        let mut session: Option<Session> = None;
        loop {
            let command = match &mut session {
                None => commands.recv().await,
                Some(open) => tokio::select! {
                    command = commands.recv() => command,
                    // Nothing is under way: an answer now can only be the stream's end.
                    ended = open.answers.next() => {
                        self.lost(&mut session, ended.and_then(Result::err).as_ref(), &events);
                        continue;
                    }
                },
            };
            let Some(command) = command else { return };
            match command {
                LinkCommand::Connect => match tokio::time::timeout(CONNECT_TIMEOUT, self.open()).await {
                    Ok(Ok(opened)) => {
                        self.health.up(&self.endpoint);
                        session = Some(opened);
                        events.send(Event::LinkUp).ok();
                    }
                    Ok(Err(status)) => self.lost(&mut session, Some(&status), &events),
                    Err(_) => self.lost(&mut session, Some(&Status::deadline_exceeded("no answer")), &events),
                },
                LinkCommand::Send { sequence, batch } => {
                    let span = tracing::info_span!("deliver logs", server = self.endpoint, sequence);
                    let traceparent = span.in_scope(telemetry::current_traceparent);
                    let request = WireBatch { sequence, sources: batch.sources.clone(), traceparent };
                    self.send(&mut session, request, &events).instrument(span).await;
                }
            }
        }
    }

    async fn open(&self) -> Result<Session, Status> {
        let wrong = |error: tonic::transport::Error| Status::unavailable(service::error_chain(&error));
        let endpoint = Endpoint::from_shared(self.endpoint.clone())
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        let channel = endpoint.connect().await.map_err(wrong)?;
        let mut client = DeliveryClient::new(channel).max_decoding_message_size(16 << 20);
        let (requests, outgoing) = mpsc::channel(4);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let hello = Hello { agent: self.agent.to_string(), version };
        // The channel is new and has room.
        requests.try_send(DeliverRequest { message: Some(Ask::Hello(hello)) }).ok();
        let span = tracing::info_span!("connect to the log server", server = self.endpoint);
        async {
            let mut headers = http::HeaderMap::new();
            telemetry::inject_trace(&mut headers);
            let mut request = Request::new(ReceiverStream::new(outgoing));
            *request.metadata_mut() = MetadataMap::from_headers(headers);
            let mut answers = client.deliver(request).await?.into_inner();
            match answers.next().await {
                Some(Ok(DeliverResponse { message: Some(Answer::Welcome(_)) })) => {
                    Ok(Session { requests, answers })
                }
                Some(Ok(_)) => Err(Status::internal("the server did not begin with a welcome")),
                Some(Err(status)) => Err(status),
                None => Err(Status::unavailable("the server ended the stream")),
            }
        }
        .instrument(span)
        .await
    }

    async fn send(
        &self,
        session: &mut Option<Session>,
        batch: WireBatch,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        let sequence = batch.sequence;
        let Some(open) = session else {
            self.lost(session, None, events);
            return;
        };
        let request = DeliverRequest { message: Some(Ask::Batch(batch)) };
        if open.requests.send(request).await.is_err() {
            let status = open.answers.next().await.and_then(Result::err);
            self.lost(session, status.as_ref(), events);
            return;
        }
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, open.answers.next()).await;
        let event = match answer {
            Ok(Some(Ok(DeliverResponse { message: Some(Answer::Ack(ack)) }))) if ack.sequence == sequence => {
                self.acked(&ack)
            }
            Ok(Some(Ok(DeliverResponse { message: Some(Answer::SlowDown(slow)) }))) => {
                Event::SlowDown { sequence, after: Duration::from_millis(slow.retry_after_ms) }
            }
            Ok(Some(Ok(_))) => {
                let status = Status::internal("the server answered out of turn");
                self.lost(session, Some(&status), events);
                return;
            }
            Ok(Some(Err(status))) => {
                // Sent again it would be refused again, and hold up all that comes after it.
                if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) {
                    events.send(Event::Refused { sequence }).ok();
                }
                self.lost(session, Some(&status), events);
                return;
            }
            Ok(None) => {
                self.lost(session, None, events);
                return;
            }
            Err(_) => {
                self.lost(session, Some(&Status::deadline_exceeded("no acknowledgement in time")), events);
                return;
            }
        };
        events.send(event).ok();
    }

    fn acked(&self, ack: &Ack) -> Event {
        if let Some(rejection) = ack.rejections.first() {
            tracing::debug!(
                rejected = ack.rejected,
                source = rejection.source,
                reason = rejection.reason,
                "lines rejected"
            );
        }
        Event::Acked { sequence: ack.sequence, rejected: ack.rejected }
    }

    fn lost(
        &self,
        session: &mut Option<Session>,
        status: Option<&Status>,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        *session = None;
        let reason = match status {
            Some(status) if status.code() == Code::Unimplemented => {
                "it does not speak watchbell.delivery.v1: use type = \"loki\" for other servers".to_owned()
            }
            Some(status) if status.message().is_empty() => status.code().description().to_owned(),
            Some(status) => status.message().to_owned(),
            None => "the stream ended".to_owned(),
        };
        self.health.down(&self.endpoint, &reason);
        // Whoever waits for it may have ended.
        events.send(Event::LinkDown).ok();
    }
}
