//! Prometheus' query API, answered from the metrics server's gRPC stream; everything else is passed on over HTTP.

mod writer;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use resources::CpuClass;
use service::CancelGuard;
use tonic::codec::Streaming;
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::metrics::metrics_query_client::MetricsQueryClient;
use wire::metrics::query_response::Part;
use wire::metrics::{
    InstantRequest, Label, LabelNamesRequest, LabelValuesRequest, QueryResponse, RangeRequest, SeriesRequest,
};

use crate::error::ApiError;
use crate::json;
use crate::login::Login;
use crate::params::{FORM_BYTES_MAX, Params, duration_ms, time_ms, timeout};
use crate::proxy::forward;
use crate::state::Gateway;
use crate::upstream::MESSAGE_BYTES_MAX;

use writer::Writer;

/// Points of one series that a query may ask for, as in Prometheus.
const POINTS_MAX: i64 = 11_000;
/// The range that label calls without one look at: everything.
const ALL_TIME: (i64, i64) = (i64::MIN / 1_000_000, i64::MAX / 1_000_000);

/// What a call asks of the server.
enum Call {
    Instant(InstantRequest),
    Range(RangeRequest),
    Labels(LabelNamesRequest),
    Values(LabelValuesRequest),
    Series(SeriesRequest),
}

/// How an attempt over gRPC ended.
enum Attempt {
    Answered(Response),
    /// The server does not speak it.
    Foreign,
}

/// Answers `path` (as the metrics server would see it) of the Prometheus API.
pub(crate) async fn answer(
    gateway: &Gateway,
    login: &Login,
    path: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let query = request.uri().query().map(str::to_owned);
    let path_and_query = with_query(path, query.as_deref());
    let Some(channel) = gateway.metrics.grpc().filter(|_| is_query(path)) else {
        return forward(gateway, &gateway.metrics, &path_and_query, request).await;
    };
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST) {
        return forward(gateway, &gateway.metrics, &path_and_query, Request::from_parts(parts, body)).await;
    }
    let too_large = |_| error(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", "the form is larger than 1 MiB");
    let form = match axum::body::to_bytes(body, FORM_BYTES_MAX).await.map_err(too_large) {
        Ok(form) => form,
        Err(response) => return Ok(response),
    };
    let params = Params::parse(query.as_deref(), &form);
    // Statistics are not part of the gRPC answer.
    if params.get("stats").is_none() {
        let call = match parse(path, &params, gateway.clock.now_ms()) {
            Ok(call) => call,
            Err(message) => return Ok(error(StatusCode::BAD_REQUEST, "bad_data", &message)),
        };
        if let Attempt::Answered(response) = attempt(gateway, login, channel, call, &params).await? {
            return Ok(response);
        }
    }
    forward(gateway, &gateway.metrics, &path_and_query, Request::from_parts(parts, Body::from(form))).await
}

pub(crate) fn with_query(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn is_query(path: &str) -> bool {
    matches!(path, "/api/v1/query" | "/api/v1/query_range" | "/api/v1/labels" | "/api/v1/series")
        || label_of(path).is_some()
}

fn label_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/api/v1/label/")?.strip_suffix("/values")?;
    // Escaped names and whatever else is special are the server's business.
    (!name.is_empty() && !name.contains(['/', '%']) && !name.starts_with("U__")).then_some(name)
}

fn parse(path: &str, params: &Params, now_ms: i64) -> Result<Call, String> {
    let query = || {
        let missing =
            "invalid parameter \"query\": unknown position: parse error: no expression found in input";
        params.get("query").map(str::to_owned).ok_or_else(|| missing.to_owned())
    };
    let time = |name: &str, default: i64| params.get(name).map_or(Ok(default), |text| time_ms(name, text));
    let limit = match params.get("limit") {
        Some(text) => text
            .parse()
            .map_err(|_| format!("invalid parameter \"limit\": cannot parse {text:?} to a number"))?,
        None => 0,
    };
    let lookback_ms =
        params.get("lookback_delta").map_or(Ok(0), |text| duration_ms("lookback_delta", text))?;
    Ok(match path {
        "/api/v1/query" => {
            let time_ms = time("time", now_ms)?;
            Call::Instant(InstantRequest { query: query()?, time_ms, lookback_ms, limit })
        }
        "/api/v1/query_range" => {
            let required = |name: &str| {
                let missing =
                    || format!("invalid parameter {name:?}: cannot parse \"\" to a valid timestamp");
                params.get(name).ok_or_else(missing)
            };
            let start_ms = time_ms("start", required("start")?)?;
            let end_ms = time_ms("end", required("end")?)?;
            let step_ms = duration_ms("step", required("step")?)?;
            check_range(start_ms, end_ms, step_ms)?;
            Call::Range(RangeRequest { query: query()?, start_ms, end_ms, step_ms, lookback_ms, limit })
        }
        _ => {
            let (start_ms, end_ms) = (time("start", ALL_TIME.0)?, time("end", ALL_TIME.1)?);
            let selectors = params.all("match[]");
            match (path, label_of(path)) {
                ("/api/v1/series", _) if selectors.is_empty() => {
                    return Err("no match[] parameter provided".to_owned());
                }
                ("/api/v1/series", _) => Call::Series(SeriesRequest { selectors, start_ms, end_ms, limit }),
                (_, Some(name)) => {
                    let name = name.to_owned();
                    Call::Values(LabelValuesRequest { name, selectors, start_ms, end_ms, limit })
                }
                (_, None) => Call::Labels(LabelNamesRequest { selectors, start_ms, end_ms, limit }),
            }
        }
    })
}

fn check_range(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<(), String> {
    if end_ms < start_ms {
        return Err("invalid parameter \"end\": end timestamp must not be before start time".to_owned());
    }
    if step_ms <= 0 {
        let message = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
            Try a positive integer";
        return Err(message.to_owned());
    }
    if (end_ms - start_ms) / step_ms > POINTS_MAX {
        let message = "exceeded maximum resolution of 11,000 points per timeseries. \
            Try decreasing the query resolution (?step=XX)";
        return Err(message.to_owned());
    }
    Ok(())
}

async fn attempt(
    gateway: &Gateway,
    login: &Login,
    channel: Channel,
    call: Call,
    params: &Params,
) -> Result<Attempt, ApiError> {
    let upstream = &gateway.metrics;
    let asked = match timeout(params.get("timeout")) {
        Ok(asked) => asked,
        Err(message) => return Ok(Attempt::Answered(error(StatusCode::BAD_REQUEST, "bad_data", &message))),
    };
    let scope = gateway
        .contexts
        .from_headers(&HeaderMap::new(), Some(&login.principal()), CpuClass::Query)
        .map_err(|error| ApiError::bad_request(error.to_string()))?
        .with_timeout(asked);
    let (context, guard) = scope.into_guard();
    let mut client = MetricsQueryClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answered = match call {
        Call::Instant(message) => match client.instant(upstream.request(&context, message)).await {
            Ok(stream) => stream_result(stream.into_inner(), guard).await,
            Err(status) => Err(status),
        },
        Call::Range(message) => match client.range(upstream.request(&context, message)).await {
            Ok(stream) => stream_result(stream.into_inner(), guard).await,
            Err(status) => Err(status),
        },
        Call::Labels(message) => {
            let answer = client.label_names(upstream.request(&context, message)).await;
            answer.map(|answer| labels(&answer.into_inner()))
        }
        Call::Values(message) => {
            let answer = client.label_values(upstream.request(&context, message)).await;
            answer.map(|answer| labels(&answer.into_inner()))
        }
        Call::Series(message) => match client.series(upstream.request(&context, message)).await {
            Ok(stream) => series_list(stream.into_inner(), guard).await,
            Err(status) => Err(status),
        },
    };
    Ok(match answered {
        Ok(response) => Attempt::Answered(response),
        Err(status) if upstream.speaks_no_grpc(&status) => Attempt::Foreign,
        Err(status) => Attempt::Answered(status_error(&status)),
    })
}

/// A query's answer: what goes wrong before the first part has a status of its own.
async fn stream_result(mut stream: Streaming<QueryResponse>, guard: CancelGuard) -> Result<Response, Status> {
    let first = stream.message().await?;
    let Some(Part::Header(header)) = first.and_then(|message| message.part) else {
        return Err(Status::internal("the answer has no header"));
    };
    let kind = header.result_type();
    let body = async_stream::stream! {
        let mut writer = Writer::new(kind);
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    let text = writer.part(message.part);
                    if !text.is_empty() {
                        yield Ok(Bytes::from(text));
                    }
                }
                Ok(None) => break,
                Err(status) => {
                    tracing::warn!(error = %status, "answer of the metrics server ended early");
                    yield Err(std::io::Error::other(status.message().to_owned()));
                    return;
                }
            }
        }
        guard.disarm();
        yield Ok(Bytes::from(writer.end()));
    };
    Ok(json_response(StatusCode::OK, Body::from_stream(body)))
}

fn labels(answer: &wire::metrics::LabelsResponse) -> Response {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    json::strings(&mut out, answer.values.iter().map(String::as_str));
    end_with_warnings(&mut out, &answer.warnings);
    json_response(StatusCode::OK, Body::from(out))
}

async fn series_list(
    mut stream: Streaming<wire::metrics::SeriesResponse>,
    guard: CancelGuard,
) -> Result<Response, Status> {
    let mut out = String::from("{\"status\":\"success\",\"data\":[");
    let (mut any, mut warnings) = (false, Vec::new());
    while let Some(message) = stream.message().await? {
        for series in &message.series {
            if std::mem::replace(&mut any, true) {
                out.push(',');
            }
            json::object(&mut out, pairs(&series.labels));
        }
        warnings.extend(message.warnings);
    }
    guard.disarm();
    out.push(']');
    end_with_warnings(&mut out, &warnings);
    Ok(json_response(StatusCode::OK, Body::from(out)))
}

fn end_with_warnings(out: &mut String, warnings: &[String]) {
    if !warnings.is_empty() {
        out.push_str(",\"warnings\":");
        json::strings(out, warnings.iter().map(String::as_str));
    }
    out.push('}');
}

fn pairs(labels: &[Label]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|label| (label.name.as_str(), label.value.as_str()))
}

fn status_error(status: &Status) -> Response {
    let (http, kind) = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => (400, "bad_data"),
        Code::Cancelled => (499, "canceled"),
        Code::DeadlineExceeded => (503, "timeout"),
        Code::Unavailable if status.message().contains("timed out") => (503, "timeout"),
        Code::Unavailable => (503, "unavailable"),
        Code::Internal | Code::Unknown | Code::DataLoss => (500, "internal"),
        Code::NotFound => (404, "not_found"),
        _ => (422, "execution"),
    };
    let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(http, kind, status.message())
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({ "status": "error", "errorType": kind, "error": message });
    json_response(status, Body::from(body.to_string()))
}

pub(crate) fn json_response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
