//! The HTTP API: one family of endpoints a file. What is known to Prometheus and not built answers 501 and names itself.

mod admin;
mod answer;
mod backtest;
mod cardinality;
pub(crate) mod error;
mod exemplars;
mod expression;
mod features;
mod federate;
mod histogram;
mod json;
pub(crate) mod labels;
mod metadata;
mod notifications;
mod openapi;
mod otlp;
mod params;
mod queries;
mod query;
mod read;
mod rule_history;
mod rules;
mod search;
mod self_metrics;
mod status;
mod targets;
pub(crate) mod work;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use service::not_built;

use crate::state::State;

pub(crate) use histogram::buckets;
pub(crate) use notifications::{Notice, Notifications};
pub(crate) use params::{TIME_MAX, TIME_MIN, selectors};
pub(crate) use queries::{Asked, Queries};
pub(crate) use query::{check_points, stats_json};
pub(crate) use write::MessageBuffers;

/// Pages that the originals have and that live in the dashboard gateway here, and what is not built.
const NOT_BUILT: [&str; 17] = [
    "/",
    "/agent",
    "/alertmanager-discovery",
    "/alerts",
    "/assets/{*path}",
    "/config",
    "/consoles/{*path}",
    "/debug/pprof/{*path}",
    "/flags",
    "/graph",
    "/query",
    "/rules",
    "/service-discovery",
    "/status",
    "/targets",
    "/tsdb-status",
    "/user/{*path}",
];

/// All routes beside those that every service has.
pub(crate) fn router(state: &Arc<State>) -> Router {
    let router = Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/api/v1/format_query", get(expression::format).post(expression::format))
        .route("/api/v1/parse_query", get(expression::parse).post(expression::parse))
        .route("/api/v1/series", get(labels::series).post(labels::series))
        .route("/api/v1/labels", get(labels::names).post(labels::names))
        .route("/api/v1/label/{name}/values", get(labels::values))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/relabel_steps", get(targets::relabel_steps))
        .route("/api/v1/targets/metadata", get(metadata::targets_metadata))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/scrape_pools/config", get(targets::pool_config))
        .route("/api/v1/notifications", get(notifications::list))
        .route("/api/v1/notifications/live", get(notifications::live))
        .route("/api/v1/openapi.yaml", get(openapi::openapi))
        .route("/api/v1/search/metric_names", get(search::metric_names).post(search::metric_names))
        .route("/api/v1/search/label_names", get(search::label_names).post(search::label_names))
        .route("/api/v1/search/label_values", get(search::label_values).post(search::label_values))
        .route("/api/v1/status/self_metrics", get(self_metrics::self_metrics))
        .route("/api/v1/alertmanagers", get(targets::alertmanagers))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .route("/api/v1/status/watchbell", get(status::watchbell))
        .route("/api/v1/status/queries", get(queries::list))
        .route("/api/v1/admin/queries/{id}/cancel", post(queries::cancel).put(queries::cancel))
        .route(
            "/api/v1/admin/tsdb/clean_tombstones",
            post(admin::clean_tombstones).put(admin::clean_tombstones),
        )
        .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/api/v1/status/tsdb/blocks", get(status::blocks))
        .route("/api/v1/otlp/v1/metrics", post(otlp::metrics))
        .route("/api/v1/features", get(features::features))
        .route("/api/v1/read", post(read::read))
        .route("/api/v1/write", post(write::write))
        .route("/api/watchbell/v1/rules/backtest", get(backtest::backtest).post(backtest::backtest))
        .route("/api/watchbell/v1/rules/history", get(rule_history::history))
        .route("/api/watchbell/v1/cardinality", get(cardinality::cardinality))
        .route("/federate", get(federate::federate))
        .route("/version", get(status::version));
    let mut router: Router = router.with_state(Arc::clone(state));
    for path in NOT_BUILT {
        router = router.route(path, not_built());
    }
    router
}
