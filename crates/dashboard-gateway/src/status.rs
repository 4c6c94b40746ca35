//! The Status page: what each server says of itself.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::state::Gateway;
use crate::upstream::Upstream;

/// How long a server may take to say how it is.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of its answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// For how long a picture is shown to others too.
const FRESH: Duration = Duration::from_secs(3);

/// The last picture.
#[derive(Debug, Default)]
pub(crate) struct Statuses(Mutex<Option<(Duration, Value)>>);

/// `GET /api/status`
pub(crate) async fn status(State(gateway): State<Gateway>) -> Result<Json<Value>, ApiError> {
    let now = gateway.clock.monotonic();
    let last = gateway.statuses.0.lock().clone();
    if let Some((taken, picture)) = last
        && now.saturating_sub(taken) < FRESH
    {
        return Ok(Json(picture));
    }
    let picture = take(&gateway).await;
    *gateway.statuses.0.lock() = Some((now, picture.clone()));
    Ok(Json(picture))
}

async fn take(gateway: &Gateway) -> Value {
    let servers = [
        ("metrics-server", &gateway.metrics),
        ("log-server", &gateway.logs),
        ("alert-manager", &gateway.alerts),
    ];
    let agents = gateway.agents.iter().map(|agent| ("host-agent", agent));
    let all: Vec<(&str, &Upstream)> = servers.into_iter().chain(agents).collect();
    let reports = join_all(all.iter().map(|(name, upstream)| report(name, upstream))).await;
    let mut picture = Picture { services: vec![own(gateway)], ..Picture::default() };
    for notice in gateway.notices.read().iter() {
        picture.notices.push(json!({ "severity": "warning", "source": "dashboard-gateway", "text": notice }));
    }
    for report in reports {
        picture.add(report);
    }
    let Picture { services, notices, agents, receivers } = picture;
    json!({ "services": services, "notices": notices, "agents": agents, "receivers": receivers })
}

fn own(gateway: &Gateway) -> Value {
    json!({
        "name": "dashboard-gateway",
        "url": gateway.options.external_url.as_ref().map_or("", |url| url.as_str()),
        "healthy": true,
        "ready": gateway.lifecycle.readiness() == service::Readiness::Ready,
        "version": env!("CARGO_PKG_VERSION"),
        "error": null,
        "config_error": gateway.lifecycle.last_reload_error(),
        "details": {},
    })
}

#[derive(Default)]
struct Picture {
    services: Vec<Value>,
    notices: Vec<Value>,
    agents: Vec<Value>,
    receivers: Vec<Value>,
}

struct Report {
    name: String,
    url: String,
    host: String,
    healthy: bool,
    ready: bool,
    version: Value,
    error: Option<String>,
    /// What a server of ours says under `/api/v1/status/watchbell`.
    own: Map<String, Value>,
}

impl Picture {
    fn add(&mut self, mut report: Report) {
        let list = |report: &mut Report, key: &str| match report.own.remove(key) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        for mut notice in list(&mut report, "notices") {
            if let Some(fields) = notice.as_object_mut() {
                fields.insert("source".to_owned(), Value::from(report.name.as_str()));
            }
            self.notices.push(notice);
        }
        self.receivers.extend(list(&mut report, "receivers"));
        let unreadable = list(&mut report, "unreadable");
        if report.name == "host-agent" {
            self.agents.push(json!({ "target": report.host, "unreadable": unreadable }));
        }
        let details = report.own.remove("details").filter(Value::is_object).unwrap_or_else(|| json!({}));
        self.services.push(json!({
            "name": report.name,
            "url": report.url,
            "healthy": report.healthy,
            "ready": report.ready,
            "version": report.version,
            "error": report.error,
            "config_error": report.own.remove("config_error").unwrap_or(Value::Null),
            "details": details,
        }));
    }
}

async fn report(name: &str, upstream: &Upstream) -> Report {
    let (healthy, ready, own, build) = futures::join!(
        asked(upstream, "/-/healthy"),
        asked(upstream, "/-/ready"),
        asked(upstream, "/api/v1/status/watchbell"),
        build_version(name, upstream),
    );
    // The original Loki has /ready alone.
    let ready = match ready {
        Ok((StatusCode::NOT_FOUND, _)) => asked(upstream, "/ready").await,
        other => other,
    };
    let own = match own {
        Ok((StatusCode::OK, body)) => serde_json::from_slice::<Value>(&body).ok(),
        Ok(_) | Err(_) => None,
    };
    // Other endpoints of the originals wrap their answer in data.
    let own = own.map(|own| own.get("data").cloned().unwrap_or(own));
    let own = own.and_then(|own| own.as_object().cloned()).unwrap_or_default();
    let alive = |answer: &Result<(StatusCode, Vec<u8>), String>| matches!(answer, Ok((status, _)) if status.is_success() || *status == StatusCode::NOT_FOUND);
    let error = match &ready {
        Err(error) => Some(error.clone()),
        Ok((status, _)) if status.is_success() => None,
        Ok((_, body)) => Some(String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_owned()),
    };
    let version = own.get("version").cloned().or(build).unwrap_or(Value::Null);
    Report {
        name: name.to_owned(),
        url: upstream.shown_url(),
        host: upstream.url().authority().rsplit('@').next().unwrap_or("").to_owned(),
        healthy: alive(&healthy),
        ready: matches!(&ready, Ok((status, _)) if status.is_success()),
        version,
        error,
        own,
    }
}

async fn build_version(name: &str, upstream: &Upstream) -> Option<Value> {
    let path = match name {
        "log-server" => "/loki/api/v1/status/buildinfo",
        "alert-manager" => "/api/v2/status",
        _ => "/api/v1/status/buildinfo",
    };
    let (_, body) = asked(upstream, path).await.ok().filter(|(status, _)| status.is_success())?;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    let places = ["/data/version", "/version", "/versionInfo/version"];
    places.iter().find_map(|place| answer.pointer(place).filter(|version| version.is_string()).cloned())
}

async fn asked(upstream: &Upstream, path: &str) -> Result<(StatusCode, Vec<u8>), String> {
    let url = upstream.address(path).map_err(|error| error.message)?;
    let mut request = http_client::Request::get(url, TIMEOUT);
    upstream.add_authorization(&mut request.headers);
    let mut response = upstream.http().send(request).await.map_err(|error| error.chain())?;
    let mut body = Vec::new();
    response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(|error| error.chain())?;
    Ok((response.status(), body))
}
