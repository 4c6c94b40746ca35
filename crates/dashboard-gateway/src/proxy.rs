//! Requests passed on to the servers over HTTP, bodies streamed both ways; websockets too.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, ORIGIN, REFERER,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as UpstreamMessage};
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::state::Gateway;
use crate::upstream::Upstream;

/// How long a proxied exchange may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Headers that belong to one hop or to the gateway's own login.
const NOT_FORWARDED: [HeaderName; 12] = [
    CONNECTION,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
    AUTHORIZATION,
    COOKIE,
    ORIGIN,
    REFERER,
    http::header::PROXY_AUTHORIZATION,
];

/// Passes a request on to `upstream` as `path_and_query`.
pub(crate) async fn forward(
    gateway: &Gateway,
    upstream: &Upstream,
    path_and_query: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let url = upstream.address(path_and_query)?;
    let (mut parts, body) = request.into_parts();
    if parts.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        let socket = WebSocketUpgrade::from_request_parts(&mut parts, &())
            .await
            .map_err(|refused| ApiError::bad_request(refused.body_text()))?;
        let draining = gateway.lifecycle.draining().clone();
        return websocket(upstream, url.as_str(), &parts.headers, socket, draining).await;
    }
    let mut headers = forwarded(&parts.headers);
    upstream.add_authorization(&mut headers);
    telemetry::inject_trace(&mut headers);
    let has_body = !matches!(parts.method, Method::GET | Method::HEAD);
    let body = has_body.then(|| http_client::Body::wrap_stream(body.into_data_stream()));
    let mut url = url;
    // Credentials travel in the header: in the URL they could get into a message.
    url.set_password(None).ok();
    url.set_username("").ok();
    let method = parts.method;
    let sent = upstream
        .http()
        .send(http_client::Request { method, url, headers, body, timeout: TIMEOUT })
        .await
        .map_err(|error| upstream.away(&error.chain()))?;
    Ok(answer(upstream, sent))
}

fn answer(upstream: &Upstream, mut sent: http_client::Response) -> Response {
    let status = sent.status();
    let mut headers = forwarded(sent.headers());
    if status == StatusCode::UNAUTHORIZED {
        // Else the browser would take it for the gateway's own and ask for a password.
        let message = format!("{} refuses the gateway's credentials", upstream.role());
        return ApiError::bad_request(message).into_response();
    }
    headers.remove(http::header::SET_COOKIE);
    let stream = async_stream::stream! {
        loop {
            match sent.chunk().await {
                Ok(Some(chunk)) => yield Ok(Bytes::copy_from_slice(chunk.as_ref())),
                Ok(None) => break,
                Err(error) => {
                    // The status is sent: a body that ends early is all that is left to say.
                    yield Err(std::io::Error::other(error.chain()));
                    break;
                }
            }
        }
    };
    let mut response = Response::new(Body::from_stream(stream));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in &NOT_FORWARDED {
        kept.remove(name);
    }
    kept.remove("x-watchbell-request");
    kept.remove("keep-alive");
    kept
}

async fn websocket(
    upstream: &Upstream,
    url: &str,
    headers: &HeaderMap,
    socket: WebSocketUpgrade,
    draining: CancellationToken,
) -> Result<Response, ApiError> {
    // http becomes ws, https wss.
    let target = url.replacen("http", "ws", 1);
    let mut request =
        target.into_client_request().map_err(|error| ApiError::bad_request(error.to_string()))?;
    for (name, value) in &forwarded(headers) {
        let handshake = name.as_str().starts_with("sec-websocket") || name == ACCEPT_ENCODING;
        if !handshake {
            request.headers_mut().insert(name.clone(), value.clone());
        }
    }
    upstream.add_authorization(request.headers_mut());
    let connected = tokio::time::timeout(Duration::from_secs(10), connect_async(request)).await;
    let server = match connected {
        Err(_) => return Err(upstream.away("no websocket within 10 s")),
        Ok(Ok((server, _))) => server,
        // The server refuses the request before the upgrade: a bad selector, for one.
        Ok(Err(WsError::Http(refused))) => {
            let (parts, body) = refused.into_parts();
            return Ok((parts.status, body.unwrap_or_default()).into_response());
        }
        Ok(Err(error)) => return Err(upstream.away(&error.to_string())),
    };
    Ok(socket.on_upgrade(move |client| pump(client, server, draining)))
}

type Server = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Moves frames both ways until either side closes or the gateway drains.
async fn pump(mut client: WebSocket, mut server: Server, draining: CancellationToken) {
    loop {
        tokio::select! {
            () = draining.cancelled() => break,
            message = client.recv() => match message {
                Some(Ok(message)) => {
                    let Some(message) = to_server(message) else { break };
                    if server.send(message).await.is_err() {
                        break;
                    }
                }
                Some(Err(_)) | None => break,
            },
            message = server.next() => match message {
                Some(Ok(message)) => {
                    let last = matches!(message, UpstreamMessage::Close(_));
                    if client.send(to_client(message)).await.is_err() || last {
                        break;
                    }
                }
                Some(Err(_)) | None => break,
            },
        }
    }
    // Either side may be gone already.
    client.send(Message::Close(None)).await.ok();
    server.close(None).await.ok();
}

/// `None` where the client closes.
fn to_server(message: Message) -> Option<UpstreamMessage> {
    Some(match message {
        Message::Text(text) => UpstreamMessage::text(text.as_str()),
        Message::Binary(bytes) => UpstreamMessage::Binary(bytes),
        Message::Ping(bytes) => UpstreamMessage::Ping(bytes),
        Message::Pong(bytes) => UpstreamMessage::Pong(bytes),
        Message::Close(_) => return None,
    })
}

fn to_client(message: UpstreamMessage) -> Message {
    match message {
        UpstreamMessage::Text(text) => Message::text(text.as_str()),
        UpstreamMessage::Binary(bytes) => Message::Binary(bytes),
        UpstreamMessage::Ping(bytes) => Message::Ping(bytes),
        UpstreamMessage::Pong(bytes) => Message::Pong(bytes),
        UpstreamMessage::Close(frame) => Message::Close(
            frame.map(|frame| CloseFrame { code: frame.code.into(), reason: frame.reason.as_str().into() }),
        ),
        UpstreamMessage::Frame(_) => Message::Binary(Bytes::new()),
    }
}
