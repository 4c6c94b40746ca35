//! A service over a real socket: HTTP/1.1, h2c, gRPC, users, TLS, panics, draining.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use service::{Lifecycle, Listener, Site, SiteOptions};
use telemetry::{Format, Registry};
use tokio::net::TcpStream;
use tonic::service::Routes;
use wire::health::HealthCheckRequest;
use wire::health::health_client::HealthClient;

struct Running {
    lifecycle: Lifecycle,
    registry: Registry,
    address: String,
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "top" }))
        .route("/hello", get(|| async { "hello" }))
        .route("/panic", get(|| async { panicking().await }))
        .route("/body", post(|body: axum::body::Bytes| async move { body.len().to_string() }))
        .route("/later", service::not_built())
}

#[expect(clippy::panic, reason = "the kit has to survive a panicking handler")]
async fn panicking() -> &'static str {
    panic!("handler is broken")
}

async fn start(options: SiteOptions) -> Running {
    let registry = Registry::new();
    let lifecycle = Lifecycle::new("test", &registry);
    let listener = Listener::bind("127.0.0.1:0", "--listen").await.expect("a free port");
    let address = listener.address().to_string();
    let site = Site::new(&lifecycle, options).expect("the options are right");
    site.serve(listener, routes(), Routes::default());
    lifecycle.set_ready();
    Running { lifecycle, registry, address }
}

impl Running {
    async fn send(&self, request: Request<Body>, http2: bool) -> Response<Incoming> {
        let io = TokioIo::new(TcpStream::connect(&self.address).await.expect("it listens"));
        if http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("it speaks h2c");
            tokio::spawn(connection);
            sender.send_request(request).await.expect("an answer")
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(io).await.expect("it speaks HTTP/1.1");
            tokio::spawn(connection);
            sender.send_request(request).await.expect("an answer")
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let uri = format!("http://{}{path}", self.address);
        let request = Request::get(uri).header("host", &self.address).body(Body::empty()).expect("a request");
        read(self.send(request, false).await).await
    }

    fn metrics(&self) -> String {
        self.registry.render(Format::Prometheus)
    }
}

async fn read(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn standard_routes_answer_and_unknown_ones_do_not() {
    let running = start(SiteOptions::new("prometheus")).await;
    for (path, status, text) in [
        ("/hello", 200, "hello"),
        ("/-/healthy", 200, "OK\n"),
        ("/-/ready", 200, "ready\n"),
        ("/ready", 200, "ready\n"),
        ("/nothing", 404, "404 page not found\n"),
        ("/later", 501, "/later is not built yet\n"),
        ("/-/reload", 405, "method not allowed\n"),
        ("/body", 405, "method not allowed\n"),
    ] {
        assert_eq!(
            running.get(path).await,
            (StatusCode::from_u16(status).unwrap(), text.to_owned()),
            "{path}"
        );
    }
    let (status, text) = running.get("/metrics").await;
    assert!(
        status == 200 && text.contains("prometheus_http_requests_total{handler=\"/hello\",code=\"200\"} 1\n")
    );
    assert!(text.contains("prometheus_http_requests_total{handler=\"other\",code=\"404\"} 1\n"), "{text}");
}

#[tokio::test]
async fn h2c_and_grpc_share_the_port() {
    let running = start(SiteOptions::new("test")).await;
    let uri = format!("http://{}/hello", running.address);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    assert_eq!(read(running.send(request, true).await).await.1, "hello");
    let mut client = HealthClient::connect(format!("http://{}", running.address)).await.unwrap();
    let health = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.status, 1);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    running.lifecycle.stop(Duration::from_secs(10)).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "watchers are told");
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_service_lives() {
    let running = start(SiteOptions::new("test")).await;
    assert_eq!(
        running.get("/panic").await,
        (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n".to_owned())
    );
    assert_eq!(running.get("/hello").await.0, 200);
    assert!(running.metrics().contains("service_panics_total 1\n"));
}

#[tokio::test]
async fn bodies_over_the_bound_are_refused() {
    let running = start(SiteOptions { body_bytes_max: 10, ..SiteOptions::new("test") }).await;
    for (size, status) in [(10, 200), (11, 413)] {
        let uri = format!("http://{}/body", running.address);
        let request = Request::post(uri).header("host", "x").body(Body::from(vec![b'x'; size])).unwrap();
        assert_eq!(running.send(request, false).await.status(), status);
    }
}

#[tokio::test]
async fn reload_and_quit_are_off_unless_asked_for() {
    for (enabled, status) in [(false, 403), (true, 200)] {
        let running = start(SiteOptions { lifecycle_endpoints: enabled, ..SiteOptions::new("test") }).await;
        for path in ["/-/reload", "/-/quit"] {
            let uri = format!("http://{}{path}", running.address);
            let request = Request::post(uri).header("host", "x").body(Body::empty()).unwrap();
            assert_eq!(running.send(request, false).await.status(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn a_route_prefix_moves_everything() {
    let running = start(SiteOptions { route_prefix: "/mon/".to_owned(), ..SiteOptions::new("test") }).await;
    for (path, status) in [
        ("/mon/hello", 200),
        ("/mon", 200),
        ("/mon/", 200),
        ("/mon/-/healthy", 200),
        ("/", 404),
        ("/hello", 404),
        ("/mon/x", 404),
    ] {
        assert_eq!(running.get(path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn cors_answers_allowed_origins_only() {
    let cors: service::OriginPredicate = Arc::new(|origin| origin == "https://ok.example");
    let running = start(SiteOptions { cors: Some(cors), ..SiteOptions::new("test") }).await;
    for (origin, allowed) in [("https://ok.example", true), ("https://no.example", false)] {
        let uri = format!("http://{}/hello", running.address);
        let request =
            Request::get(uri).header("host", "x").header("origin", origin).body(Body::empty()).unwrap();
        let response = running.send(request, false).await;
        assert_eq!(response.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}

#[tokio::test]
async fn users_of_the_web_config_have_to_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    std::fs::write(
        &file,
        format!(
            "basic_auth_users:\n  alice: {hash}\nhttp_server_config:\n  headers: {{X-Frame-Options: deny}}\n"
        ),
    )
    .unwrap();
    let running = start(SiteOptions { web_config: Some(file), ..SiteOptions::new("test") }).await;
    // alice:s3cret, alice:wrong, bob:s3cret
    for (credentials, status) in [
        (None, 401),
        (Some("YWxpY2U6czNjcmV0"), 200),
        (Some("YWxpY2U6d3Jvbmc="), 401),
        (Some("Ym9iOnMzY3JldA=="), 401),
    ] {
        for _again in 0..2 {
            let uri = format!("http://{}/hello", running.address);
            let mut request = Request::get(uri).header("host", "x");
            if let Some(credentials) = credentials {
                request = request.header("authorization", format!("Basic {credentials}"));
            }
            let response = running.send(request.body(Body::empty()).unwrap(), false).await;
            assert_eq!(response.status(), status, "{credentials:?}");
            assert_eq!(response.headers()["x-frame-options"], "deny");
        }
    }
    let mut client = HealthClient::connect(format!("http://{}", running.address)).await.unwrap();
    let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn draining_refuses_new_connections_and_ends_old_ones() {
    let running = start(SiteOptions::new("test")).await;
    assert_eq!(running.get("/hello").await.0, 200);
    let report = running.lifecycle.stop(Duration::from_secs(10)).await;
    assert_eq!(report.failed, []);
    assert!(TcpStream::connect(&running.address).await.is_err());
}

#[tokio::test]
async fn the_probe_asks_the_health_page() {
    let running = start(SiteOptions::new("test")).await;
    let url = format!("http://{}/-/healthy", running.address);
    let missing = format!("http://{}/nothing", running.address);
    let probed = tokio::task::spawn_blocking(move || (service::probe(&url), service::probe(&missing)));
    let (healthy, wrong) = probed.await.unwrap();
    healthy.unwrap();
    assert!(wrong.unwrap_err().to_string().ends_with("answered 404"));
}

#[tokio::test]
async fn tls_answers_both_protocols_and_a_new_certificate_is_taken_on_reload() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let dir = tempfile::tempdir().unwrap();
    for name in ["cert.pem", "key.pem"] {
        std::fs::copy(data.join(name), dir.path().join(name)).unwrap();
    }
    let file = dir.path().join("web.yml");
    std::fs::write(&file, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n").unwrap();
    let registry = Registry::new();
    let lifecycle = Lifecycle::new("test", &registry);
    let site =
        Site::new(&lifecycle, SiteOptions { web_config: Some(file), ..SiteOptions::new("test") }).unwrap();
    let listener = Listener::bind("127.0.0.1:0", "--listen").await.unwrap();
    let address = listener.address();
    site.serve(listener, routes(), Routes::default());
    for (protocol, http2) in [(&b"http/1.1"[..], false), (b"h2", true)] {
        let stream = tls_connect(address, &data.join("cert.pem"), protocol).await;
        let uri = format!("https://localhost:{}/hello", address.port());
        let request = Request::get(uri).header("host", "localhost").body(Body::empty()).unwrap();
        let response = if http2 {
            let io = TokioIo::new(stream);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(read(response).await.1, "hello");
    }
    site.reload_web_config().unwrap();
    std::fs::write(dir.path().join("key.pem"), "nothing").unwrap();
    let refused = site.reload_web_config().unwrap_err().to_string();
    assert!(refused.ends_with("key.pem holds no private key in PEM form"), "{refused}");
    tls_connect(address, &data.join("cert.pem"), b"h2").await;
}

async fn tls_connect(
    address: std::net::SocketAddr,
    trusted: &std::path::Path,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(trusted).expect("the certificate is checked in");
    for certificate in rustls_pemfile::certs(&mut &pem[..]) {
        roots.add(certificate.expect("it is PEM")).expect("it is a certificate");
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = "localhost".try_into().expect("a name");
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect(name, stream).await.expect("the certificate is right")
}
