//! `/api/v1/read`: remote read, as samples or as a stream of encoded chunks.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use chunk_encoding::{crc32c, put_uvarint};
use go_regex::CompiledMatcher;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use metric_storage_api::{
    ChunkEncoding, EncodedChunk, MetricReader, SampleColumns, SelectHints, SelectRequest, SeriesReader,
    StorageError,
};
use model::{ByteSize, ErrorCode, Labels, LabelsBuilder, MatchOp, Matcher, TimeRange};
use prost::Message;
use remote_write::{OutgoingSeries, REQUEST_BYTES_MAX, encode_v1};
use resources::{CpuClass, RequestContext};
use service::{Encoding, RequestScope};
use tokio::sync::mpsc;
use wire::prometheus::label_matcher::Type;
use wire::prometheus::read_request::ResponseType;
use wire::prometheus::{Chunk, ChunkedReadResponse, ChunkedSeries, Label, Query, ReadRequest, chunk};

use super::error::ApiError;
use super::work;
use crate::state::State;

/// Frames that wait for a slow reader.
const FRAMES_WAITING: usize = 4;

/// One query, ready to be asked.
struct Wanted {
    matchers: Vec<CompiledMatcher>,
    range: TimeRange,
}

pub(crate) async fn read(AxumState(state): AxumState<Arc<State>>, request: Request) -> Response {
    let _counted = state.metrics.remote_reads.count();
    match answer(&state, request).await {
        Ok(response) => response,
        Err(error) => {
            let status = match error.code() {
                ErrorCode::InvalidArgument => StatusCode::BAD_REQUEST,
                ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            service::text(status, error.message())
        }
    }
}

async fn answer(state: &Arc<State>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, REQUEST_BYTES_MAX)
        .await
        .map_err(|error| ApiError::bad_data(format!("cannot read the body: {error}")))?;
    let limit = ByteSize(REQUEST_BYTES_MAX as u64);
    let message = service::decompress(Encoding::Snappy, body, limit, "the number of queries in a request")
        .map_err(|error| ApiError::bad_data(error.to_string()))?;
    let request = ReadRequest::decode(message).map_err(|error| ApiError::bad_data(error.to_string()))?;
    let external = state.config.read().config.global.external_labels.clone();
    let wanted = request
        .queries
        .iter()
        .map(|query| Wanted::of(query, &external))
        .collect::<Result<Vec<_>, String>>()
        .map_err(ApiError::bad_data)?;
    let scope = work::scope(state, &parts, CpuClass::Query)?;
    let slot = Arc::clone(&state.read_slots).acquire_owned().await;
    let slot = slot.map_err(|_| ApiError::internal("the server is stopping"))?;
    let kind = request.accepted_response_types().next().unwrap_or(ResponseType::Samples);
    match kind {
        ResponseType::Samples => {
            let most = state.flags.read_sample_limit;
            let body =
                work::run(state, scope, None, move |ctx, db| samples(ctx, db, &wanted, &external, most));
            let body = body.await?;
            drop(slot);
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
                (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
            ];
            Ok((headers, body).into_response())
        }
        ResponseType::StreamedXorChunks => {
            let db = work::store(state)?;
            let bytes_max = state.flags.read_frame_bytes.max(1);
            let body = stream(scope, db, Frames { wanted, external, bytes_max }, slot);
            let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
            Ok(([(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response())
        }
    }
}

impl Wanted {
    /// A matcher for an external label that this server adds anyway must not look for it among stored labels.
    fn of(query: &Query, external: &Labels) -> Result<Self, String> {
        let compiled = |matcher: &wire::prometheus::LabelMatcher| {
            let op = match matcher.r#type() {
                Type::Eq => MatchOp::Equal,
                Type::Neq => MatchOp::NotEqual,
                Type::Re => MatchOp::Regex,
                Type::Nre => MatchOp::NotRegex,
            };
            let is_own = op == MatchOp::Equal && external.get(&matcher.name) == Some(&matcher.value);
            let value = if is_own { "" } else { &matcher.value };
            CompiledMatcher::new(Matcher::new(&matcher.name, op, value)).map_err(|error| error.to_string())
        };
        Ok(Self {
            matchers: query.matchers.iter().map(compiled).collect::<Result<_, _>>()?,
            range: TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms),
        })
    }

    fn select(
        &self,
        ctx: &RequestContext,
        db: &dyn MetricReader,
    ) -> Result<Vec<Arc<dyn SeriesReader>>, StorageError> {
        let hints = SelectHints { sorted: true, ..SelectHints::default() };
        let request = SelectRequest { matchers: &self.matchers, range: self.range, hints };
        let mut series = db.select(ctx, &request)?.series;
        // With external labels the order may be another one, and readers merge by it.
        series.sort_by_cached_key(|one| one.labels());
        Ok(series)
    }
}

/// A series' labels as others see them.
fn outward(labels: &Labels, external: &Labels) -> Labels {
    let mut outward = LabelsBuilder::from_labels(labels);
    for (name, value) in external.iter() {
        if outward.get(name).is_none() {
            outward.set(name, value);
        }
    }
    outward.build()
}

/// The whole answer as samples, compressed.
fn samples(
    ctx: &RequestContext,
    db: &tsdb::Db,
    wanted: &[Wanted],
    external: &Labels,
    most: u64,
) -> Result<Bytes, ApiError> {
    let (mut answer, mut columns, mut count) = (Vec::new(), SampleColumns::default(), 0);
    for query in wanted {
        let mut all = Vec::new();
        for series in query.select(ctx, db)? {
            columns.clear();
            series.read(ctx, query.range, &mut columns)?;
            count += columns.len() as u64;
            if most > 0 && count > most {
                return Err(ApiError::bad_data(format!(
                    "exceeded sample limit ({most}): narrow the query or raise --storage.remote.read-sample-limit"
                )));
            }
            all.push(outgoing(&columns, outward(&series.labels(), external)));
        }
        // A query's result has the same form as a write request.
        let result = encode_v1(&all);
        answer.push(1 << 3 | 2);
        put_uvarint(&mut answer, result.len() as u64);
        answer.extend_from_slice(&result);
    }
    let compressed = snap::raw::Encoder::new().compress_vec(&answer);
    compressed.map(Bytes::from).map_err(|error| ApiError::internal(error.to_string()))
}

fn outgoing(columns: &SampleColumns, labels: Labels) -> OutgoingSeries {
    let mut series = OutgoingSeries { labels: Some(labels), ..OutgoingSeries::default() };
    for (idx, (timestamp, value)) in columns.timestamps.iter().zip(&columns.values).enumerate() {
        match columns.histograms.get(idx).and_then(Option::as_ref) {
            Some(histogram) => series.histograms.push((*timestamp, Arc::clone(histogram))),
            None => series.samples.push((*timestamp, *value)),
        }
    }
    series
}

/// What a stream is made from.
struct Frames {
    wanted: Vec<Wanted>,
    external: Labels,
    /// A frame with this much is sent.
    bytes_max: usize,
}

/// Frames as they are made; the stream breaks off where something fails midway.
fn stream(
    scope: RequestScope,
    db: Arc<tsdb::Db>,
    frames: Frames,
    slot: tokio::sync::OwnedSemaphorePermit,
) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(FRAMES_WAITING);
    let (ctx, guard) = scope.into_guard();
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        if let Err(error) = frames.send(&ctx, &*db, &sender) {
            tracing::warn!(error = %error, "remote read ended early");
            sender.blocking_send(Err(io::Error::other(error.to_string()))).ok();
        }
    });
    // When the reader leaves, the guard ends the work.
    let frames = futures::stream::unfold((receiver, guard), |(mut receiver, guard)| async move {
        receiver.recv().await.map(|frame| (frame, (receiver, guard)))
    });
    Body::from_stream(frames)
}

impl Frames {
    /// A series' chunks, so many together as fit into a frame.
    fn parts(&self, labels: &Labels, found: Vec<EncodedChunk>) -> Vec<ChunkedSeries> {
        let labels: Vec<Label> = outward(labels, &self.external)
            .iter()
            .map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
            .collect();
        let label_bytes: usize = labels.iter().map(Message::encoded_len).sum();
        let mut parts: Vec<ChunkedSeries> = Vec::new();
        let mut bytes = usize::MAX;
        for found in found {
            if bytes >= self.bytes_max {
                parts.push(ChunkedSeries { labels: labels.clone(), chunks: Vec::new() });
                bytes = label_bytes;
            }
            bytes += found.data.len();
            if let Some(part) = parts.last_mut() {
                part.chunks.push(chunk(&found));
            }
        }
        parts
    }

    fn send(
        &self,
        ctx: &RequestContext,
        db: &dyn MetricReader,
        sender: &mpsc::Sender<Result<Bytes, io::Error>>,
    ) -> Result<(), StorageError> {
        for (idx, query) in self.wanted.iter().enumerate() {
            for series in query.select(ctx, db)? {
                let parts = self.parts(&series.labels(), series.chunks(ctx, query.range)?);
                let sent = parts.into_iter().all(|part| sender.blocking_send(Ok(frame(part, idx))).is_ok());
                if !sent {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn chunk(found: &EncodedChunk) -> Chunk {
    let encoding = match found.encoding {
        ChunkEncoding::Xor => chunk::Encoding::Xor,
        ChunkEncoding::Histogram => chunk::Encoding::Histogram,
        ChunkEncoding::FloatHistogram => chunk::Encoding::FloatHistogram,
    };
    Chunk {
        min_time_ms: found.min_time,
        max_time_ms: found.max_time,
        r#type: encoding.into(),
        data: found.data.to_vec().into(),
    }
}

/// Length, checksum, message.
fn frame(series: ChunkedSeries, query: usize) -> Bytes {
    let message =
        ChunkedReadResponse { chunked_series: vec![series], query_index: query as i64 }.encode_to_vec();
    let mut out = Vec::with_capacity(message.len() + 10);
    put_uvarint(&mut out, message.len() as u64);
    out.extend_from_slice(&crc32c(&message).to_be_bytes());
    out.extend_from_slice(&message);
    Bytes::from(out)
}
