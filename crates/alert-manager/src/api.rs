//! HTTP: API v2 as Alertmanager's, and our own beside it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use tokio::sync::Semaphore;

use crate::alert::Fingerprint;
use crate::manager::Manager;
use crate::matchers::MatcherMode;
use crate::silences::Silences;

mod acks;
mod alerts;
mod explain;
mod extra;
mod heartbeats;
mod posted;
mod preview;
mod query;
mod receivers;
mod shown;
mod silences;
mod status;

/// What handlers work with.
#[derive(Clone, Debug)]
pub struct Api {
    /// The manager.
    pub manager: Manager,
    gets: Arc<Semaphore>,
}

impl Api {
    /// `gets_max`: GET requests at a time; over it 503.
    pub fn new(manager: Manager, gets_max: usize) -> Self {
        let gets = Arc::new(Semaphore::new(gets_max));
        let free = Arc::clone(&gets);
        manager.registry().collector(move |collector| {
            let help = "GET requests of the API that are being answered.";
            let busy = (gets_max - free.available_permits().min(gets_max)) as f64;
            collector.gauge("alertmanager_http_requests_in_flight", help, &[("method", "get")], busy);
        });
        Self { manager, gets }
    }

    /// The routes, without what every service has.
    pub fn routes(self) -> Router {
        let v2 = Router::new()
            .route("/status", get(status::status))
            .route("/receivers", get(status::receivers))
            .route("/alerts", get(alerts::list).post(alerts::post))
            .route("/alerts/groups", get(alerts::groups))
            .route("/silences", get(silences::list).post(silences::post))
            .route("/silence/{id}", get(silences::get).delete(silences::delete));
        let own = Router::new()
            .route("/history", get(extra::history))
            .route("/route", get(extra::route))
            .route("/routes", get(extra::routes))
            .route("/explain", axum::routing::post(explain::explain))
            .route("/receivers", get(receivers::list))
            .route("/receivers/{name}/test", axum::routing::post(explain::test_receiver))
            .route("/silences/preview", axum::routing::post(preview::silence))
            .route("/heartbeats", get(heartbeats::list))
            .route("/heartbeats/{name}", axum::routing::post(heartbeats::post).delete(heartbeats::delete))
            .route("/outbox", get(receivers::outbox))
            .route("/acks", get(acks::list).post(acks::post))
            .route("/acks/{fingerprint}", axum::routing::delete(acks::delete))
            .route("/ack", get(acks::page).post(acks::from_page));
        Router::new()
            .nest("/api/v2", v2)
            .nest("/api/watchbell/v1", own)
            .layer(from_fn_with_state(self.clone(), bounded))
            .route("/api/v1/status/watchbell", get(status::watchbell))
            .route("/api/v1/{*rest}", any(gone))
            .route("/", get(extra::home))
            .with_state(self)
    }
}

/// Bounds concurrent GETs, and keeps answers out of caches.
async fn bounded(State(api): State<Api>, request: Request, next: Next) -> Response {
    let permit = match *request.method() == Method::GET {
        true => match Arc::clone(&api.gets).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                api.manager.metrics().get_limited.inc();
                let text = "Limit of concurrent GET requests reached, try again later, or raise --web.get-concurrency.\n";
                return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
            }
        },
        false => None,
    };
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    drop(permit);
    response
}

/// Reads any bytes as posted alerts and as a posted silence, as the fuzzer wants it: what is taken can be told and compared.
pub fn check_bodies(data: &[u8]) {
    let now = crate::times::seconds(1_700_000_000);
    for mode in [MatcherMode::Fallback, MatcherMode::Classic] {
        for alert in alerts::read_all(data, now, mode).into_iter().flatten() {
            assert!(!alert.labels.is_empty() && alert.starts_at <= alert.ends_at);
            assert_eq!(alert.fingerprint, Fingerprint::of(&alert.labels));
        }
    }
    if let Some(silence) = silences::read_one(data, now) {
        let mut all = Silences::default();
        if let Ok(records) = all.prepare(silence, "new".to_owned(), now) {
            all.apply(records);
            assert!(all.get("new").is_some_and(|silence| silence.ends_at >= now));
        }
    }
}

async fn gone() -> Response {
    let body = serde_json::json!({
        "status": "deprecated",
        "error": "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the equivalent route in the v2 API",
    });
    json(StatusCode::GONE, &body)
}

/// An answer in JSON.
fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// An error as the API has it: a JSON string.
fn error(status: StatusCode, message: impl std::fmt::Display) -> Response {
    json(status, &message.to_string())
}

/// A body or parameter that does not have the form that the API describes, with go-openapi's code for what is wrong.
fn invalid(status: StatusCode, code: u16, message: impl std::fmt::Display) -> Response {
    json(status, &serde_json::json!({ "code": code, "message": message.to_string() }))
}
