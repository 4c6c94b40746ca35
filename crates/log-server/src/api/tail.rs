//! `tail`: new lines over a WebSocket, and the feed that gRPC shares.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures::future::BoxFuture;
use log_storage_api::Direction;
use logql::{LogQuery, ResultEntry, ResultStream, StreamCollector, TailFilter};
use logql_syntax::{Expr, LogExpr};
use model::{ErrorCode, TimestampNs};
use resources::RequestContext;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::call::Call;
use super::encode;
use crate::error::ApiError;
use crate::live::LiveBatch;
use crate::server::{Server, blocking};

/// The longest `delay_for`, in seconds.
const DELAY_MAX_SECONDS: u64 = 5;
/// How often a client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Lines of the first frame where nothing else is asked for.
const LIMIT: usize = 100;
/// The longest reason of a close frame, in bytes.
const REASON_BYTES_MAX: usize = 120;

/// What a tail shows.
#[derive(Clone, Debug)]
struct TailRequest {
    expr: Expr,
    start: TimestampNs,
    limit: usize,
    delay: Duration,
    categorizes: bool,
}

pub(super) async fn tail(
    State(server): State<Arc<Server>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    call: Call,
) -> Result<Response, ApiError> {
    let delay = call.params.number("delay_for", 0u64)?;
    if delay > DELAY_MAX_SECONDS {
        return Err(ApiError::bad_request(format!("delay_for can't be greater than {DELAY_MAX_SECONDS}")));
    }
    let (start, _) = call.params.bounds(server.now_ns())?;
    let expr = logql_syntax::parse(call.query()?)?;
    logql::check(&expr)?;
    let request = TailRequest {
        expr,
        start,
        limit: call.params.number("limit", LIMIT)?,
        delay: Duration::from_secs(delay),
        categorizes: call.categorizes_labels(),
    };
    let upgrade = upgrade.map_err(|rejection| {
        ApiError::bad_request(format!(
            "websocket: the client is not using the websocket protocol: {rejection}"
        ))
    })?;
    let mut ctx = call.scope.context;
    ctx.timeout = None;
    Ok(upgrade.on_upgrade(move |socket| serve(server, ctx, request, socket)))
}

async fn serve(server: Arc<Server>, ctx: RequestContext, request: TailRequest, mut socket: WebSocket) {
    let reason = match stream(&server, &ctx, request, &mut socket).await {
        Ok(()) => return,
        Err(error) => error.message,
    };
    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at));
    let reason = reason[..end.unwrap_or(0)].to_owned();
    let close = CloseFrame { code: close_code::ERROR, reason: reason.into() };
    // A client that has left needs no reason.
    socket.send(Message::Close(Some(close))).await.ok();
}

/// Sends frames until the client leaves (fine) or something ends the tail (an error that it is told).
async fn stream(
    server: &Arc<Server>,
    ctx: &RequestContext,
    request: TailRequest,
    socket: &mut WebSocket,
) -> Result<(), ApiError> {
    let Expr::Log(expr) = request.expr else {
        return Err(ApiError::bad_request("only log selector is supported"));
    };
    let _turn = Turn::take(server, ctx)?;
    let (mut feed, first) =
        TailFeed::start(server, ctx, expr, request.start, request.limit, request.categorizes).await?;
    if !first.is_empty() && send(socket, &first, 0, request.categorizes).await.is_err() {
        return Ok(());
    }
    let duration_max = server.loaded.read().config.tail_max_duration;
    let end = tokio::time::sleep(duration_max);
    tokio::pin!(end);
    let mut ping = tokio::time::interval(PING_INTERVAL);
    loop {
        tokio::select! {
            () = &mut end => {
                return Err(ApiError::bad_request("reached tail max duration limit (querier.tail_max_duration)"));
            }
            () = server.lifecycle.draining().cancelled() => {
                return Err(ApiError::new(ErrorCode::Unavailable, "the server is stopping"));
            }
            batch = feed.next() => {
                let Some((streams, dropped)) = batch? else { return Ok(()) };
                if !request.delay.is_zero() {
                    tokio::time::sleep(request.delay).await;
                }
                let is_empty = streams.is_empty() && dropped == 0;
                if !is_empty && send(socket, &streams, dropped, request.categorizes).await.is_err() {
                    return Ok(());
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            _ = ping.tick() => {
                if socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

async fn send(
    socket: &mut WebSocket,
    streams: &[ResultStream],
    dropped: u64,
    categorizes: bool,
) -> Result<(), axum::Error> {
    let mut frame = String::from("{");
    if categorizes {
        frame.push_str(r#""encodingFlags":["categorize-labels"],"#);
    }
    frame.push_str(r#""streams":"#);
    encode::push_streams(&mut frame, streams, categorizes);
    if dropped > 0 {
        // Which lines they were is not known any more: only that there were some.
        let newest = streams.iter().flat_map(|stream| &stream.entries).map(|entry| entry.timestamp).max();
        frame.push_str(&format!(
            r#","dropped_entries":[{{"labels":{{}},"timestamp":"{}"}}]"#,
            newest.unwrap_or(0)
        ));
    }
    frame.push('}');
    socket.send(Message::Text(frame.into())).await
}

/// One of the tenant's tails.
pub(crate) struct Turn(Arc<Server>);

impl Turn {
    pub(crate) fn take(server: &Arc<Server>, ctx: &RequestContext) -> Result<Self, ApiError> {
        let max = server.limits_of(&ctx.tenant).tails_max;
        let turn = Self(Arc::clone(server));
        let open = server.tails.fetch_add(1, Ordering::AcqRel) + 1;
        server.ingester.metrics.tails.set(open as f64);
        if max > 0 && open > max {
            return Err(ApiError::new(
                ErrorCode::LimitExceeded,
                format!("max concurrent tail requests limit exceeded, count > limit ({open} > {max})"),
            ));
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let open = self.0.tails.fetch_sub(1, Ordering::AcqRel) - 1;
        self.0.ingester.metrics.tails.set(open as f64);
    }
}

/// The filter back, and the lines that it let through.
type Filtered = Result<(TailFilter, Vec<ResultStream>), ApiError>;

/// New lines that match a query.
pub(crate) struct TailFeed {
    receiver: broadcast::Receiver<Arc<LiveBatch>>,
    /// Taken out while it works on another thread.
    filter: Option<TailFilter>,
    /// What goes on there.
    work: Option<BoxFuture<'static, Filtered>>,
    /// Batches that were missed since the last lines.
    dropped: u64,
    ctx: RequestContext,
    categorizes: bool,
    /// What the first lines were: they may come again, as listening began before they were read.
    shown: Shown,
}

/// Lines that were shown, by hash.
struct Shown {
    hasher: RandomState,
    hashes: HashSet<u64>,
    newest: TimestampNs,
}

impl Shown {
    fn hash(&self, labels: &[(String, String)], entry: &ResultEntry) -> u64 {
        self.hasher.hash_one((labels, entry.timestamp, &entry.line))
    }

    /// The streams without what was shown already.
    fn without_repeats(&self, mut streams: Vec<ResultStream>) -> Vec<ResultStream> {
        if self.hashes.is_empty() {
            return streams;
        }
        for stream in &mut streams {
            let labels = std::mem::take(&mut stream.labels);
            stream.entries.retain(|entry| {
                entry.timestamp > self.newest || !self.hashes.contains(&self.hash(&labels, entry))
            });
            stream.labels = labels;
        }
        streams.retain(|stream| !stream.entries.is_empty());
        streams
    }
}

impl TailFeed {
    /// Begins to listen, and reads the newest lines since `start`, oldest first.
    pub(crate) async fn start(
        server: &Arc<Server>,
        ctx: &RequestContext,
        expr: LogExpr,
        start: TimestampNs,
        limit: usize,
        categorizes: bool,
    ) -> Result<(Self, Vec<ResultStream>), ApiError> {
        let receiver = server.ingester.live.subscribe();
        let now = server.now_ns();
        let filter = TailFilter::new(ctx, &expr, now)?;
        let limits = server.limits_of(&ctx.tenant);
        let limit = if limits.entries_max > 0 { limit.min(limits.entries_max) } else { limit };
        let (store, engine, query_ctx) =
            (Arc::clone(&server.ingester.store), server.engine(&limits), ctx.clone());
        let first = blocking(move || {
            let query = LogQuery {
                expr,
                start,
                end: TimestampNs::MAX,
                limit: Some(limit),
                direction: Direction::Backward,
                interval: 0,
            };
            let mut collector = collector(&query_ctx, categorizes)?;
            engine.log_query(&query_ctx, &*store, &query, &mut collector)?;
            let mut streams = collector.finish();
            streams.iter_mut().for_each(|stream| stream.entries.reverse());
            Ok(streams)
        })
        .await?;
        let mut shown =
            Shown { hasher: RandomState::new(), hashes: HashSet::new(), newest: TimestampNs::MIN };
        for stream in &first {
            for entry in &stream.entries {
                let hash = shown.hash(&stream.labels, entry);
                shown.hashes.insert(hash);
                shown.newest = shown.newest.max(entry.timestamp);
            }
        }
        Ok((
            Self {
                receiver,
                filter: Some(filter),
                work: None,
                dropped: 0,
                ctx: ctx.clone(),
                categorizes,
                shown,
            },
            first,
        ))
    }

    /// The next lines, and how many batches were missed before them. `None` at the end. Dropping the future loses nothing:
    /// what it was at goes on with the next call.
    pub(crate) async fn next(&mut self) -> Result<Option<(Vec<ResultStream>, u64)>, ApiError> {
        loop {
            if let Some(work) = &mut self.work {
                let outcome = work.await;
                self.work = None;
                let (filter, streams) = outcome?;
                self.filter = Some(filter);
                let streams = self.shown.without_repeats(streams);
                if !streams.is_empty() || self.dropped > 0 {
                    return Ok(Some((streams, std::mem::take(&mut self.dropped))));
                }
            }
            match self.receiver.recv().await {
                Ok(batch) if batch.tenant == self.ctx.tenant => self.begin(batch)?,
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => self.dropped += missed,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Begins to filter a batch on another thread.
    fn begin(&mut self, batch: Arc<LiveBatch>) -> Result<(), ApiError> {
        let Some(mut filter) = self.filter.take() else {
            return Err(ApiError::new(ErrorCode::Internal, "the tail's filter is gone"));
        };
        let mut collector = collector(&self.ctx, self.categorizes)?;
        self.work = Some(Box::pin(blocking(move || {
            for stream in &batch.streams {
                for entry in &stream.entries {
                    filter.apply(&stream.labels, entry, &mut collector)?;
                }
            }
            Ok((filter, collector.finish()))
        })));
        Ok(())
    }
}

fn collector(ctx: &RequestContext, categorizes: bool) -> Result<StreamCollector, ApiError> {
    Ok(if categorizes { StreamCollector::categorizing(ctx)? } else { StreamCollector::merging(ctx)? })
}
