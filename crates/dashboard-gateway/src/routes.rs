//! All routes, and the headers that every answer carries.

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use crate::state::Gateway;
use crate::{dashboards_api, datasources, login, status, ui};

/// No request leaves for another host, no foreign page frames this one. Styles are set by scripts of charts and editor.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";

/// The gateway's routes; under its prefix too, so that a proxy may strip it or not.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let open = Router::new()
        .route("/api/login", post(login::login))
        .route("/login", post(login::login))
        .route("/api/logout", post(login::logout))
        .route("/api/session", get(login::session))
        .route("/api/health", get(health))
        .route("/healthz", get(|| async { "Ok" }))
        .route("/assets/{*path}", get(ui::asset))
        .route("/favicon.svg", get(ui::icon));
    let open = ui::ROUTES.iter().fold(open, |routes, path| routes.route(path, get(page)));
    let closed = api().merge(proxies()).layer(from_fn_with_state(gateway.clone(), login::authenticate));
    let routes = open.merge(closed).layer(from_fn(secure)).with_state(gateway.clone());
    match gateway.options.prefix() {
        prefix if prefix.is_empty() => routes,
        prefix => {
            let at_prefix = format!("{prefix}/");
            let page = get(page).layer(from_fn(secure)).with_state(gateway.clone());
            routes.clone().nest(&prefix, routes).route(&at_prefix, page)
        }
    }
}

fn api() -> Router<Gateway> {
    use dashboards_api as boards;
    Router::new()
        .route("/api/user", get(datasources::user))
        .route("/api/org", get(datasources::org))
        .route("/api/user/password", post(login::change_password).put(login::change_password))
        .route("/api/user/stars/dashboard/uid/{uid}", post(boards::star).delete(boards::unstar))
        .route("/api/status", get(status::status))
        .route("/api/search", get(boards::search))
        .route("/api/dashboards/tags", get(boards::tags))
        .route("/api/dashboards/db", post(boards::save))
        .route("/api/dashboards/import", post(boards::import))
        .route("/api/dashboards/uid/{uid}", get(boards::get).delete(boards::delete))
        .route("/api/dashboards/uid/{uid}/versions", get(boards::versions))
        .route("/api/dashboards/uid/{uid}/versions/{version}", get(boards::version))
        .route("/api/dashboards/uid/{uid}/restore", post(boards::restore))
        .route("/api/datasources", get(datasources::list))
        .route("/api/datasources/{id}", get(datasources::by_id))
        .route("/api/datasources/uid/{uid}", get(datasources::by_uid))
        .route("/api/datasources/name/{name}", get(datasources::by_name))
        .route("/api/datasources/proxy/uid/{uid}/{*path}", any(datasources::proxy_by_uid))
        .route("/api/datasources/proxy/{id}/{*path}", any(datasources::proxy_by_id))
        .merge(later())
}

/// Parts of Grafana's API that are known and not built yet.
fn later() -> Router<Gateway> {
    [
        "/api/ds/query",
        "/api/tsdb/query",
        "/api/annotations",
        "/api/annotations/{*rest}",
        "/api/folders",
        "/api/folders/{*rest}",
        "/api/snapshots",
        "/api/snapshots/{*rest}",
        "/api/serviceaccounts/{*rest}",
        "/api/users",
        "/api/users/{*rest}",
        "/api/admin/{*rest}",
        "/api/teams/{*rest}",
        "/api/library-elements",
        "/api/playlists",
        "/api/short-urls",
        "/api/org/users",
        "/api/org/preferences",
        "/api/user/preferences",
        "/api/datasources/uid/{uid}/health",
        "/api/datasources/uid/{uid}/resources/{*rest}",
    ]
    .into_iter()
    .fold(Router::new(), |routes, path| routes.route(path, any(not_built)))
}

async fn not_built(uri: Uri) -> Response {
    let message = format!("{} is not built yet", uri.path());
    (StatusCode::NOT_IMPLEMENTED, Json(json!({ "message": message }))).into_response()
}

fn proxies() -> Router<Gateway> {
    Router::new()
        .route("/prometheus", any(datasources::metrics))
        .route("/prometheus/", any(datasources::metrics))
        .route("/prometheus/{*path}", any(datasources::metrics))
        .route("/loki", any(datasources::logs))
        .route("/loki/", any(datasources::logs))
        .route("/loki/{*path}", any(datasources::logs))
        .route("/alertmanager", any(datasources::alerts))
        .route("/alertmanager/", any(datasources::alerts))
        .route("/alertmanager/{*path}", any(datasources::alerts))
}

/// `GET /api/health`, as Grafana's.
async fn health() -> Json<Value> {
    Json(json!({ "database": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn page(State(gateway): State<Gateway>) -> Response {
    ui::page(&gateway.options.prefix())
}

async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
