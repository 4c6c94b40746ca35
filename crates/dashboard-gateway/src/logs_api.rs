//! Loki's query API, answered from the log server's gRPC stream; everything else is passed on over HTTP.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use model::TenantId;
use resources::CpuClass;
use service::TENANT_HEADER;
use tonic::codec::Streaming;
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::logs::logs_query_client::LogsQueryClient;
use wire::logs::query_response::Part;
use wire::logs::{
    Entry, InstantRequest, Label, LabelNamesRequest, LabelValuesRequest, QueryResponse, RangeRequest,
    ResultType, SeriesRequest, Trailer,
};

use crate::error::ApiError;
use crate::json;
use crate::login::Login;
use crate::metrics_api::{json_response, with_query};
use crate::params::{FORM_BYTES_MAX, Params, step_ns, time_ns};
use crate::proxy::forward;
use crate::state::Gateway;
use crate::upstream::MESSAGE_BYTES_MAX;

const HOUR_NS: i64 = 3_600_000_000_000;
/// Lines of a query that asks for no number, and of a log query over an unbounded answer.
const LIMIT_DEFAULT: u32 = 100;
/// Bytes of one answer that are gathered here.
const ANSWER_BYTES_MAX: usize = 512 << 20;

enum Call {
    Instant(InstantRequest),
    Range(RangeRequest),
    Labels(LabelNamesRequest),
    Values(LabelValuesRequest),
    Series(SeriesRequest),
}

/// Who asks, whose lines, and how they are to be shown.
struct Asking<'a> {
    login: &'a Login,
    tenant: Option<TenantId>,
    categorize: bool,
}

/// Answers `path` (as the log server would see it) of the Loki API.
pub(crate) async fn answer(
    gateway: &Gateway,
    login: &Login,
    path: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let query = request.uri().query().map(str::to_owned);
    let path_and_query = with_query(path, query.as_deref());
    let call_path = path.strip_prefix("/loki/api/v1").filter(|path| is_query(path));
    let readable = matches!(*request.method(), Method::GET | Method::POST);
    let (Some(channel), Some(call_path), true) = (gateway.logs.grpc(), call_path, readable) else {
        return forward(gateway, &gateway.logs, &path_and_query, request).await;
    };
    let (parts, body) = request.into_parts();
    let Ok(form) = axum::body::to_bytes(body, FORM_BYTES_MAX).await else {
        return Ok(service::text(StatusCode::PAYLOAD_TOO_LARGE, "the form is larger than 1 MiB"));
    };
    let params = Params::parse(query.as_deref(), &form);
    let call = match parse(call_path, &params, gateway.clock.now_ns()) {
        Ok(call) => call,
        Err(message) => return Ok(service::text(StatusCode::BAD_REQUEST, &message)),
    };
    let categorize = parts.headers.get("x-loki-response-encoding-flags");
    let categorize = categorize.is_some_and(|flags| flags.as_bytes().starts_with(b"categorize-labels"));
    let tenant = parts.headers.get(TENANT_HEADER).and_then(|name| TenantId::parse(name.to_str().ok()?));
    let asking = Asking { login, tenant, categorize };
    match attempt(gateway, asking, channel, call).await? {
        Ok(response) => Ok(response),
        Err(status) if gateway.logs.speaks_no_grpc(&status) => {
            forward(gateway, &gateway.logs, &path_and_query, Request::from_parts(parts, Body::from(form)))
                .await
        }
        Err(status) => Ok(status_error(&status)),
    }
}

fn is_query(path: &str) -> bool {
    matches!(path, "/query" | "/query_range" | "/labels" | "/label" | "/series") || label_of(path).is_some()
}

fn label_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/label/")?.strip_suffix("/values")?;
    (!name.is_empty() && !name.contains(['/', '%'])).then_some(name)
}

fn parse(path: &str, params: &Params, now_ns: i64) -> Result<Call, String> {
    // Grafana 7.5 says from and to.
    let given = |name: &str, old: &str| params.get(name).or_else(|| params.get(old));
    let end_ns = given("end", "to").map_or(Ok(now_ns), |text| time_ns("end", text))?;
    let since = params.get("since").map_or(Ok(HOUR_NS), step_ns)?;
    let range_start = || given("start", "from").map_or(Ok(end_ns - since), |text| time_ns("start", text));
    let labels_start =
        || given("start", "from").map_or(Ok(end_ns - 6 * HOUR_NS), |text| time_ns("start", text));
    let query = || params.get("query").unwrap_or("").to_owned();
    let limit = || match params.get("limit") {
        Some(text) => {
            text.parse().map_err(|_| format!("could not parse 'limit' parameter: {text:?} is not a number"))
        }
        None => Ok(LIMIT_DEFAULT),
    };
    let forward = || match params.get("direction").map(str::to_ascii_lowercase).as_deref() {
        Some("forward") => Ok(true),
        Some("backward") | None => Ok(false),
        Some(other) => Err(format!("could not parse 'direction' parameter: invalid direction '{other}'")),
    };
    Ok(match (path, label_of(path)) {
        ("/query", _) => {
            let time_ns = params.get("time").map_or(Ok(now_ns), |text| time_ns("time", text))?;
            Call::Instant(InstantRequest { query: query(), time_ns, limit: limit()?, forward: forward()? })
        }
        ("/query_range", _) => {
            let start_ns = range_start()?;
            if end_ns < start_ns {
                return Err("end timestamp must not be before or equal to start time".to_owned());
            }
            let step_ns = params.get("step").map_or(Ok(0), step_ns)?;
            if step_ns < 0 {
                return Err(
                    "zero or negative query resolution step widths are not accepted. Try a positive integer"
                        .to_owned(),
                );
            }
            let (limit, forward) = (limit()?, forward()?);
            Call::Range(RangeRequest { query: query(), start_ns, end_ns, step_ns, limit, forward })
        }
        ("/series", _) => {
            let mut selectors = params.all("match[]");
            selectors.extend(params.all("match"));
            Call::Series(SeriesRequest { selectors, start_ns: labels_start()?, end_ns })
        }
        (_, Some(name)) => {
            let (name, selector) = (name.to_owned(), query());
            Call::Values(LabelValuesRequest { name, selector, start_ns: labels_start()?, end_ns })
        }
        (_, None) => Call::Labels(LabelNamesRequest { selector: query(), start_ns: labels_start()?, end_ns }),
    })
}

async fn attempt(
    gateway: &Gateway,
    asking: Asking<'_>,
    channel: Channel,
    call: Call,
) -> Result<Result<Response, Status>, ApiError> {
    let upstream = &gateway.logs;
    let Asking { login, tenant, categorize } = asking;
    let mut scope = gateway
        .contexts
        .from_headers(&HeaderMap::new(), Some(&login.principal()), CpuClass::Query)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    if let Some(tenant) = tenant {
        scope.context.tenant = tenant;
    }
    let context = scope.context.clone();
    let mut client = LogsQueryClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answering = async {
        match call {
            Call::Instant(message) => {
                let stream = client.instant(upstream.request(&context, message)).await?;
                gather(stream.into_inner(), categorize).await
            }
            Call::Range(message) => {
                let stream = client.range(upstream.request(&context, message)).await?;
                gather(stream.into_inner(), categorize).await
            }
            Call::Labels(message) => {
                let answer = client.label_names(upstream.request(&context, message)).await?;
                Ok(labels(&answer.into_inner().values))
            }
            Call::Values(message) => {
                let answer = client.label_values(upstream.request(&context, message)).await?;
                Ok(labels(&answer.into_inner().values))
            }
            Call::Series(message) => {
                let stream = client.series(upstream.request(&context, message)).await?;
                series(stream.into_inner()).await
            }
        }
    };
    Ok(scope.run(answering).await)
}

/// A query's answer. Lines of one stream come together in the JSON wherever they are in the gRPC stream, so the answer is
/// gathered; the limit on lines bounds it.
async fn gather(mut stream: Streaming<QueryResponse>, categorize: bool) -> Result<Response, Status> {
    let mut kind = ResultType::Streams;
    let mut lines = Lines { categorize, streams: BTreeMap::new(), bytes: 0 };
    let mut series = String::new();
    let mut trailer = Trailer::default();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Part::Header(header)) => kind = header.result_type(),
            Some(Part::Streams(batch)) => {
                for stream in batch.streams {
                    lines.add(&stream.labels, &stream.entries);
                }
            }
            Some(Part::Series(batch)) => {
                for one in &batch.series {
                    write_series(&mut series, kind, one);
                }
            }
            Some(Part::Trailer(last)) => trailer = last,
            None => {}
        }
        if lines.bytes + series.len() > ANSWER_BYTES_MAX {
            return Err(Status::resource_exhausted("the answer is larger than 512 MiB: narrow the query"));
        }
    }
    let (name, result) = match kind {
        ResultType::Streams | ResultType::Unspecified => ("streams", lines.write()),
        ResultType::Vector => ("vector", format!("[{series}]")),
        ResultType::Matrix => ("matrix", format!("[{series}]")),
        ResultType::Scalar => ("scalar", series),
    };
    let flags = match kind {
        ResultType::Streams if categorize => "\"encodingFlags\":[\"categorize-labels\"],",
        _ => "",
    };
    // Clients read this as a stream: the order of the keys is part of the contract.
    let mut out =
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{name}\",{flags}\"result\":{result},");
    out.push_str(&stats(&trailer));
    out.push('}');
    if !trailer.warnings.is_empty() {
        out.push_str(",\"warnings\":");
        json::strings(&mut out, trailer.warnings.iter().map(String::as_str));
    }
    out.push('}');
    Ok(json_response(StatusCode::OK, Body::from(out)))
}

fn stats(trailer: &Trailer) -> String {
    let seconds = trailer.exec_time_us as f64 / 1e6;
    let per_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    let summary = serde_json::json!({
        "bytesProcessedPerSecond": per_second(trailer.bytes_scanned),
        "linesProcessedPerSecond": per_second(trailer.lines_scanned),
        "totalBytesProcessed": trailer.bytes_scanned,
        "totalLinesProcessed": trailer.lines_scanned,
        "execTime": seconds,
    });
    format!("\"stats\":{{\"summary\":{summary}}}")
}

/// Lines by the labels under which they are shown.
struct Lines {
    categorize: bool,
    /// The labels' JSON and the entries' JSON.
    streams: BTreeMap<String, String>,
    bytes: usize,
}

impl Lines {
    fn add(&mut self, labels: &[Label], entries: &[Entry]) {
        for entry in entries {
            let mut shown: BTreeMap<&str, &str> = pairs(labels).collect();
            if !self.categorize {
                shown.extend(pairs(&entry.structured_metadata));
                shown.extend(pairs(&entry.parsed));
            }
            let mut key = String::new();
            json::object(&mut key, shown.into_iter());
            let values = self.streams.entry(key).or_default();
            let before = values.len();
            if before > 0 {
                values.push(',');
            }
            values.push_str(&format!("[\"{}\",", entry.timestamp_ns));
            json::string(values, &entry.line);
            if self.categorize {
                values.push_str(",{\"structuredMetadata\":");
                json::object(values, pairs(&entry.structured_metadata));
                values.push_str(",\"parsed\":");
                json::object(values, pairs(&entry.parsed));
                values.push('}');
            }
            values.push(']');
            self.bytes += values.len() - before;
        }
    }

    fn write(&self) -> String {
        let streams = self.streams.iter();
        let written: Vec<String> = streams
            .map(|(labels, values)| format!("{{\"stream\":{labels},\"values\":[{values}]}}"))
            .collect();
        format!("[{}]", written.join(","))
    }
}

fn write_series(out: &mut String, kind: ResultType, series: &wire::logs::Series) {
    let mut samples = series.timestamps_ms.iter().copied().zip(series.values.iter().copied());
    if kind == ResultType::Scalar {
        if let Some((ms, value)) = samples.next() {
            json::sample(out, ms, value);
        }
        return;
    }
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str("{\"metric\":");
    json::object(out, pairs(&series.labels));
    if kind == ResultType::Vector {
        if let Some((ms, value)) = samples.next() {
            out.push_str(",\"value\":");
            json::sample(out, ms, value);
        }
    } else {
        out.push_str(",\"values\":[");
        for (idx, (ms, value)) in samples.enumerate() {
            if idx > 0 {
                out.push(',');
            }
            json::sample(out, ms, value);
        }
        out.push(']');
    }
    out.push('}');
}

fn labels(values: &[String]) -> Response {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    json::strings(&mut out, values.iter().map(String::as_str));
    out.push('}');
    json_response(StatusCode::OK, Body::from(out))
}

async fn series(mut stream: Streaming<wire::logs::SeriesResponse>) -> Result<Response, Status> {
    let mut out = String::from("{\"status\":\"success\",\"data\":[");
    let mut any = false;
    while let Some(message) = stream.message().await? {
        for series in &message.series {
            if std::mem::replace(&mut any, true) {
                out.push(',');
            }
            json::object(&mut out, pairs(&series.labels));
        }
        if out.len() > ANSWER_BYTES_MAX {
            return Err(Status::resource_exhausted("the answer is larger than 512 MiB: narrow the selector"));
        }
    }
    out.push_str("]}");
    Ok(json_response(StatusCode::OK, Body::from(out)))
}

fn pairs(labels: &[Label]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|label| (label.name.as_str(), label.value.as_str()))
}

/// Loki's errors are plain text.
fn status_error(status: &Status) -> Response {
    let http = match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::DeadlineExceeded => 504,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        _ => 500,
    };
    let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = if status.message().is_empty() { "query failed" } else { status.message() };
    service::text(http, message)
}
