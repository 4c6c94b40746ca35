//! `watchbell.metrics.v1.MetricsQuery`: the same queries for the dashboard gateway, answered as a stream.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use model::{Labels, TimeRange};
use promql::{Annotations, QueryResult, QueryStats, SampleValue, Value};
use resources::{CpuClass, Principal};
use service::RequestScope;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use wire::metrics as proto;
use wire::metrics::metrics_query_server::{MetricsQuery, MetricsQueryServer};

use crate::api::error::ApiError;
use crate::api::{Asked, buckets, check_points, labels::select_series, selectors, work};
use crate::query_log::Origin;
use crate::state::State;

/// Points in one message of an answer.
const POINTS_PER_BATCH: usize = 8_000;
/// Series in one message of an answer.
const SERIES_PER_BATCH: usize = 500;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service's gRPC routes.
pub(crate) fn routes(state: &Arc<State>) -> Routes {
    Routes::new(MetricsQueryServer::new(Queries { state: Arc::clone(state) }))
}

fn origin(peer: Option<SocketAddr>, method: &str) -> Origin {
    let client = peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
    Origin { client, method: "gRPC".to_owned(), path: format!("MetricsQuery/{method}") }
}

#[derive(Debug)]
struct Queries {
    state: Arc<State>,
}

impl Queries {
    fn scope<T>(&self, request: &Request<T>) -> Result<RequestScope, Status> {
        let principal = request.extensions().get::<Principal>();
        self.state
            .contexts
            .from_headers(request.metadata().as_ref(), principal, CpuClass::Query)
            .map_err(|error| service::grpc_status(error.code(), error.to_string()))
    }

    fn engine(&self, lookback_ms: i64) -> promql::Engine {
        if lookback_ms > 0 { self.state.engine.with_lookback(lookback_ms) } else { self.state.engine.clone() }
    }
}

#[tonic::async_trait]
impl MetricsQuery for Queries {
    type InstantStream = Answers<proto::QueryResponse>;
    type RangeStream = Answers<proto::QueryResponse>;
    type SeriesStream = Answers<proto::SeriesResponse>;

    async fn instant(
        &self,
        request: Request<proto::InstantRequest>,
    ) -> Result<Response<Self::InstantStream>, Status> {
        let scope = self.scope(&request)?;
        let peer = request.extensions().get::<SocketAddr>().copied();
        let wanted = request.into_inner();
        let engine = self.engine(wanted.lookback_ms);
        let (query, time) = (wanted.query.clone(), wanted.time_ms);
        let asked = Asked { query, start: time, end: time, step: 0, origin: origin(peer, "Instant") };
        let result = work::query(&self.state, scope, None, asked, move |ctx, db| {
            Ok(engine.instant(ctx, db, &wanted.query, wanted.time_ms)?)
        });
        let (result, _) = result.await.map_err(status)?;
        Ok(Response::new(stream(result, wanted.limit)))
    }

    async fn range(
        &self,
        request: Request<proto::RangeRequest>,
    ) -> Result<Response<Self::RangeStream>, Status> {
        let scope = self.scope(&request)?;
        let peer = request.extensions().get::<SocketAddr>().copied();
        let wanted = request.into_inner();
        check_points(wanted.start_ms, wanted.end_ms, wanted.step_ms).map_err(status)?;
        let engine = self.engine(wanted.lookback_ms);
        let (query, start, end) = (wanted.query.clone(), wanted.start_ms, wanted.end_ms);
        let asked = Asked { query, start, end, step: wanted.step_ms, origin: origin(peer, "Range") };
        let result = work::query(&self.state, scope, None, asked, move |ctx, db| {
            Ok(engine.range(ctx, db, &wanted.query, wanted.start_ms, wanted.end_ms, wanted.step_ms)?)
        });
        let (result, _) = result.await.map_err(status)?;
        Ok(Response::new(stream(result, wanted.limit)))
    }

    async fn series(
        &self,
        request: Request<proto::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let scope = self.scope(&request)?;
        let wanted = request.into_inner();
        let selectors = compiled(&wanted.selectors)?;
        let range = range(wanted.start_ms, wanted.end_ms);
        let limit = wanted.limit as usize;
        let found = work::run(&self.state, scope, None, move |ctx, db| {
            Ok(select_series(ctx, db, &selectors, range, limit)?)
        });
        let found = found.await.map_err(status)?;
        let mut warnings = Some(found.annotations.warnings);
        let mut batches: Vec<proto::SeriesResponse> = found
            .items
            .chunks(SERIES_PER_BATCH)
            .map(|series| proto::SeriesResponse {
                series: series.iter().map(|labels| proto::LabelSet { labels: pairs(labels) }).collect(),
                warnings: warnings.take().unwrap_or_default(),
            })
            .collect();
        if let Some(warnings) = warnings.take() {
            batches.push(proto::SeriesResponse { series: Vec::new(), warnings });
        }
        Ok(Response::new(Box::pin(futures::stream::iter(batches.into_iter().map(Ok)))))
    }

    async fn label_names(
        &self,
        request: Request<proto::LabelNamesRequest>,
    ) -> Result<Response<proto::LabelsResponse>, Status> {
        let scope = self.scope(&request)?;
        let wanted = request.into_inner();
        let selectors = compiled(&wanted.selectors)?;
        let range = range(wanted.start_ms, wanted.end_ms);
        let values = work::run(&self.state, scope, None, move |ctx, db| {
            let query =
                metric_storage_api::LabelQuery { selectors: &selectors, range, limit: wanted.limit as usize };
            Ok(metric_storage_api::MetricReader::label_names(db, ctx, &query)?)
        });
        let values = values.await.map_err(status)?;
        Ok(Response::new(proto::LabelsResponse { values, warnings: Vec::new() }))
    }

    async fn label_values(
        &self,
        request: Request<proto::LabelValuesRequest>,
    ) -> Result<Response<proto::LabelsResponse>, Status> {
        let scope = self.scope(&request)?;
        let wanted = request.into_inner();
        let selectors = compiled(&wanted.selectors)?;
        let range = range(wanted.start_ms, wanted.end_ms);
        let values = work::run(&self.state, scope, None, move |ctx, db| {
            let query =
                metric_storage_api::LabelQuery { selectors: &selectors, range, limit: wanted.limit as usize };
            Ok(metric_storage_api::MetricReader::label_values(db, ctx, &wanted.name, &query)?)
        });
        let values = values.await.map_err(status)?;
        Ok(Response::new(proto::LabelsResponse { values, warnings: Vec::new() }))
    }
}

/// Both 0 means all times.
fn range(start_ms: i64, end_ms: i64) -> TimeRange {
    if start_ms == 0 && end_ms == 0 {
        return TimeRange::new(crate::api::TIME_MIN, crate::api::TIME_MAX);
    }
    TimeRange::new(start_ms, end_ms)
}

fn compiled(texts: &[String]) -> Result<Vec<Vec<go_regex::CompiledMatcher>>, Status> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    selectors(&texts).map_err(status)
}

#[expect(clippy::needless_pass_by_value, reason = "an error is converted where it ends")]
fn status(error: ApiError) -> Status {
    service::grpc_status(error.code(), error.message())
}

/// A header, the series in batches, a trailer.
fn stream(result: QueryResult, limit: u32) -> Answers<proto::QueryResponse> {
    use proto::query_response::Part;
    let QueryResult { value, mut annotations, stats, explain: _ } = result;
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    let (kind, parts): (_, Box<dyn Iterator<Item = Part> + Send>) = match value {
        Value::Scalar { timestamp, value } => (
            proto::ResultType::Scalar,
            Box::new(std::iter::once(Part::Scalar(proto::Scalar { timestamp_ms: timestamp, value }))),
        ),
        Value::String { timestamp, value } => (
            proto::ResultType::String,
            Box::new(std::iter::once(Part::Text(proto::Text { timestamp_ms: timestamp, value }))),
        ),
        Value::Vector(samples) => {
            note_truncation(samples.len(), limit, &mut annotations);
            let series = samples.into_iter().take(limit).map(|sample| match sample.value {
                SampleValue::Float(value) => series(&sample.labels, &[(sample.timestamp, value)], Vec::new()),
                SampleValue::Histogram(histogram) => {
                    series(&sample.labels, &[], vec![histogram_point(sample.timestamp, &histogram)])
                }
            });
            (proto::ResultType::Vector, Box::new(Batches(series).map(Part::Series)))
        }
        Value::Matrix(matrix) => {
            note_truncation(matrix.len(), limit, &mut annotations);
            let series = matrix.into_iter().take(limit).map(|row| {
                let histograms =
                    row.histograms.iter().map(|(at, histogram)| histogram_point(*at, histogram)).collect();
                series(&row.labels, &row.floats, histograms)
            });
            (proto::ResultType::Matrix, Box::new(Batches(series).map(Part::Series)))
        }
    };
    let header = Part::Header(proto::Header { result_type: kind.into() });
    let trailer = Part::Trailer(trailer(annotations, &stats));
    let parts = std::iter::once(header).chain(parts).chain(std::iter::once(trailer));
    Box::pin(futures::stream::iter(parts.map(|part| Ok(proto::QueryResponse { part: Some(part) }))))
}

fn note_truncation(count: usize, limit: usize, annotations: &mut Annotations) {
    if count > limit {
        annotations.warnings.push("results truncated due to limit".to_owned());
    }
}

fn trailer(annotations: Annotations, stats: &QueryStats) -> proto::Trailer {
    proto::Trailer {
        warnings: annotations.warnings,
        infos: annotations.infos,
        samples_total: stats.samples_total,
        samples_peak: stats.samples_peak,
    }
}

/// Groups series so that a message holds so many points at most, and at least one series.
struct Batches<I>(I);

impl<I: Iterator<Item = proto::Series>> Iterator for Batches<I> {
    type Item = proto::SeriesBatch;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut series, mut points) = (Vec::new(), 0);
        while points < POINTS_PER_BATCH && series.len() < SERIES_PER_BATCH {
            let Some(next) = self.0.next() else { break };
            points += next.values.len() + next.histograms.len();
            series.push(next);
        }
        (!series.is_empty()).then_some(proto::SeriesBatch { series })
    }
}

fn series(labels: &Labels, floats: &[(i64, f64)], histograms: Vec<proto::HistogramPoint>) -> proto::Series {
    proto::Series {
        labels: pairs(labels),
        timestamps_ms: floats.iter().map(|(at, _)| *at).collect(),
        values: floats.iter().map(|(_, value)| *value).collect(),
        histograms,
    }
}

fn pairs(labels: &Labels) -> Vec<proto::Label> {
    labels
        .iter()
        .map(|(name, value)| proto::Label { name: name.to_owned(), value: value.to_owned() })
        .collect()
}

fn histogram_point(at: i64, histogram: &model::FloatHistogram) -> proto::HistogramPoint {
    let shown = buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0);
    proto::HistogramPoint {
        timestamp_ms: at,
        count: histogram.count,
        sum: histogram.sum,
        buckets: shown
            .map(|bucket| proto::HistogramBucket {
                boundaries: bucket.boundaries,
                lower: bucket.lower,
                upper: bucket.upper,
                count: bucket.count,
            })
            .collect(),
    }
}
