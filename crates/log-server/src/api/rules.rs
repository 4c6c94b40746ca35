//! Rules and alerts as Prometheus shows them, and rule groups as YAML.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CONTENT_TYPE, HeaderValue};
use model::{ErrorCode, Labels, TenantId, TimestampMs, format_duration_ms, format_rfc3339_ns};
use rules::{Alert, AlertState, GroupSpec, Rule};
use serde_json::{Value, json};

use super::call::Call;
use super::encode;
use crate::error::ApiError;
use crate::ruler::RunningGroup;
use crate::server::Server;

pub(super) fn router() -> Router<Arc<Server>> {
    let mut routes = Router::new()
        .route("/prometheus/api/v1/rules", get(rules))
        .route("/prometheus/api/v1/alerts", get(alerts));
    for prefix in ["/loki/api/v1/rules", "/api/prom/rules"] {
        routes = routes
            .route(prefix, get(all_groups))
            .route(&format!("{prefix}/{{namespace}}"), get(namespace).fallback(not_writable))
            .route(&format!("{prefix}/{{namespace}}/{{group}}"), get(one_group).fallback(not_writable));
    }
    routes
}

/// Rules come from files: they are not written through the API.
async fn not_writable() -> ApiError {
    ApiError::new(
        ErrorCode::Unimplemented,
        "rules are kept in files: SetRuleGroup unsupported in rule local store",
    )
}

fn envelope(data: &Value) -> Response {
    let body = json!({ "status": "success", "data": data, "errorType": "", "error": "" });
    encode::json(body.to_string())
}

async fn rules(State(server): State<Arc<Server>>, call: Call) -> Response {
    let tenant = &call.scope.context.tenant;
    let kind = call.params.get("type").map(|kind| if kind == "alert" { "alerting" } else { "recording" });
    let wanted = |param: &'static str, value: &str| {
        let mut given = call.params.all(param).peekable();
        given.peek().is_none() || given.any(|given| given == value)
    };
    let groups: Vec<Value> = groups_of(&server, tenant)
        .iter()
        .filter(|group| wanted("file[]", &group.namespace) && wanted("rule_group[]", &group.spec.name))
        .filter_map(|group| {
            let keeps = |rule: &Rule| {
                wanted("rule_name[]", rule.name()) && kind.is_none_or(|kind| kind == kind_of(rule))
            };
            let shown = group_json(group, &keeps);
            let has_rules = shown["rules"].as_array().is_some_and(|rules| !rules.is_empty());
            has_rules.then_some(shown)
        })
        .collect();
    envelope(&json!({ "groups": groups }))
}

async fn alerts(State(server): State<Arc<Server>>, call: Call) -> Response {
    let mut alerts = Vec::new();
    for group in groups_of(&server, &call.scope.context.tenant) {
        for rule in group.group.lock().rules() {
            if let Rule::Alerting(rule) = rule {
                alerts.extend(rule.active_alerts().into_iter().map(alert_json));
            }
        }
    }
    envelope(&json!({ "alerts": alerts }))
}

fn groups_of(server: &Server, tenant: &TenantId) -> Vec<Arc<RunningGroup>> {
    server.ruler.groups().into_iter().filter(|group| group.tenant == *tenant).collect()
}

fn kind_of(rule: &Rule) -> &'static str {
    match rule {
        Rule::Recording(_) => "recording",
        Rule::Alerting(_) => "alerting",
    }
}

fn group_json(running: &RunningGroup, keeps: &dyn Fn(&Rule) -> bool) -> Value {
    let group = running.group.lock();
    let rules: Vec<Value> = group.rules().iter().filter(|rule| keeps(rule)).map(rule_json).collect();
    json!({
        "name": group.name(),
        "file": running.namespace,
        "interval": group.interval_ms() as f64 / 1000.0,
        "limit": group.limit(),
        "lastEvaluation": time(group.last_evaluation()),
        "evaluationTime": group.evaluation_time().as_secs_f64(),
        "rules": rules,
    })
}

fn rule_json(rule: &Rule) -> Value {
    let status = rule.status();
    let mut shown = json!({
        "type": kind_of(rule),
        "name": rule.name(),
        "query": rule.expr(),
        "health": status.health.as_str(),
        "lastError": status.last_error.as_ref().map(ToString::to_string).unwrap_or_default(),
        "lastEvaluation": time(status.last_evaluation),
        "evaluationTime": status.evaluation_time.as_secs_f64(),
    });
    match rule {
        Rule::Recording(rule) => shown["labels"] = json!(rule.labels),
        Rule::Alerting(rule) => {
            let state = rule.state().unwrap_or(AlertState::Inactive);
            shown["labels"] = json!(rule.labels);
            shown["annotations"] = json!(rule.annotations);
            shown["state"] = json!(state.as_str());
            shown["duration"] = json!(rule.for_ms as f64 / 1000.0);
            shown["keepFiringFor"] = json!(rule.keep_firing_for_ms as f64 / 1000.0);
            let alerts: Vec<Value> = rule.active_alerts().into_iter().map(alert_json).collect();
            shown["alerts"] = json!(alerts);
        }
    }
    shown
}

fn alert_json(alert: &Alert) -> Value {
    let pairs = |labels: &Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    json!({
        "labels": pairs(&alert.labels),
        "annotations": pairs(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": format_rfc3339_ns(alert.active_at.saturating_mul(1_000_000)),
        "value": exponent(alert.value),
    })
}

/// `1e+00`: how the original writes the values of alerts.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return model::format_float(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn time(at: Option<TimestampMs>) -> String {
    // Go's zero time stands for "never".
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| format_rfc3339_ns(at.saturating_mul(1_000_000)))
}

async fn all_groups(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let mut namespaces: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for group in groups_of(&server, &call.scope.context.tenant) {
        namespaces.entry(group.namespace.clone()).or_default().push(spec_yaml(&group.spec));
    }
    if namespaces.is_empty() {
        return Err(ApiError::new(ErrorCode::NotFound, "no rule groups found"));
    }
    yaml(&json!(namespaces))
}

async fn namespace(
    State(server): State<Arc<Server>>,
    Path(namespace): Path<String>,
    call: Call,
) -> Result<Response, ApiError> {
    let groups = groups_of(&server, &call.scope.context.tenant);
    let specs: Vec<Value> = groups
        .iter()
        .filter(|group| group.namespace == namespace)
        .map(|group| spec_yaml(&group.spec))
        .collect();
    if specs.is_empty() {
        return Err(ApiError::new(ErrorCode::NotFound, "no rule groups found"));
    }
    yaml(&json!({ namespace: specs }))
}

async fn one_group(
    State(server): State<Arc<Server>>,
    Path((namespace, name)): Path<(String, String)>,
    call: Call,
) -> Result<Response, ApiError> {
    let groups = groups_of(&server, &call.scope.context.tenant);
    let found = groups.iter().find(|group| group.namespace == namespace && group.spec.name == name);
    match found {
        Some(group) => yaml(&spec_yaml(&group.spec)),
        None => Err(ApiError::new(ErrorCode::NotFound, "group does not exist")),
    }
}

fn spec_yaml(spec: &GroupSpec) -> Value {
    let duration = |ms: Option<i64>| ms.map(format_duration_ms);
    let rules = spec.rules.iter().map(|rule| {
        let fields = [
            ("record", json!(rule.record)),
            ("alert", json!(rule.alert)),
            ("expr", json!(rule.expr)),
            ("for", json!(duration(rule.for_ms))),
            ("keep_firing_for", json!(duration(rule.keep_firing_for_ms))),
            ("labels", json!((!rule.labels.is_empty()).then_some(&rule.labels))),
            ("annotations", json!((!rule.annotations.is_empty()).then_some(&rule.annotations))),
        ];
        present(fields)
    });
    present([
        ("name", json!(spec.name)),
        ("interval", json!(duration(spec.interval_ms))),
        ("limit", json!((spec.limit > 0).then_some(spec.limit))),
        ("rules", json!(rules.collect::<Vec<_>>())),
    ])
}

/// The fields that have a value, in their order.
fn present<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn yaml(value: &Value) -> Result<Response, ApiError> {
    let text = serde_yaml::to_string(value).map_err(|error| {
        ApiError::new(ErrorCode::Internal, format!("rules cannot be written as YAML: {error}"))
    })?;
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    Ok(response)
}
