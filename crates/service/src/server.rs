//! Connections: accepted, bounded, told apart by content type, drained.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, HeaderValue, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use resources::Principal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::Instrument;

use crate::body::TimedBody;
use crate::lifecycle::panic_text;
use crate::site::{RoutePattern, Shared};
use crate::status::text;
use crate::web_config::Web;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// What is added to the read timeout for a request's head. hyper counts the time in which a kept connection is idle too, and a
/// client that comes every five minutes must not meet it just as it closes.
const IDLE_MARGIN: Duration = Duration::from_secs(37);
/// After how long without traffic an HTTP/2 connection is asked whether it lives, and how long it has to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Streams on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;

/// The two routers of a listener.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) http: Router,
    pub(crate) grpc: Router,
}

/// The address of a request's client: an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Accepts until the service drains, then waits for the requests under way.
pub(crate) async fn serve(site: Arc<Shared>, socket: TcpListener, answers: Answers) {
    let permits = Arc::new(Semaphore::new(site.options.connections_max));
    let mut connections = JoinSet::new();
    let draining = site.lifecycle.draining().clone();
    loop {
        let permit = tokio::select! {
            () = draining.cancelled() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let accepted = loop {
            tokio::select! {
                () = draining.cancelled() => break None,
                accepted = socket.accept() => break Some(accepted),
                Some(_) = connections.join_next() => {}
            }
        };
        match accepted {
            None => break,
            Some(Ok((stream, peer))) => {
                // A client of IPv4 on a socket of both is to be seen as one.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let (site, answers) = (Arc::clone(&site), answers.clone());
                connections.spawn(async move {
                    let _counted = site.connections.count();
                    connection(site, stream, peer, answers).await;
                    drop(permit);
                });
            }
            Some(Err(error)) => {
                // Too many open files, as a rule: others have to end first.
                tracing::warn!(error = %error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

async fn connection(site: Arc<Shared>, stream: TcpStream, peer: SocketAddr, answers: Answers) {
    // Without it the last packet of an answer waits for an acknowledgement; where it fails, it only is slower.
    stream.set_nodelay(true).ok();
    let web = Arc::clone(&site.web.read());
    let Some(tls) = web.tls.clone() else {
        return talk(site, web, stream, peer, answers).await;
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => talk(site, web, stream, peer, answers).await,
        Ok(Err(error)) => tracing::debug!(peer = %peer, error = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(peer = %peer, "TLS handshake took too long"),
    }
}

async fn talk(
    site: Arc<Shared>,
    web: Arc<Web>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    answers: Answers,
) {
    let draining = site.lifecycle.draining().clone();
    let http2 = web.config.http2;
    let head_timeout = site.options.read_timeout + IDLE_MARGIN;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (site, web, answers) = (Arc::clone(&site), Arc::clone(&web), answers.clone());
        async move { Ok::<_, Infallible>(answer(&site, &web, answers, peer, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    if !http2 {
        builder = builder.http1_only();
    }
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .max_concurrent_streams(STREAMS_MAX)
        .adaptive_window(true);
    let talking = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut talking = std::pin::pin!(talking);
    let ended = tokio::select! {
        ended = talking.as_mut() => ended,
        () = draining.cancelled() => {
            talking.as_mut().graceful_shutdown();
            talking.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer, error = %error, "connection ended early");
    }
}

async fn answer(
    site: &Arc<Shared>,
    web: &Web,
    answers: Answers,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response {
    let start = tokio::time::Instant::now();
    let grpc = is_grpc(request.headers());
    let origin = allowed_origin(site, request.headers());
    let span = tracing::info_span!("request", method = %request.method(), path = request.uri().path());
    telemetry::set_parent_from(&span, request.headers());
    let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
        text(StatusCode::NO_CONTENT, "")
    } else {
        match site.authenticator.check(request.headers(), &web.config.users).await {
            Some(principal) => routed(site, answers, request, peer, principal, grpc).instrument(span).await,
            None => unauthorized(grpc),
        }
    };
    let pattern = response.extensions().get::<RoutePattern>().map(|pattern| Arc::clone(&pattern.0));
    let handler = pattern.as_deref().unwrap_or("other");
    site.requests.with(&[handler, response.status().as_str()]).inc();
    site.took.with(&[handler]).observe_duration(start.elapsed());
    if let Some(bytes) = axum::body::HttpBody::size_hint(response.body()).exact() {
        site.sizes.with(&[handler]).observe(bytes as f64);
    }
    let headers = response.headers_mut();
    for (name, value) in &web.config.headers {
        headers.insert(name.clone(), value.clone());
    }
    if let Some(origin) = origin {
        add_cors(headers, origin);
    }
    response
}

async fn routed(
    site: &Arc<Shared>,
    answers: Answers,
    request: Request<Incoming>,
    peer: SocketAddr,
    principal: Principal,
    grpc: bool,
) -> Response {
    let (mut parts, incoming) = request.into_parts();
    parts.extensions.insert(Peer(peer));
    parts.extensions.insert(principal);
    // A gRPC stream may be silent for as long as its keepalive is answered.
    let body = if grpc {
        Body::new(incoming)
    } else {
        Body::new(TimedBody::new(incoming, site.options.read_timeout))
    };
    let path = parts.uri.path().to_owned();
    let router = if grpc { answers.grpc } else { answers.http };
    let answered = AssertUnwindSafe(router.oneshot(Request::from_parts(parts, body))).catch_unwind().await;
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(panic) => {
            site.lifecycle.count_panic();
            tracing::error!(path, error = panic_text(panic.as_ref()), "request handler panicked");
            if grpc {
                tonic::Status::internal("internal error").into_http()
            } else {
                text(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            }
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn unauthorized(grpc: bool) -> Response {
    if grpc {
        return tonic::Status::unauthenticated("unauthorized").into_http();
    }
    let mut response = text(StatusCode::UNAUTHORIZED, "Unauthorized");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}

/// The request's origin, if its pages may read the answer.
fn allowed_origin(site: &Shared, headers: &HeaderMap) -> Option<HeaderValue> {
    let allowed = site.options.cors.as_ref()?;
    let origin = headers.get(ORIGIN)?;
    allowed(origin.to_str().ok()?).then(|| origin.clone())
}

fn add_cors(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
