//! Spans reach a collector.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use telemetry::{LogOptions, Logging};
use tokio::sync::mpsc;

/// What a collector got: the path and the message.
type Got = (String, Vec<u8>);

async fn collect(
    request: Request<Incoming>,
    got: mpsc::Sender<Got>,
) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    got.send((path, body)).await.ok();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a header value"));
    // An empty message and the status.
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)].map(Ok);
    let body = StreamBody::new(futures::stream::iter(frames)).boxed();
    Ok(Response::builder().header("content-type", "application/grpc").body(body).expect("a response"))
}

type AnyBody = http_body_util::combinators::BoxBody<Bytes, Infallible>;

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_a_collector_with_their_parent_from_headers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut got) = mpsc::channel(10);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request| collect(request, sender.clone()));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    let options = LogOptions { otlp_endpoint: Some(endpoint), ..LogOptions::for_service("test-service") };
    let (logging, dispatch) = Logging::build(&options, || Box::new(std::io::sink())).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let mut headers = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", parent.parse().unwrap());
        let span = tracing::info_span!("answering");
        telemetry::set_parent_from(&span, &headers);
        span.in_scope(|| {
            let mut onward = HeaderMap::new();
            telemetry::inject_trace(&mut onward);
            let onward = onward["traceparent"].to_str().unwrap().to_owned();
            assert!(
                onward.starts_with("00-0af7651916cd43dd8448eb211c80319c-")
                    && !onward.contains("b7ad6b7169203331")
            );
            assert_eq!(telemetry::current_trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        });
    });
    tokio::task::spawn_blocking(move || logging.shutdown(Duration::from_secs(10))).await.unwrap();
    let (path, message) = got.recv().await.unwrap();
    assert_eq!(path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    for part in [
        &b"answering"[..],
        b"test-service",
        b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c",
    ] {
        assert!(message.windows(part.len()).any(|window| window == part), "{part:?}");
    }
}
