//! Loki's `logproto.Querier`: what its parts, and tools that speak to them, ask of an ingester.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_stream::try_stream;
use log_storage_api::{Direction, StreamStats};
use logql::ResultStream;
use logql_syntax::{LogExpr, RangeAggregation, RangeOp};
use model::{ErrorCode, Labels, TimestampNs};
use prost_types::Timestamp;
use resources::{CpuClass, RequestContext};
use service::RequestScope;
use tonic::{Request, Response, Status};
use wire::loki::{
    DetectedField, DetectedFieldsRequest, DetectedFieldsResponse, DetectedLabelsRequest,
    Direction as DirectionMessage, DroppedStream, EntryAdapter, GetChunkIDsRequest, GetChunkIDsResponse,
    IndexStatsRequest, IndexStatsResponse, LabelPairAdapter, LabelRequest, LabelResponse,
    LabelToValuesResponse, Plan, QueryRequest, QueryResponse, Sample, SampleQueryRequest,
    SampleQueryResponse, Series, SeriesIdentifier, SeriesRequest, SeriesResponse, StreamAdapter, TailRequest,
    TailResponse, TailersCountRequest, TailersCountResponse, UniqueLabelValues, Volume, VolumeRequest,
    VolumeResponse, querier_server, series_identifier,
};

use super::Streamed;
use crate::api::{
    QueryKind, RangeRequest, RangeResult, TailFeed, Turn, VolumeGrouping, checked_range, fields_of,
    run_range, selector, streams,
};
use crate::config::Limits;
use crate::error::ApiError;
use crate::server::Server;

/// How many entries a part of an answer holds.
const PART_ENTRIES: usize = 1000;
/// Lines that are looked at for fields where nothing else is asked for.
const LINE_LIMIT: usize = 1000;
/// Lines, series or fields that are answered where nothing else is asked for.
const LIMIT: usize = 1000;

pub(super) struct Querier(pub(super) Arc<Server>);

type Answer<T> = Result<Response<T>, Status>;

impl Querier {
    fn scope<T>(&self, request: &Request<T>) -> Result<(RequestScope, Arc<Limits>), Status> {
        let scope = super::scope(&self.0, request, CpuClass::Query)?;
        let limits = self.0.limits_of(&scope.context.tenant);
        Ok((scope.with_timeout(Some(limits.query_timeout)), limits))
    }

    async fn streams_of(
        &self,
        scope: RequestScope,
        selectors: &[&str],
        (start, end): (TimestampNs, TimestampNs),
    ) -> Result<Vec<StreamStats>, Status> {
        let compiled = selectors.iter().map(|text| selector(Some(text))).collect::<Result<Vec<_>, _>>();
        let mut compiled = compiled.map_err(|error| error.to_grpc())?;
        if compiled.is_empty() {
            compiled.push(Vec::new());
        }
        let store = Arc::clone(&self.0.ingester.store);
        let work = move |ctx: &RequestContext| streams(ctx, &*store, compiled, start, end);
        self.0.run_query(scope, work).await.map_err(|error| error.to_grpc())
    }

    /// The lines of a query, stream by stream.
    async fn lines(
        &self,
        scope: RequestScope,
        limits: &Limits,
        query: &str,
        request: RangeRequest,
    ) -> Result<(Vec<ResultStream>, Vec<String>), Status> {
        let range =
            checked_range(query, request, limits, self.0.now_ns()).map_err(|error| error.to_grpc())?;
        if matches!(range.kind, QueryKind::Metric { .. }) {
            return Err(Status::invalid_argument("only log selector is supported"));
        }
        let (store, engine) = (Arc::clone(&self.0.ingester.store), self.0.engine(limits));
        let work = move |ctx: &RequestContext| run_range(ctx, &*store, engine, &range, true);
        let (result, stats) = self.0.run_query(scope, work).await.map_err(|error| error.to_grpc())?;
        let streams = match result {
            RangeResult::Streams(streams) => streams,
            RangeResult::Metric(_) => Vec::new(),
        };
        Ok((streams, super::warnings(&stats)))
    }
}

#[tonic::async_trait]
impl querier_server::Querier for Querier {
    type QueryStream = Streamed<QueryResponse>;
    type QuerySampleStream = Streamed<SampleQueryResponse>;
    type TailStream = Streamed<TailResponse>;

    async fn query(&self, request: Request<QueryRequest>) -> Answer<Self::QueryStream> {
        let (scope, limits) = self.scope(&request)?;
        let message = request.into_inner();
        let query = asked(&message.selector, message.plan.as_ref())?;
        refuse_parts(&message.shards, message.deletes.len())?;
        let forward = message.direction == DirectionMessage::Forward as i32;
        let limit = message.limit as usize;
        let range = RangeRequest {
            start: nanos(message.start),
            end: nanos(message.end),
            step: None,
            limit: if limit == 0 { limits.entries_max.max(1) } else { limit },
            direction: if forward { Direction::Forward } else { Direction::Backward },
            interval: 0,
        };
        let (streams, warnings) = self.lines(scope, &limits, query, range).await?;
        let mut parts: Vec<Result<QueryResponse, Status>> = Vec::new();
        for stream in streams {
            let labels = labels_text(&stream.labels);
            let mut entries = stream.entries.into_iter().map(entry_message).peekable();
            while entries.peek().is_some() {
                let part = entries.by_ref().take(PART_ENTRIES).collect();
                let streams = vec![StreamAdapter { labels: labels.clone(), entries: part, hash: 0 }];
                parts.push(Ok(QueryResponse { streams, warnings: Vec::new() }));
            }
        }
        if !warnings.is_empty() {
            parts.push(Ok(QueryResponse { streams: Vec::new(), warnings }));
        }
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }

    async fn query_sample(&self, request: Request<SampleQueryRequest>) -> Answer<Self::QuerySampleStream> {
        let (scope, limits) = self.scope(&request)?;
        let message = request.into_inner();
        let query = asked(&message.selector, message.plan.as_ref())?;
        refuse_parts(&message.shards, message.deletes.len())?;
        let (log, measure) = sampled(query)?;
        let range = RangeRequest {
            start: nanos(message.start),
            end: nanos(message.end),
            step: None,
            limit: usize::MAX,
            direction: Direction::Forward,
            interval: 0,
        };
        // Samples are bounded by the request's memory, not by a limit on lines.
        let unbounded = Limits { entries_max: 0, ..(*limits).clone() };
        let (streams, warnings) = self.lines(scope, &unbounded, &log.to_string(), range).await?;
        let mut parts: Vec<Result<SampleQueryResponse, Status>> = Vec::new();
        for stream in streams {
            let stream_hash = hash_of(&stream.labels);
            // What stages and metadata add makes series of their own.
            let mut series: HashMap<String, Vec<Sample>> = HashMap::new();
            for entry in &stream.entries {
                let mut labels = stream.labels.clone();
                labels.extend(entry.structured_metadata.iter().chain(&entry.parsed).cloned());
                labels.sort();
                let sample = Sample {
                    timestamp: entry.timestamp,
                    value: measure(&entry.line),
                    hash: hash_of(&entry.line),
                };
                series.entry(labels_text(&labels)).or_default().push(sample);
            }
            let mut series: Vec<Series> =
                series.into_iter().map(|(labels, samples)| Series { labels, samples, stream_hash }).collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            parts.push(Ok(SampleQueryResponse { series, warnings: Vec::new() }));
        }
        if !warnings.is_empty() {
            parts.push(Ok(SampleQueryResponse { series: Vec::new(), warnings }));
        }
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }

    async fn label(&self, request: Request<LabelRequest>) -> Answer<LabelResponse> {
        let (scope, _) = self.scope(&request)?;
        let message = request.into_inner();
        let found =
            self.streams_of(scope, &[&message.query], (nanos(message.start), until(message.end))).await?;
        let labels = found.iter().map(|stats| &stats.stream.labels);
        let values: BTreeSet<&str> = if message.values {
            labels.filter_map(|labels| labels.get(&message.name)).collect()
        } else {
            labels.flat_map(|labels| labels.iter().map(|(name, _)| name)).collect()
        };
        Ok(Response::new(LabelResponse { values: values.into_iter().map(str::to_owned).collect() }))
    }

    async fn tail(&self, request: Request<TailRequest>) -> Answer<Self::TailStream> {
        let scope = super::scope(&self.0, &request, CpuClass::Query)?;
        let mut ctx = scope.context;
        ctx.timeout = None;
        let message = request.into_inner();
        let query = asked(&message.query, message.plan.as_ref())?;
        let expr = logql_syntax::parse_log(query).map_err(|error| ApiError::from(error).to_grpc())?;
        let turn = Turn::take(&self.0, &ctx).map_err(|error| error.to_grpc())?;
        let start = nanos(message.start);
        let (mut feed, first) = TailFeed::start(&self.0, &ctx, expr, start, message.limit as usize, true)
            .await
            .map_err(|error| error.to_grpc())?;
        let lifecycle = self.0.lifecycle.clone();
        let stream = try_stream! {
            let _turn = turn;
            for stream in first {
                yield tail_message(stream);
            }
            loop {
                let batch = tokio::select! {
                    batch = feed.next() => batch,
                    () = lifecycle.draining().cancelled() => {
                        Err(ApiError::new(ErrorCode::Unavailable, "the server is stopping"))
                    }
                };
                let Some((streams, dropped)) = batch.map_err(|error| error.to_grpc())? else { break };
                for stream in streams {
                    yield tail_message(stream);
                }
                if dropped > 0 {
                    // Which lines they were is not known any more: only that there were some.
                    yield TailResponse { stream: None, dropped_streams: vec![DroppedStream::default()] };
                }
            }
        };
        Ok(Response::new(Box::pin(stream)))
    }

    async fn series(&self, request: Request<SeriesRequest>) -> Answer<SeriesResponse> {
        let (scope, _) = self.scope(&request)?;
        let message = request.into_inner();
        refuse_parts(&message.shards, 0)?;
        let selectors: Vec<&str> = message.groups.iter().map(String::as_str).collect();
        let found = self.streams_of(scope, &selectors, (nanos(message.start), until(message.end))).await?;
        let sets: BTreeSet<&Labels> = found.iter().map(|stats| &stats.stream.labels).collect();
        let series = sets.into_iter().map(|labels| SeriesIdentifier {
            labels: labels
                .iter()
                .map(|(key, value)| series_identifier::LabelsEntry {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
        });
        Ok(Response::new(SeriesResponse { series: series.collect() }))
    }

    async fn tailers_count(&self, request: Request<TailersCountRequest>) -> Answer<TailersCountResponse> {
        super::scope(&self.0, &request, CpuClass::Query)?;
        let count = self.0.tails.load(Ordering::Acquire) as u32;
        Ok(Response::new(TailersCountResponse { count }))
    }

    async fn get_chunk_i_ds(&self, _request: Request<GetChunkIDsRequest>) -> Answer<GetChunkIDsResponse> {
        Err(Status::unimplemented("GetChunkIDs is not built: this server's store has no chunks"))
    }

    async fn get_stats(&self, request: Request<IndexStatsRequest>) -> Answer<IndexStatsResponse> {
        let (scope, _) = self.scope(&request)?;
        let message = request.into_inner();
        let range = (millis(message.from), millis(message.through));
        let found = self.streams_of(scope, &[&message.matchers], range).await?;
        let sum = |count: fn(&StreamStats) -> u64| found.iter().map(count).sum::<u64>();
        Ok(Response::new(IndexStatsResponse {
            streams: found.len() as u64,
            chunks: sum(|stats| stats.chunks),
            bytes: sum(|stats| stats.bytes),
            entries: sum(|stats| stats.entries),
        }))
    }

    async fn get_volume(&self, request: Request<VolumeRequest>) -> Answer<VolumeResponse> {
        let (scope, limits) = self.scope(&request)?;
        let message = request.into_inner();
        let limit = usize::try_from(message.limit).ok().filter(|limit| *limit > 0).unwrap_or(LIMIT);
        let grouping = VolumeGrouping::new(
            message.target_labels.clone(),
            &message.aggregate_by,
            &message.matchers,
            limit.min(limits.volume_series_max.max(1)),
        )
        .map_err(|error| error.to_grpc())?;
        let range = (millis(message.from), millis(message.through));
        let found = self.streams_of(scope, &[&message.matchers], range).await?;
        let volumes = grouping.add_up(&found).into_iter().map(|(key, volume)| Volume {
            name: VolumeGrouping::label_of(&key).map_or_else(|| key.to_string(), str::to_owned),
            volume,
        });
        Ok(Response::new(VolumeResponse { volumes: volumes.collect(), limit: limit as i32 }))
    }

    async fn get_detected_fields(
        &self,
        request: Request<DetectedFieldsRequest>,
    ) -> Answer<DetectedFieldsResponse> {
        let (scope, _) = self.scope(&request)?;
        let message = request.into_inner();
        let positive = |number: u32, default: usize| if number == 0 { default } else { number as usize };
        let limit = positive(message.limit, LIMIT);
        let lines = positive(message.line_limit, LINE_LIMIT);
        let range = (nanos(message.start), until(message.end));
        let found =
            fields_of(&self.0, scope, &message.query, range, lines).await.map_err(|error| error.to_grpc())?;
        let mut answer = DetectedFieldsResponse { limit: limit as u32, ..DetectedFieldsResponse::default() };
        if message.values {
            let of_name = found.get(&message.name).into_iter();
            answer.values = of_name.flat_map(|field| field.values().cloned()).take(limit).collect();
        } else {
            answer.fields = found
                .iter()
                .take(limit)
                .map(|(label, field)| DetectedField {
                    label: label.clone(),
                    r#type: field.kind().to_owned(),
                    cardinality: field.values().count() as u64,
                    parsers: field.parsers().map(str::to_owned).collect(),
                })
                .collect();
        }
        Ok(Response::new(answer))
    }

    async fn get_detected_labels(
        &self,
        request: Request<DetectedLabelsRequest>,
    ) -> Answer<LabelToValuesResponse> {
        let (scope, _) = self.scope(&request)?;
        let message = request.into_inner();
        let found =
            self.streams_of(scope, &[&message.query], (nanos(message.start), until(message.end))).await?;
        let mut values: HashMap<String, BTreeSet<&str>> = HashMap::new();
        for (name, value) in found.iter().flat_map(|stats| stats.stream.labels.iter()) {
            values.entry(name.to_owned()).or_default().insert(value);
        }
        let labels = values.into_iter().map(|(name, values)| {
            (name, UniqueLabelValues { values: values.into_iter().map(str::to_owned).collect() })
        });
        Ok(Response::new(LabelToValuesResponse { labels: labels.collect() }))
    }
}

/// The query as text: only that form is understood.
fn asked<'q>(selector: &'q str, plan: Option<&Plan>) -> Result<&'q str, Status> {
    if selector.is_empty() && plan.is_some() {
        return Err(Status::unimplemented("queries as plans are not built: send the selector as text"));
    }
    Ok(selector)
}

/// What only Loki's own storage can be asked for.
fn refuse_parts(shards: &[String], deletes: usize) -> Result<(), Status> {
    if !shards.is_empty() {
        return Err(Status::unimplemented("shards are not built: ask without them"));
    }
    if deletes > 0 {
        return Err(Status::unimplemented("deletes in a request are not built: this server keeps its own"));
    }
    Ok(())
}

type Measure = fn(&str) -> f64;

/// The log query of a metric query's only range, and what a line of it counts for.
fn sampled(query: &str) -> Result<(LogExpr, Measure), Status> {
    let expr = logql_syntax::parse_metric(query).map_err(|error| ApiError::from(error).to_grpc())?;
    let mut ranges: Vec<&RangeAggregation> = Vec::new();
    expr.for_each_range(&mut |range| ranges.push(range));
    let [range] = ranges[..] else {
        return Err(Status::invalid_argument("a query with one range aggregation is expected"));
    };
    if range.range.unwrap.is_some() {
        return Err(Status::unimplemented("samples of unwrapped labels are not built"));
    }
    let measure: Measure = match range.op {
        RangeOp::BytesOverTime | RangeOp::BytesRate => |line| line.len() as f64,
        _ => |_| 1.0,
    };
    Ok((range.range.log.clone(), measure))
}

fn entry_message(entry: logql::ResultEntry) -> EntryAdapter {
    let pairs = |pairs: Vec<(String, String)>| {
        pairs.into_iter().map(|(name, value)| LabelPairAdapter { name, value }).collect()
    };
    EntryAdapter {
        timestamp: Some(Timestamp {
            seconds: entry.timestamp.div_euclid(1_000_000_000),
            nanos: entry.timestamp.rem_euclid(1_000_000_000) as i32,
        }),
        line: entry.line,
        structured_metadata: pairs(entry.structured_metadata),
        parsed: pairs(entry.parsed),
    }
}

fn tail_message(stream: ResultStream) -> TailResponse {
    let labels = labels_text(&stream.labels);
    let entries = stream.entries.into_iter().map(entry_message).collect();
    TailResponse { stream: Some(StreamAdapter { labels, entries, hash: 0 }), dropped_streams: Vec::new() }
}

fn labels_text(pairs: &[(String, String)]) -> String {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (name, value))).to_string()
}

/// A number that tells things apart for whoever asks several servers: the same for as long as this process runs.
fn hash_of(thing: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

/// A time; 0 where there is none.
fn nanos(time: Option<Timestamp>) -> TimestampNs {
    time.map_or(0, |time| time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos)))
}

/// An end; that of all times where there is none.
fn until(time: Option<Timestamp>) -> TimestampNs {
    if time.is_none() { TimestampNs::MAX } else { nanos(time) }
}

fn millis(time: i64) -> TimestampNs {
    time.saturating_mul(1_000_000)
}
