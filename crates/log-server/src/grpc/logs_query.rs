//! Queries of the gateway, answered as streams.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_stream::try_stream;
use log_storage_api::{Direction, StreamStats};
use logql::{MetricAnswer, Point, QueryStats, ResultStream};
use model::{ErrorCode, Labels};
use resources::{CpuClass, RequestContext};
use service::RequestScope;
use tonic::{Request, Response, Status};
use wire::logs::query_response::Part;
use wire::logs::{
    Entry, Header, InstantRequest, Label, LabelNamesRequest, LabelSet, LabelValuesRequest, LabelsResponse,
    QueryResponse, RangeRequest, ResultType, Series, SeriesBatch, SeriesRequest, SeriesResponse, Stream,
    StreamBatch, TailRequest, TailResponse, Trailer, logs_query_server,
};

use super::Streamed;
use crate::api::{
    QueryKind, RangeRequest as RangeQuery, RangeResult, TailFeed, Turn, checked_instant, checked_range,
    run_instant, run_range, selector, streams,
};
use crate::error::ApiError;
use crate::server::Server;

/// How many entries or series a part of an answer holds.
const PART_ITEMS: usize = 1000;
/// How many lines are answered where nothing else is asked for.
const LIMIT: u32 = 100;

pub(super) struct LogsQuery(pub(super) Arc<Server>);

impl LogsQuery {
    fn scope<T>(&self, request: &Request<T>) -> Result<RequestScope, Status> {
        let scope = super::scope(&self.0, request, CpuClass::Query)?;
        let timeout = self.0.limits_of(&scope.context.tenant).query_timeout;
        Ok(scope.with_timeout(Some(timeout)))
    }

    async fn streams_of(
        &self,
        scope: RequestScope,
        selectors: &[String],
        (start, end): (i64, i64),
    ) -> Result<Vec<StreamStats>, Status> {
        let mut compiled = selectors
            .iter()
            .map(|text| selector(Some(text)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_grpc())?;
        if compiled.is_empty() {
            compiled.push(Vec::new());
        }
        let store = Arc::clone(&self.0.ingester.store);
        let work = move |ctx: &RequestContext| streams(ctx, &*store, compiled, start, end);
        self.0.run_query(scope, work).await.map_err(|error| error.to_grpc())
    }
}

#[tonic::async_trait]
impl logs_query_server::LogsQuery for LogsQuery {
    type RangeStream = Streamed<QueryResponse>;
    type InstantStream = Streamed<QueryResponse>;
    type TailStream = Streamed<TailResponse>;
    type SeriesStream = Streamed<SeriesResponse>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<Self::RangeStream>, Status> {
        let scope = self.scope(&request)?;
        let started = self.0.ingester.clock.monotonic();
        let message = request.into_inner();
        let limits = self.0.limits_of(&scope.context.tenant);
        let asked = RangeQuery {
            start: message.start_ns,
            end: message.end_ns,
            step: (message.step_ns != 0).then_some(message.step_ns),
            limit: if message.limit == 0 { LIMIT } else { message.limit } as usize,
            direction: if message.forward { Direction::Forward } else { Direction::Backward },
            interval: 0,
        };
        if asked.end < asked.start {
            return Err(Status::invalid_argument("end timestamp must not be before or equal to start time"));
        }
        let range = checked_range(&message.query, asked, &limits, self.0.now_ns())
            .map_err(|error| error.to_grpc())?;
        let result_type = match range.kind {
            QueryKind::Log { .. } => ResultType::Streams,
            QueryKind::Metric { .. } => ResultType::Matrix,
        };
        let (store, engine) = (Arc::clone(&self.0.ingester.store), self.0.engine(&limits));
        let work = move |ctx: &RequestContext| run_range(ctx, &*store, engine, &range, true);
        let (result, stats) = self.0.run_query(scope, work).await.map_err(|error| error.to_grpc())?;
        let parts = match result {
            RangeResult::Streams(streams) => stream_parts(streams),
            RangeResult::Metric(answer) => series_parts(answer),
        };
        let took = self.0.ingester.clock.monotonic().saturating_sub(started);
        Ok(Response::new(answer(result_type, parts, &stats, took.as_micros() as u64)))
    }

    async fn instant(
        &self,
        request: Request<InstantRequest>,
    ) -> Result<Response<Self::InstantStream>, Status> {
        let scope = self.scope(&request)?;
        let started = self.0.ingester.clock.monotonic();
        let message = request.into_inner();
        let limits = self.0.limits_of(&scope.context.tenant);
        let expr = checked_instant(&message.query, &limits).map_err(|error| error.to_grpc())?;
        let (store, engine) = (Arc::clone(&self.0.ingester.store), self.0.engine(&limits));
        let work =
            move |ctx: &RequestContext| run_instant(ctx, &*store, engine, &expr, message.time_ns, &limits);
        let (result, stats) = self.0.run_query(scope, work).await.map_err(|error| error.to_grpc())?;
        let result_type = match &result {
            MetricAnswer::Scalar(_) => ResultType::Scalar,
            MetricAnswer::Vector(_) | MetricAnswer::Matrix(_) => ResultType::Vector,
        };
        let took = self.0.ingester.clock.monotonic().saturating_sub(started);
        Ok(Response::new(answer(result_type, series_parts(result), &stats, took.as_micros() as u64)))
    }

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let scope = super::scope(&self.0, &request, CpuClass::Query)?;
        let mut ctx = scope.context;
        ctx.timeout = None;
        let message = request.into_inner();
        let expr =
            logql_syntax::parse_log(&message.query).map_err(|error| ApiError::from(error).to_grpc())?;
        let turn = Turn::take(&self.0, &ctx).map_err(|error| error.to_grpc())?;
        let (mut feed, first) =
            TailFeed::start(&self.0, &ctx, expr, message.start_ns, message.limit as usize, true)
                .await
                .map_err(|error| error.to_grpc())?;
        let lifecycle = self.0.lifecycle.clone();
        let stream = try_stream! {
            let _turn = turn;
            yield TailResponse { streams: first.into_iter().map(stream_message).collect(), dropped: 0 };
            loop {
                let batch = tokio::select! {
                    batch = feed.next() => batch,
                    () = lifecycle.draining().cancelled() => {
                        Err(ApiError::new(ErrorCode::Unavailable, "the server is stopping"))
                    }
                };
                let Some((streams, dropped)) = batch.map_err(|error| error.to_grpc())? else { break };
                yield TailResponse { streams: streams.into_iter().map(stream_message).collect(), dropped };
            }
        };
        Ok(Response::new(Box::pin(stream)))
    }

    async fn label_names(
        &self,
        request: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelsResponse>, Status> {
        let scope = self.scope(&request)?;
        let message = request.into_inner();
        let range = (message.start_ns, message.end_ns);
        let found = self.streams_of(scope, &[message.selector], range).await?;
        let names: BTreeSet<&str> =
            found.iter().flat_map(|stats| stats.stream.labels.iter().map(|(name, _)| name)).collect();
        Ok(Response::new(LabelsResponse { values: names.into_iter().map(str::to_owned).collect() }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelsResponse>, Status> {
        let scope = self.scope(&request)?;
        let message = request.into_inner();
        let range = (message.start_ns, message.end_ns);
        let found = self.streams_of(scope, &[message.selector], range).await?;
        let values: BTreeSet<&str> =
            found.iter().filter_map(|stats| stats.stream.labels.get(&message.name)).collect();
        Ok(Response::new(LabelsResponse { values: values.into_iter().map(str::to_owned).collect() }))
    }

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let scope = self.scope(&request)?;
        let message = request.into_inner();
        let range = (message.start_ns, message.end_ns);
        let found = self.streams_of(scope, &message.selectors, range).await?;
        let sets: BTreeSet<Labels> = found.iter().map(|stats| stats.stream.labels.clone()).collect();
        let sets: Vec<LabelSet> =
            sets.iter().map(|labels| LabelSet { labels: labels_message(labels) }).collect();
        let parts: Vec<Result<SeriesResponse, Status>> =
            sets.chunks(PART_ITEMS).map(|part| Ok(SeriesResponse { series: part.to_vec() })).collect();
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }
}

/// A header, the parts and a trailer.
fn answer(
    result_type: ResultType,
    parts: Vec<Part>,
    stats: &QueryStats,
    exec_time_us: u64,
) -> Streamed<QueryResponse> {
    let header = Part::Header(Header { result_type: result_type.into() });
    let trailer = Part::Trailer(Trailer {
        warnings: super::warnings(stats),
        lines_scanned: stats.scan.entries_scanned,
        bytes_scanned: stats.scan.bytes_scanned,
        exec_time_us,
    });
    let all = std::iter::once(header).chain(parts).chain(std::iter::once(trailer));
    let messages: Vec<_> = all.map(|part| Ok(QueryResponse { part: Some(part) })).collect();
    Box::pin(futures::stream::iter(messages))
}

fn stream_parts(streams: Vec<ResultStream>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut batch = StreamBatch::default();
    let mut entries = 0;
    for stream in streams {
        entries += stream.entries.len();
        batch.streams.push(stream_message(stream));
        if entries >= PART_ITEMS {
            parts.push(Part::Streams(std::mem::take(&mut batch)));
            entries = 0;
        }
    }
    if !batch.streams.is_empty() {
        parts.push(Part::Streams(batch));
    }
    parts
}

fn stream_message(stream: ResultStream) -> Stream {
    let entries = stream.entries.into_iter().map(|entry| Entry {
        timestamp_ns: entry.timestamp,
        line: entry.line,
        structured_metadata: pairs_message(entry.structured_metadata),
        parsed: pairs_message(entry.parsed),
    });
    Stream { labels: pairs_message(stream.labels), entries: entries.collect() }
}

fn series_parts(answer: MetricAnswer) -> Vec<Part> {
    let one = |labels: &Labels, points: &[Point]| Series {
        labels: labels_message(labels),
        timestamps_ms: points.iter().map(|point| point.timestamp).collect(),
        values: points.iter().map(|point| point.value).collect(),
    };
    let series: Vec<Series> = match answer {
        MetricAnswer::Scalar(point) => vec![one(&Labels::empty(), &[point])],
        MetricAnswer::Vector(points) => points.iter().map(|(labels, point)| one(labels, &[*point])).collect(),
        MetricAnswer::Matrix(series) => {
            series.iter().map(|series| one(&series.labels, &series.points)).collect()
        }
    };
    series.chunks(PART_ITEMS).map(|part| Part::Series(SeriesBatch { series: part.to_vec() })).collect()
}

fn labels_message(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

fn pairs_message(pairs: Vec<(String, String)>) -> Vec<Label> {
    pairs.into_iter().map(|(name, value)| Label { name, value }).collect()
}
