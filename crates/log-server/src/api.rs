//! The HTTP API: one family of endpoints per file.

mod call;
mod delete;
mod detected;
mod encode;
mod labels;
mod legacy;
mod otlp;
mod params;
mod patterns;
mod permit;
mod push;
mod query;
mod rings;
mod rules;
mod series;
mod status;
mod tail;
mod volume;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::server::Server;

pub(crate) use detected::fields_of;
pub(crate) use labels::{selector, streams};
pub(crate) use query::{
    QueryKind, RangeRequest, RangeResult, checked_instant, checked_range, run_instant, run_range,
};
pub(crate) use tail::{TailFeed, Turn};
pub(crate) use volume::VolumeGrouping;

/// Paths of the original that are not built yet: they say so.
const NOT_BUILT: [&str; 14] = [
    "/loki/api/v1/index/shards",
    "/loki/api/v1/cache/generation_numbers",
    "/config/tenant/v1/limits",
    "/ingester/shutdown",
    "/ingester/prepare_shutdown",
    "/ingester/flush_shutdown",
    "/sync-indexes",
    "/log_level",
    "/debug/fgprof",
    "/debug/pprof/{*profile}",
    "/api/prom/tail",
    "/loki/api/v2alpha/tail",
    "/ui/{*page}",
    "/loki/api/v1/drilldown-patterns",
];

/// All routes.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let mut routes = Router::new()
        .route("/loki/api/v1/push", post(push::push))
        .route("/api/prom/push", post(push::push))
        .route("/otlp/v1/logs", post(otlp::logs))
        .route("/loki/api/v1/query", get(query::instant).post(query::instant))
        .route("/loki/api/v1/query_range", get(query::range).post(query::range))
        .route("/loki/api/v1/label", get(labels::names).post(labels::names))
        .route("/loki/api/v1/labels", get(labels::names).post(labels::names))
        .route("/loki/api/v1/label/{name}/values", get(labels::values).post(labels::values))
        .route("/loki/api/v1/series", get(series::series).post(series::series))
        .route("/loki/api/v1/index/stats", get(volume::stats).post(volume::stats))
        .route("/loki/api/v1/index/volume", get(volume::volume).post(volume::volume))
        .route("/loki/api/v1/index/volume_range", get(volume::volume_range).post(volume::volume_range))
        .route("/loki/api/v1/patterns", get(patterns::list).post(patterns::list))
        .route("/loki/api/v1/detected_labels", get(detected::labels).post(detected::labels))
        .route("/loki/api/v1/detected_fields", get(detected::fields).post(detected::fields))
        .route(
            "/loki/api/v1/detected_field/{name}/values",
            get(detected::field_values).post(detected::field_values),
        )
        .route("/loki/api/v1/format_query", get(status::format_query).post(status::format_query))
        .route("/loki/api/v1/tail", get(tail::tail))
        .route("/loki/api/v1/status/buildinfo", get(status::build_info))
        .route("/loki/api/v1/drilldown-limits", get(status::drilldown_limits))
        .route(
            "/loki/api/v1/delete",
            get(delete::list).post(delete::create).put(delete::create).delete(delete::cancel),
        )
        .route("/api/prom/query", get(legacy::query).post(legacy::query))
        .route("/api/prom/label", get(legacy::names).post(legacy::names))
        .route("/api/prom/label/{name}/values", get(legacy::values).post(legacy::values))
        .route("/api/prom/series", get(series::series).post(series::series))
        .route("/flush/tenant", post(status::flush))
        .route("/flush", get(status::flush).post(status::flush))
        .route("/config", get(status::config))
        .route("/api/v1/status/watchbell", get(status::watchbell))
        .route("/services", get(status::services))
        .merge(rules::router());
    for path in rings::PATHS {
        routes = routes.route(path, get(rings::page));
    }
    for path in NOT_BUILT {
        routes = routes.route(path, service::not_built().with_state(()));
    }
    routes.with_state(server)
}
