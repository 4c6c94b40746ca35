//! What the original does not have: history, and which way an alert would go.

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use model::{Labels, parse_rfc3339_ns};
use serde_json::{Value, json};

use super::query::Parameters;
use super::{Api, error};
use crate::config::{GroupBy, Route};
use crate::data::pairs;
use crate::matchers::show;
use crate::routing;

const EVENTS_DEFAULT: usize = 1000;
const EVENTS_MAX: usize = 10_000;

/// `?from=&to=&limit=`: what has happened, newest first.
pub(super) async fn history(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::of(query.as_deref());
    let now = api.manager.now();
    let time = |name: &str, default: i64| match parameters.get(name) {
        None => Ok(default),
        Some(text) => {
            parse_rfc3339_ns(text).ok_or_else(|| format!("{name}: {text:?} is not a time in RFC 3339"))
        }
    };
    let (from, to) = match (time("from", 0), time("to", now)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(reason), _) | (_, Err(reason)) => return error(StatusCode::BAD_REQUEST, reason),
    };
    let limit = match parameters.get("limit").map(str::parse::<usize>) {
        None => EVENTS_DEFAULT,
        Some(Ok(limit)) if limit <= EVENTS_MAX => limit,
        Some(_) => {
            return error(StatusCode::BAD_REQUEST, format!("limit: a number up to {EVENTS_MAX} is needed"));
        }
    };
    let manager = api.manager.clone();
    manager.flush_history().await;
    match tokio::task::spawn_blocking(move || manager.history().query(from, to, limit)).await {
        Ok(Ok(events)) => super::json(StatusCode::OK, &events),
        Ok(Err(failed)) => error(StatusCode::INTERNAL_SERVER_ERROR, service::error_chain(&failed)),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, failed),
    }
}

/// `?name=value&…`: the labels of an alert; answers with the routes it takes and what mutes it now.
pub(super) async fn route(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let given = url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let labels = Labels::from_pairs(given);
    let now = api.manager.now();
    let dispatcher = api.manager.dispatcher();
    let config = dispatcher.config();
    let routes: Vec<Value> = routing::matching(&config.routes, &labels)
        .into_iter()
        .map(|idx| {
            let route = &config.routes[idx];
            let group = routing::group_labels(route, &labels);
            json!({
                "receiver": route.receiver,
                "groupKey": routing::group_key(route, &group),
                "groupLabels": pairs(&group),
                "muteTimeIntervals": route.mute_time_intervals,
                "activeTimeIntervals": route.active_time_intervals,
            })
        })
        .collect();
    let inhibited_by: Vec<String> =
        dispatcher.inhibited_by(&labels, now).iter().map(ToString::to_string).collect();
    let body = json!({
        "routes": routes,
        "silencedBy": dispatcher.silences.muting(&labels, now),
        "inhibitedBy": inhibited_by,
    });
    super::json(StatusCode::OK, &body)
}

/// The routing tree, with what each route inherits filled in.
pub(super) async fn routes(State(api): State<Api>) -> Response {
    let dispatcher = api.manager.dispatcher();
    let config = dispatcher.config();
    let tree = if config.routes.is_empty() { Value::Null } else { route_tree(&config.routes, 0) };
    super::json(StatusCode::OK, &tree)
}

fn route_tree(routes: &[Route], idx: usize) -> Value {
    let route = &routes[idx];
    let children: Vec<Value> = route.children.iter().map(|child| route_tree(routes, *child)).collect();
    let group_by: Vec<&str> = match &route.group_by {
        GroupBy::All => vec!["..."],
        GroupBy::Labels(names) => names.iter().map(String::as_str).collect(),
    };
    json!({
        "key": route.key,
        "matchers": route.matchers.iter().map(|matcher| show(matcher.matcher())).collect::<Vec<_>>(),
        "receiver": route.receiver,
        "groupBy": group_by,
        "groupWaitSeconds": route.group_wait.as_secs_f64(),
        "groupIntervalSeconds": route.group_interval.as_secs_f64(),
        "repeatIntervalSeconds": route.repeat_interval.as_secs_f64(),
        "muteTimeIntervals": route.mute_time_intervals,
        "activeTimeIntervals": route.active_time_intervals,
        "continue": route.continues,
        "routes": children,
    })
}

/// A page for whoever opens the port in a browser.
pub(super) async fn home() -> Response {
    Html(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>Watchbell alert manager</title></head><body>\
         <h1>Watchbell alert manager</h1><p>Alerts and silences are shown by the dashboard gateway. Here are \
         <a href=\"api/v2/alerts\">alerts</a>, <a href=\"api/v2/silences\">silences</a>, \
         <a href=\"api/v2/status\">status</a> and <a href=\"metrics\">metrics</a> as data.</p></body></html>",
    )
    .into_response()
}
