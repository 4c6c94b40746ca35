//! The three data sources, as Grafana's API shows them, and the ways to them.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Extensions;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::login::{Login, login_of};
use crate::metrics_api::with_query;
use crate::proxy::forward;
use crate::state::Gateway;
use crate::users::Role;
use crate::{logs_api, metrics_api};

/// One of the servers, as a data source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Metrics,
    Logs,
    Alerts,
}

impl Source {
    const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Alerts];

    fn uid(self) -> &'static str {
        match self {
            Self::Metrics => "watchbell-metrics",
            Self::Logs => "watchbell-logs",
            Self::Alerts => "watchbell-alerts",
        }
    }

    /// Name and type.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Metrics => ("Prometheus", "prometheus"),
            Self::Logs => ("Loki", "loki"),
            Self::Alerts => ("Alertmanager", "alertmanager"),
        }
    }

    fn id(self) -> u64 {
        self as u64 + 1
    }

    fn describe(self, gateway: &Gateway) -> Value {
        let (name, kind) = self.names();
        let upstream = match self {
            Self::Metrics => &gateway.metrics,
            Self::Logs => &gateway.logs,
            Self::Alerts => &gateway.alerts,
        };
        json!({
            "id": self.id(),
            "uid": self.uid(),
            "orgId": 1,
            "name": name,
            "type": kind,
            "access": "proxy",
            "url": upstream.shown_url(),
            "user": "",
            "database": "",
            "basicAuth": false,
            "isDefault": self == Self::Metrics,
            "jsonData": if self == Self::Alerts { json!({ "implementation": "prometheus" }) } else { json!({}) },
            "secureJsonFields": {},
            "version": 1,
            "readOnly": true,
        })
    }

    fn find(wanted: impl Fn(Self) -> bool) -> Result<Self, ApiError> {
        Self::ALL.into_iter().find(|source| wanted(*source)).ok_or_else(|| ApiError::not_found("Data source"))
    }
}

/// `GET /api/datasources`
pub(crate) async fn list(State(gateway): State<Gateway>) -> Json<Value> {
    Json(Source::ALL.into_iter().map(|source| source.describe(&gateway)).collect())
}

/// `GET /api/datasources/uid/:uid`
pub(crate) async fn by_uid(
    State(gateway): State<Gateway>,
    Path(uid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(Source::find(|source| source.uid() == uid)?.describe(&gateway)))
}

/// `GET /api/datasources/name/:name`
pub(crate) async fn by_name(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(Source::find(|source| source.names().0 == name)?.describe(&gateway)))
}

/// `GET /api/datasources/:id`
pub(crate) async fn by_id(
    State(gateway): State<Gateway>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(Source::find(|source| source.id() == id)?.describe(&gateway)))
}

/// `ANY /api/datasources/proxy/uid/:uid/*`
pub(crate) async fn proxy_by_uid(
    State(gateway): State<Gateway>,
    Path((uid, _)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let source = Source::find(|source| source.uid() == uid)?;
    pass_on(&gateway, source, &format!("/api/datasources/proxy/uid/{uid}"), request).await
}

/// `ANY /api/datasources/proxy/:id/*`
pub(crate) async fn proxy_by_id(
    State(gateway): State<Gateway>,
    Path((id, _)): Path<(u64, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let source = Source::find(|source| source.id() == id)?;
    pass_on(&gateway, source, &format!("/api/datasources/proxy/{id}"), request).await
}

/// `ANY /prometheus/*`
pub(crate) async fn metrics(State(gateway): State<Gateway>, request: Request) -> Result<Response, ApiError> {
    pass_on(&gateway, Source::Metrics, "/prometheus", request).await
}

/// `ANY /loki/*`
pub(crate) async fn logs(State(gateway): State<Gateway>, request: Request) -> Result<Response, ApiError> {
    pass_on(&gateway, Source::Logs, "/loki", request).await
}

/// `ANY /alertmanager/*`
pub(crate) async fn alerts(State(gateway): State<Gateway>, request: Request) -> Result<Response, ApiError> {
    pass_on(&gateway, Source::Alerts, "/alertmanager", request).await
}

/// Hands a request on to its server, without `mount`. The path stays as it was encoded.
async fn pass_on(
    gateway: &Gateway,
    source: Source,
    mount: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let login = login_of(request.extensions())?;
    let path = request.uri().path().strip_prefix(mount).unwrap_or("");
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    check_rights(&login, source, &path, &request)?;
    match source {
        Source::Metrics => metrics_api::answer(gateway, &login, &path, request).await,
        Source::Logs => logs_api::answer(gateway, &login, &path, request).await,
        Source::Alerts => {
            let target = with_query(&path, request.uri().query());
            forward(gateway, &gateway.alerts, &target, request).await
        }
    }
}

/// Queries may be sent by POST; everything else that is not a read needs rights.
fn check_rights(login: &Login, source: Source, path: &str, request: &Request) -> Result<(), ApiError> {
    let reads = matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    let last = path.rsplit('/').next().unwrap_or("");
    let query = matches!(
        last,
        "query" | "query_range" | "series" | "labels" | "query_exemplars" | "format_query" | "parse_query"
    );
    if path.starts_with("/-/") && !reads {
        return login.require(Role::Admin);
    }
    match source {
        _ if reads => Ok(()),
        Source::Metrics | Source::Logs if query && request.method() == http::Method::POST => Ok(()),
        // Silences.
        Source::Alerts => login.require(Role::Editor),
        Source::Metrics | Source::Logs => login.require(Role::Admin),
    }
}

/// `GET /api/user`
pub(crate) async fn user(extensions: Extensions) -> Result<Json<Value>, ApiError> {
    let login = login_of(&extensions)?;
    Ok(Json(json!({
        "login": login.user,
        "name": login.user,
        "orgId": 1,
        "isGrafanaAdmin": login.role == Role::Admin,
        "theme": "",
    })))
}

/// `GET /api/org`
pub(crate) async fn org() -> Json<Value> {
    Json(json!({ "id": 1, "name": "Main Org." }))
}
