//! `/api/v1/rules` and `/api/v1/alerts`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use go_regex::CompiledMatcher;
use rules::{Alert, AlertState, AlertingRule, RecordingRule, Rule, RuleStatus};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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
    /// One of these has to match a rule's labels.
    selectors: Vec<Vec<CompiledMatcher>>,
    with_alerts: bool,
}

/// Which part of the groups is wanted.
struct Page<'a> {
    limit: usize,
    /// The token of the first group; none is the first of all.
    from: Option<&'a str>,
}

pub(crate) async fn rules(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let filter = Filter::read(&params)?;
    let page = Page::read(&params)?;
    let (mut groups, mut next, mut found) = (Vec::new(), None, page.from.is_none());
    for view in state.rules.groups() {
        found |= page.from == Some(&*token(&view));
        if !found {
            continue;
        }
        let wanted = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        if !wanted(&filter.groups, &view.name) || !wanted(&filter.files, &view.file) {
            continue;
        }
        let shown: Vec<Value> = view.rules.iter().filter_map(|rule| filter.show(rule)).collect();
        // A group whose rules are all filtered away is not shown, but one without rules is.
        if !shown.is_empty() || filter.is_open() {
            if groups.len() == page.limit {
                next = Some(token(&view));
                break;
            }
            groups.push(group_json(&view, &shown));
        }
    }
    if let (false, Some(from)) = (found, page.from) {
        let message = format!("invalid group_next_token {from:?}: the groups may have changed");
        return Err(ApiError::invalid_parameter("group_next_token", message));
    }
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = json!(next);
    }
    Ok(answer::success(&data))
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
            selectors: params.selectors()?,
            with_alerts,
        })
    }

    fn is_open(&self) -> bool {
        self.alerting && self.recording && self.names.is_empty() && self.selectors.is_empty()
    }

    fn show(&self, rule: &Rule) -> Option<Value> {
        if !self.names.is_empty() && !self.names.contains(&rule.name()) {
            return None;
        }
        let labels = match rule {
            Rule::Alerting(rule) => &rule.labels,
            Rule::Recording(rule) => &rule.labels,
        };
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        let fits = |selector: &Vec<CompiledMatcher>| {
            selector.iter().all(|matcher| matcher.matches(value(matcher.name())))
        };
        if !self.selectors.is_empty() && !self.selectors.iter().any(fits) {
            return None;
        }
        match rule {
            Rule::Alerting(rule) if self.alerting => Some(alerting_json(rule, self.with_alerts)),
            Rule::Recording(rule) if self.recording => Some(recording_json(rule)),
            Rule::Alerting(_) | Rule::Recording(_) => None,
        }
    }
}

impl<'a> Page<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let from = params.non_empty("group_next_token");
        let limit = match params.non_empty("group_limit") {
            None if from.is_some() => {
                let message = "group_limit is needed to go through the groups page by page";
                return Err(ApiError::invalid_parameter("group_next_token", message));
            }
            None => usize::MAX,
            Some(text) => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                ApiError::invalid_parameter("group_limit", "must be a number greater than 0")
            })?,
        };
        Ok(Self { limit, from })
    }
}

/// What a group is called between two pages.
fn token(view: &GroupView) -> String {
    let hash = Sha256::digest(format!("{};{}", view.file, view.name));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
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
