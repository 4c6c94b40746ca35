//! `/api/v1/rules` and `/api/v1/alerts`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use rules::{Alert, AlertState, AlertingRule, RecordingRule, Rule, RuleStatus};
use serde_json::{Value, json};

use super::answer;
use super::error::ApiError;
use super::json::exponent_form;
use super::metadata::labels_json;
use super::params::Params;
use super::targets::{NEVER, rfc3339};
use crate::rule_manager::GroupView;
use crate::state::State;

/// Which rules are wanted.
struct Filter<'a> {
    alerting: bool,
    recording: bool,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    with_alerts: bool,
}

pub(crate) async fn rules(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let filter = Filter::read(&params)?;
    let mut groups = Vec::new();
    for view in state.rules.groups() {
        let wanted = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        if !wanted(&filter.groups, &view.name) || !wanted(&filter.files, &view.file) {
            continue;
        }
        let shown: Vec<Value> = view.rules.iter().filter_map(|rule| filter.show(rule)).collect();
        // A group whose rules are all filtered away is not shown, but one without rules is.
        if !shown.is_empty() || filter.is_open() {
            groups.push(group_json(&view, &shown));
        }
    }
    Ok(answer::success(&json!({ "groups": groups })))
}

pub(crate) async fn alerts(AxumState(state): AxumState<Arc<State>>) -> Response {
    let mut shown = Vec::new();
    for view in state.rules.groups() {
        for rule in &view.rules {
            if let Rule::Alerting(rule) = rule {
                shown.extend(rule.active_alerts().into_iter().map(alert_json));
            }
        }
    }
    answer::success(&json!({ "alerts": shown }))
}

impl<'a> Filter<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let both = |one: &str, other: &str| {
            let mut values = params.all(one);
            values.extend(params.all(other));
            values.retain(|value| !value.is_empty());
            values
        };
        let (alerting, recording) = match params.get("type").unwrap_or_default() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => {
                return Err(ApiError::invalid_parameter(
                    "type",
                    format_args!("not supported value {other:?}"),
                ));
            }
        };
        for name in ["group_limit", "group_next_token", "match[]"] {
            if params.non_empty(name).is_some() {
                return Err(ApiError::invalid_parameter(name, "known but not built yet"));
            }
        }
        let with_alerts = match params.non_empty("exclude_alerts") {
            None => true,
            Some("true" | "1" | "t") => false,
            Some("false" | "0" | "f") => true,
            Some(_) => return Err(ApiError::invalid_parameter("exclude_alerts", "must be true or false")),
        };
        Ok(Self {
            alerting,
            recording,
            names: both("rule_name[]", "rule_name"),
            groups: both("rule_group[]", "rule_group"),
            files: both("file[]", "file"),
            with_alerts,
        })
    }

    fn is_open(&self) -> bool {
        self.alerting && self.recording && self.names.is_empty()
    }

    fn show(&self, rule: &Rule) -> Option<Value> {
        if !self.names.is_empty() && !self.names.contains(&rule.name()) {
            return None;
        }
        match rule {
            Rule::Alerting(rule) if self.alerting => Some(alerting_json(rule, self.with_alerts)),
            Rule::Recording(rule) if self.recording => Some(recording_json(rule)),
            Rule::Alerting(_) | Rule::Recording(_) => None,
        }
    }
}

fn group_json(view: &GroupView, shown: &[Value]) -> Value {
    json!({
        "name": view.name,
        "file": view.file,
        "rules": shown,
        "interval": view.interval_ms as f64 / 1000.0,
        "limit": view.limit,
        "evaluationTime": view.evaluation_time.as_secs_f64(),
        "lastEvaluation": view.last_evaluation.map_or_else(|| NEVER.to_owned(), rfc3339),
    })
}

fn alerting_json(rule: &AlertingRule, with_alerts: bool) -> Value {
    let alerts: Vec<Value> =
        if with_alerts { rule.active_alerts().into_iter().map(alert_json).collect() } else { Vec::new() };
    let mut shown = json!({
        "state": rule.state().map_or("unknown", AlertState::as_str),
        "name": rule.name,
        "query": printed(&rule.expr),
        "duration": rule.for_ms as f64 / 1000.0,
        "keepFiringFor": rule.keep_firing_for_ms as f64 / 1000.0,
        "labels": map_json(&rule.labels),
        "annotations": map_json(&rule.annotations),
        "alerts": alerts,
    });
    add_status(&mut shown, &rule.status, "alerting");
    shown
}

fn recording_json(rule: &RecordingRule) -> Value {
    let mut shown = json!({ "name": rule.name, "query": printed(&rule.expr) });
    if !rule.labels.is_empty() {
        shown["labels"] = map_json(&rule.labels);
    }
    add_status(&mut shown, &rule.status, "recording");
    shown
}

fn add_status(shown: &mut Value, status: &RuleStatus, kind: &str) {
    shown["health"] = json!(status.health.as_str());
    if let Some(error) = &status.last_error {
        shown["lastError"] = json!(error.to_string());
    }
    shown["evaluationTime"] = json!(status.evaluation_time.as_secs_f64());
    shown["lastEvaluation"] = json!(status.last_evaluation.map_or_else(|| NEVER.to_owned(), rfc3339));
    shown["type"] = json!(kind);
}

fn alert_json(alert: &Alert) -> Value {
    let mut shown = json!({
        "labels": labels_json(&alert.labels),
        "annotations": labels_json(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": rfc3339(alert.active_at),
    });
    if let Some(since) = alert.keep_firing_since {
        shown["keepFiringSince"] = json!(rfc3339(since));
    }
    shown["value"] = json!(exponent_form(alert.value));
    shown
}

/// The expression as the parser prints it.
fn printed(expr: &str) -> String {
    match promql::parse(expr, promql::Features::all()) {
        Ok(parsed) => parsed.to_string(),
        Err(_) => expr.to_owned(),
    }
}

fn map_json(map: &BTreeMap<String, String>) -> Value {
    json!(map)
}
