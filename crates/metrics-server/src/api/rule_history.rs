//! `/api/watchbell/v1/rules/history`: what has become of the alerts of rules lately. Watchbell's own.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use rules::{Rule, Transition};
use serde_json::{Value, json};

use super::answer;
use super::error::ApiError;
use super::json::exponent_form;
use super::metadata::labels_json;
use super::params::Params;
use super::targets::rfc3339;
use crate::state::State;

pub(crate) async fn history(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let limit = match params.limit()? {
        0 => usize::MAX,
        limit => limit,
    };
    let wanted = |key: &str, name: &str| params.non_empty(key).is_none_or(|wanted| wanted == name);
    let mut shown = Vec::new();
    for view in state.rules.groups() {
        if !wanted("group", &view.name) || !wanted("file", &view.file) {
            continue;
        }
        for rule in &view.rules {
            let Rule::Alerting(rule) = rule else { continue };
            if !wanted("rule", &rule.name) {
                continue;
            }
            let mut transitions: Vec<Value> = rule.transitions().map(transition_json).collect();
            // The latest first.
            transitions.reverse();
            transitions.truncate(limit);
            shown.push(json!({
                "file": view.file,
                "group": view.name,
                "rule": rule.name,
                "transitions": transitions,
            }));
        }
    }
    Ok(answer::success(&json!({ "rules": shown })))
}

fn transition_json(transition: &Transition) -> Value {
    json!({
        "at": rfc3339(transition.at),
        "labels": labels_json(&transition.labels),
        "from": transition.from.as_str(),
        "to": transition.to.as_str(),
        "value": exponent_form(transition.value),
    })
}
