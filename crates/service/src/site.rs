//! What every service answers beside its own routes, and the settings of its listener.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use model::ErrorCode;
use parking_lot::RwLock;
use telemetry::{Counter, Family, Format, Histogram};
use tonic::service::Routes;
use tower_http::compression::CompressionLayer;

use crate::auth::Authenticator;
use crate::failure::{BoxError, Failure};
use crate::grpc_health;
use crate::lifecycle::{Lifecycle, Readiness};
use crate::listen::Listener;
use crate::server::{self, Answers};
use crate::status::{text, text_error};
use crate::web_config::Web;

/// Decides whether a page of this origin may read answers (CORS).
pub type OriginPredicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The settings of a service's listeners.
#[derive(Clone)]
pub struct SiteOptions {
    /// Begins the names of the request metrics, such as `prometheus` in `prometheus_http_requests_total`.
    pub metrics_prefix: &'static str,
    /// What `/-/healthy` says.
    pub healthy_text: &'static str,
    /// What `/-/ready` and `/ready` say.
    pub ready_text: &'static str,
    /// Where the routes begin: `/` or a path such as `/prometheus`.
    pub route_prefix: String,
    /// Whether `/-/reload` and `/-/quit` are answered (`--web.enable-lifecycle`).
    pub lifecycle_endpoints: bool,
    /// Whether `/-/quit` is among them; off where the original has no such path.
    pub quit_endpoint: bool,
    /// Bytes of a request's body as sent.
    pub body_bytes_max: usize,
    /// Connections at a time; more wait.
    pub connections_max: usize,
    /// How long a request's head may take, and each pause within its body. Streams of gRPC and WebSockets are not bound.
    pub read_timeout: Duration,
    /// Pages of which origins may read answers; `None` sends no CORS headers.
    pub cors: Option<OriginPredicate>,
    /// Prometheus' web configuration file.
    pub web_config: Option<PathBuf>,
    /// Whether the service's own router answers `/metrics`, because it shows more than its registry.
    pub own_metrics_route: bool,
}

impl SiteOptions {
    /// The defaults for a service.
    pub fn new(metrics_prefix: &'static str) -> Self {
        Self {
            metrics_prefix,
            healthy_text: "OK",
            ready_text: "ready",
            route_prefix: "/".to_owned(),
            lifecycle_endpoints: false,
            quit_endpoint: true,
            body_bytes_max: 100 << 20,
            connections_max: 512,
            read_timeout: Duration::from_secs(300),
            cors: None,
            web_config: None,
            own_metrics_route: false,
        }
    }
}

impl std::fmt::Debug for SiteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteOptions").field("metrics_prefix", &self.metrics_prefix).finish_non_exhaustive()
    }
}

/// A service's listeners with all that they share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Site(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) options: SiteOptions,
    pub(crate) web: RwLock<Arc<Web>>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) requests: Family<Counter>,
    pub(crate) took: Family<Histogram>,
    pub(crate) sizes: Family<Histogram>,
    pub(crate) connections: telemetry::Gauge,
}

impl Site {
    /// Reads the web configuration file, if one is set. Blocks.
    pub fn new(lifecycle: &Lifecycle, options: SiteOptions) -> Result<Self, Failure> {
        let web = match &options.web_config {
            Some(path) => Web::load(path)?,
            None => Web::open(),
        };
        let registry = lifecycle.registry();
        let prefix = options.metrics_prefix;
        let requests = registry.counter_family(
            &format!("{prefix}_http_requests_total"),
            "Counter of HTTP requests.",
            &["handler", "code"],
        );
        let bounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        let took = registry.histogram_family(
            &format!("{prefix}_http_request_duration_seconds"),
            "Histogram of latencies for HTTP requests.",
            &["handler"],
            &bounds,
        );
        let sizes = registry.histogram_family(
            &format!("{prefix}_http_response_size_bytes"),
            "Histogram of response sizes for HTTP requests whose answer's size is known at its start.",
            &["handler"],
            &[100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8],
        );
        let connections =
            registry.gauge("service_connections", "Open connections to the service's listeners.");
        Ok(Self(Arc::new(Shared {
            lifecycle: lifecycle.clone(),
            options,
            web: RwLock::new(Arc::new(web)),
            authenticator: Arc::default(),
            requests,
            took,
            sizes,
            connections,
        })))
    }

    /// Reads the web configuration file again: part of a service's reload. Connections that are open keep theirs. Blocks.
    pub fn reload_web_config(&self) -> Result<(), Failure> {
        if let Some(path) = &self.0.options.web_config {
            let web = Web::load(path)?;
            *self.0.web.write() = Arc::new(web);
        }
        Ok(())
    }

    /// Serves `http` (under the route prefix, with the routes that every service has) and `grpc` (with grpc.health.v1) on
    /// one listener until the service drains. May be called for several listeners.
    pub fn serve(&self, listener: Listener, http: Router, grpc: Routes) {
        let answers = Answers { http: self.router(http), grpc: self.grpc_router(grpc) };
        tracing::info!(service = self.0.lifecycle.name(), address = %listener.address(), "listening");
        let task = server::serve(Arc::clone(&self.0), listener.socket, answers);
        self.0.lifecycle.spawn_server("listener", async move {
            task.await;
            Ok::<(), BoxError>(())
        });
    }

    /// The HTTP routes as they are served: for tests without a socket.
    pub fn router(&self, http: Router) -> Router {
        let routes = http.merge(self.standard_routes());
        let prefix = self.0.options.route_prefix.trim_end_matches('/');
        let routes = if prefix.is_empty() { routes } else { below(prefix, routes) };
        routes
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(self.0.options.body_bytes_max))
            .layer(CompressionLayer::new())
            .layer(from_fn(mark_route))
    }

    fn grpc_router(&self, grpc: Routes) -> Router {
        let health = grpc_health::service(&self.0.lifecycle);
        grpc.add_service(health).into_axum_router().layer(from_fn(mark_route))
    }

    fn standard_routes(&self) -> Router {
        let Shared { lifecycle, options, .. } = &*self.0;
        let healthy = options.healthy_text;
        let registry = lifecycle.registry().clone();
        let metrics = get(move |headers: HeaderMap| metrics(registry.clone(), headers));
        let ready = {
            let (lifecycle, ready_text) = (lifecycle.clone(), options.ready_text);
            get(move || ready(lifecycle.clone(), ready_text))
        };
        let mut routes = Router::new();
        if !options.own_metrics_route {
            routes = routes.route("/metrics", metrics);
        }
        if options.quit_endpoint {
            routes = routes.route("/-/quit", self.quit_route());
        }
        routes
            .route("/-/healthy", get(move || async move { text(StatusCode::OK, healthy) }))
            .route("/-/ready", ready.clone())
            .route("/ready", ready)
            .route("/-/reload", self.reload_route())
    }

    fn reload_route(&self) -> MethodRouter {
        let lifecycle = self.0.lifecycle.clone();
        let enabled = self.0.options.lifecycle_endpoints;
        let reload = move || {
            let lifecycle = lifecycle.clone();
            async move {
                if !enabled {
                    return lifecycle_disabled();
                }
                match lifecycle.reload().await {
                    Ok(()) => StatusCode::OK.into_response(),
                    Err(error) => {
                        let error = crate::failure::error_chain(error.as_ref());
                        text(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to reload config: {error}"))
                    }
                }
            }
        };
        post(reload.clone()).put(reload)
    }

    fn quit_route(&self) -> MethodRouter {
        let lifecycle = self.0.lifecycle.clone();
        let enabled = self.0.options.lifecycle_endpoints;
        let quit = move || {
            let lifecycle = lifecycle.clone();
            async move {
                if !enabled {
                    return lifecycle_disabled();
                }
                lifecycle.ask_to_stop();
                text(StatusCode::OK, "Requesting termination... Goodbye!")
            }
        };
        post(quit.clone()).put(quit)
    }
}

/// Routes below a path; `nest` alone does not answer the path with a slash at its end.
fn below(prefix: &str, routes: Router) -> Router {
    let top = tower::ServiceExt::<Request>::map_request(routes.clone(), |mut request: Request| {
        let path = request.uri().query().map_or_else(|| "/".to_owned(), |query| format!("/?{query}"));
        if let Ok(uri) = path.parse() {
            *request.uri_mut() = uri;
        }
        request
    });
    Router::new().nest(prefix, routes).route_service(&format!("{prefix}/"), top)
}

/// A route that is known and not built: answers 501 and names itself.
pub fn not_built() -> MethodRouter {
    any(|request: Request| async move {
        let path = request.uri().path();
        text_error(ErrorCode::Unimplemented, &format!("{path} is not built yet"))
    })
}

fn lifecycle_disabled() -> Response {
    text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled: start with --web.enable-lifecycle.")
}

async fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

async fn method_not_allowed() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

async fn ready(lifecycle: Lifecycle, ready_text: &'static str) -> Response {
    match lifecycle.readiness() {
        Readiness::Ready => text(StatusCode::OK, ready_text),
        Readiness::Starting(what) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {what}")),
        Readiness::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping"),
    }
}

async fn metrics(registry: telemetry::Registry, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let format = Format::from_accept(accept);
    // Callbacks read files of /proc and take locks: not on the runtime's threads.
    match tokio::task::spawn_blocking(move || registry.render(format)).await {
        Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], body).into_response(),
        Err(_) => text_error(ErrorCode::Internal, "metrics could not be gathered"),
    }
}

/// The pattern of the route that answered, for the metrics: known only inside the router.
#[derive(Clone)]
pub(crate) struct RoutePattern(pub(crate) Arc<str>);

async fn mark_route(request: Request, next: Next) -> Response {
    let pattern = request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().into());
    let mut response = next.run(request).await;
    if let Some(pattern) = pattern {
        response.extensions_mut().insert(RoutePattern(pattern));
    }
    response
}
