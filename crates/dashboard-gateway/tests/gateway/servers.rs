//! Servers that answer known things.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::{any, get};
use futures::Stream;
use http::Uri;
use http_client::Url;
use service::{Lifecycle, Listener, Site, SiteOptions};
use telemetry::Registry;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use wire::logs::logs_query_server::{LogsQuery, LogsQueryServer};
use wire::metrics::metrics_query_server::{MetricsQuery, MetricsQueryServer};
use wire::{logs, metrics};

/// A metrics server and a log server.
pub(crate) struct Servers {
    metrics: String,
    logs: String,
    answers: Answers,
    _lifecycles: [Lifecycle; 2],
}

#[derive(Clone, Default)]
struct Answers {
    principals: Arc<Mutex<Vec<String>>>,
    traceparent: Arc<Mutex<String>>,
}

impl Servers {
    /// Starts them; without gRPC they are any server with the originals' HTTP API.
    pub(crate) async fn start(speaks_grpc: bool) -> Self {
        let answers = Answers::default();
        let (mut metrics_grpc, mut logs_grpc) = (Routes::default(), Routes::default());
        if speaks_grpc {
            metrics_grpc = Routes::new(MetricsQueryServer::new(answers.clone()));
            logs_grpc = Routes::new(LogsQueryServer::new(answers.clone()));
        }
        let report = r#"{"version": "1", "notices": [{"severity": "warning", "text": "disk is filling"}]}"#;
        let echo = any(|uri: Uri| async move { format!("over HTTP: {uri}") });
        let metrics_http = Router::new()
            .route("/api/v1/status/watchbell", get(move || async move { report }))
            .route("/{*rest}", echo.clone());
        let logs_http = Router::new().route("/loki/api/v1/tail", any(tail)).route("/loki/api/{*rest}", echo);
        let (first, metrics) = serve("metrics", metrics_http, metrics_grpc).await;
        let (second, logs) = serve("logs", logs_http, logs_grpc).await;
        Self { metrics, logs, answers, _lifecycles: [first, second] }
    }

    pub(crate) fn metrics_url(&self) -> Url {
        Url::parse(&self.metrics).expect("a URL")
    }

    pub(crate) fn logs_url(&self) -> Url {
        Url::parse(&self.logs).expect("a URL")
    }

    /// The trace context of the last query.
    pub(crate) fn traceparent(&self) -> String {
        self.answers.traceparent.lock().expect("no test panics with it").clone()
    }

    /// Who asked the metrics server, each once.
    pub(crate) fn principals(&self) -> Vec<String> {
        let mut names = self.answers.principals.lock().expect("no test panics with it").clone();
        names.dedup();
        names
    }
}

async fn serve(name: &'static str, http: Router, grpc: Routes) -> (Lifecycle, String) {
    let lifecycle = Lifecycle::new(name, &Registry::new());
    let listener = Listener::bind("127.0.0.1:0", "--listen").await.expect("a port");
    let url = format!("http://{}", listener.address());
    Site::new(&lifecycle, SiteOptions::new("test")).expect("options").serve(listener, http, grpc);
    lifecycle.set_ready();
    (lifecycle, url)
}

async fn tail(socket: WebSocketUpgrade) -> axum::response::Response {
    socket.on_upgrade(|mut socket: WebSocket| async move {
        socket.send(Message::text("{\"streams\":[]}")).await.ok();
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

type Answered<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn stream<T: Send + 'static>(items: Vec<T>) -> Response<Answered<T>> {
    Response::new(Box::pin(futures::stream::iter(items.into_iter().map(Ok))))
}

fn metric_parts(
    kind: metrics::ResultType,
    part: metrics::query_response::Part,
) -> Vec<metrics::QueryResponse> {
    use metrics::query_response::Part;
    let header = Part::Header(metrics::Header { result_type: kind.into() });
    let trailer = Part::Trailer(metrics::Trailer { warnings: vec!["w".to_owned()], ..Default::default() });
    [header, part, trailer].into_iter().map(|part| metrics::QueryResponse { part: Some(part) }).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Vec<metrics::Label> {
    let label = |(name, value): &(&str, &str)| metrics::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(label).collect()
}

#[tonic::async_trait]
impl MetricsQuery for Answers {
    type InstantStream = Answered<metrics::QueryResponse>;
    type RangeStream = Answered<metrics::QueryResponse>;
    type SeriesStream = Answered<metrics::SeriesResponse>;

    async fn instant(
        &self,
        request: Request<metrics::InstantRequest>,
    ) -> Result<Response<Self::InstantStream>, Status> {
        use metrics::query_response::Part;
        let principal = request.metadata().get("x-watchbell-principal").and_then(|name| name.to_str().ok());
        let principal = principal.unwrap_or("").to_owned();
        self.principals.lock().expect("no test panics with it").push(principal);
        let traceparent = request.metadata().get("traceparent").and_then(|value| value.to_str().ok());
        *self.traceparent.lock().expect("no test panics with it") = traceparent.unwrap_or("").to_owned();
        let asked = request.into_inner();
        match asked.query.as_str() {
            "vector" => {
                let series = metrics::Series {
                    labels: labels(&[("__name__", "m"), ("l", "<b>")]),
                    timestamps_ms: vec![asked.time_ms],
                    values: vec![f64::INFINITY],
                    histograms: Vec::new(),
                };
                let batch = metrics::SeriesBatch { series: vec![series] };
                Ok(stream(metric_parts(metrics::ResultType::Vector, Part::Series(batch))))
            }
            "scalar" => {
                let scalar = metrics::Scalar { timestamp_ms: asked.time_ms, value: 2.0 };
                Ok(stream(metric_parts(metrics::ResultType::Scalar, Part::Scalar(scalar))))
            }
            "fails" => Err(Status::failed_precondition("many-to-many matching not allowed")),
            _ => Err(Status::invalid_argument("1:1: parse error")),
        }
    }

    async fn range(
        &self,
        _request: Request<metrics::RangeRequest>,
    ) -> Result<Response<Self::RangeStream>, Status> {
        let bucket = metrics::HistogramBucket { boundaries: 0, lower: 0.5, upper: 1.0, count: 3.0 };
        let point =
            metrics::HistogramPoint { timestamp_ms: 2000, count: 3.0, sum: 4.0, buckets: vec![bucket] };
        let series = metrics::Series {
            labels: labels(&[("__name__", "m"), ("l", "<b>")]),
            timestamps_ms: vec![0, 1000],
            values: vec![1.5, f64::NAN],
            histograms: vec![point],
        };
        let batch = metrics::query_response::Part::Series(metrics::SeriesBatch { series: vec![series] });
        Ok(stream(metric_parts(metrics::ResultType::Matrix, batch)))
    }

    async fn series(
        &self,
        _request: Request<metrics::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let series = vec![metrics::LabelSet { labels: labels(&[("__name__", "m")]) }];
        Ok(stream(vec![metrics::SeriesResponse { series, warnings: Vec::new() }]))
    }

    async fn label_names(
        &self,
        _request: Request<metrics::LabelNamesRequest>,
    ) -> Result<Response<metrics::LabelsResponse>, Status> {
        let values = vec!["a".to_owned(), "b".to_owned()];
        Ok(Response::new(metrics::LabelsResponse { values, warnings: Vec::new() }))
    }

    async fn label_values(
        &self,
        request: Request<metrics::LabelValuesRequest>,
    ) -> Result<Response<metrics::LabelsResponse>, Status> {
        let values = vec![format!("{}-value", request.into_inner().name)];
        Ok(Response::new(metrics::LabelsResponse { values, warnings: Vec::new() }))
    }
}

fn log_label(name: &str, value: &str) -> logs::Label {
    logs::Label { name: name.to_owned(), value: value.to_owned() }
}

fn log_parts(kind: logs::ResultType, part: logs::query_response::Part) -> Vec<logs::QueryResponse> {
    use logs::query_response::Part;
    let header = Part::Header(logs::Header { result_type: kind.into() });
    let trailer = Part::Trailer(logs::Trailer { lines_scanned: 2, ..Default::default() });
    [header, part, trailer].into_iter().map(|part| logs::QueryResponse { part: Some(part) }).collect()
}

#[tonic::async_trait]
impl LogsQuery for Answers {
    type RangeStream = Answered<logs::QueryResponse>;
    type InstantStream = Answered<logs::QueryResponse>;
    type TailStream = Answered<logs::TailResponse>;
    type SeriesStream = Answered<logs::SeriesResponse>;

    async fn range(
        &self,
        request: Request<logs::RangeRequest>,
    ) -> Result<Response<Self::RangeStream>, Status> {
        let asked = request.into_inner();
        if asked.query != "lines" || asked.forward || asked.limit != 10 {
            return Err(Status::invalid_argument("parse error at line 1, col 1"));
        }
        let entry = |nanos: i64, line: &str, extra: bool| logs::Entry {
            timestamp_ns: 1_795_361_336_000_000_000 + nanos,
            line: line.to_owned(),
            structured_metadata: if extra { vec![log_label("trace", "1")] } else { Vec::new() },
            parsed: if extra { vec![log_label("level", "warn")] } else { Vec::new() },
        };
        let one = logs::Stream {
            labels: vec![log_label("app", "x")],
            entries: vec![entry(2, "two", true), entry(1, "one", false)],
        };
        let batch = logs::query_response::Part::Streams(logs::StreamBatch { streams: vec![one] });
        Ok(stream(log_parts(logs::ResultType::Streams, batch)))
    }

    async fn instant(
        &self,
        request: Request<logs::InstantRequest>,
    ) -> Result<Response<Self::InstantStream>, Status> {
        let time_ms = request.into_inner().time_ns / 1_000_000;
        let series = logs::Series { labels: Vec::new(), timestamps_ms: vec![time_ms], values: vec![2.0] };
        let batch = logs::query_response::Part::Series(logs::SeriesBatch { series: vec![series] });
        Ok(stream(log_parts(logs::ResultType::Vector, batch)))
    }

    async fn tail(&self, _request: Request<logs::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn label_names(
        &self,
        _request: Request<logs::LabelNamesRequest>,
    ) -> Result<Response<logs::LabelsResponse>, Status> {
        Ok(Response::new(logs::LabelsResponse { values: vec!["app".to_owned()] }))
    }

    async fn label_values(
        &self,
        _request: Request<logs::LabelValuesRequest>,
    ) -> Result<Response<logs::LabelsResponse>, Status> {
        Ok(Response::new(logs::LabelsResponse { values: vec!["x".to_owned()] }))
    }

    async fn series(
        &self,
        _request: Request<logs::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let series = vec![logs::LabelSet { labels: vec![log_label("app", "x")] }];
        Ok(stream(vec![logs::SeriesResponse { series }]))
    }
}
