//! Rules whose results are alerts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use go_template::Functions;
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, TimestampMs};

use crate::alert::Sending;
use crate::template::{Rendering, Text};
use crate::transition::{History, Transition};
use crate::{
    Alert, AlertState, Engine, EvaluationError, OutgoingAlert, RuleSample, RuleStatus, RuleValue,
    TemplateContext,
};

/// For how long a resolved alert is kept and its resolution sent again.
const RESOLVED_KEPT_MS: i64 = 15 * 60 * 1000;

/// An alerting rule with its alerts.
#[derive(Clone, Debug)]
pub struct AlertingRule {
    /// The alerts' name.
    pub name: String,
    /// Its expression.
    pub expr: String,
    /// How long a result has to be there until it fires, in ms.
    pub for_ms: i64,
    /// How long an alert goes on firing without a result, in ms.
    pub keep_firing_for_ms: i64,
    /// Labels as written, the group's included.
    pub labels: BTreeMap<String, String>,
    /// Annotations as written.
    pub annotations: BTreeMap<String, String>,
    /// How its last evaluation went.
    pub status: RuleStatus,
    label_texts: Vec<(String, Text)>,
    annotation_texts: Vec<(String, Text)>,
    alerts: HashMap<Labels, Alert>,
    /// Whether the state before a restart has been looked for; until then nothing is recorded.
    restored: bool,
    history: History,
}

/// What an alerting rule's evaluation works with.
pub(crate) struct Inputs<'e> {
    pub(crate) at: TimestampMs,
    pub(crate) limit: usize,
    pub(crate) engine: &'e dyn Engine,
    pub(crate) functions: &'e Arc<Functions>,
    pub(crate) context: &'e TemplateContext,
}

impl AlertingRule {
    /// A rule without alerts. Texts that are no template are taken as they stand; `validate` has refused them before.
    pub(crate) fn new(
        name: &str,
        expr: &str,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let texts = |raw: &BTreeMap<String, String>| -> Vec<(String, Text)> {
            raw.iter()
                .map(|(key, text)| {
                    (key.clone(), Text::parse(name, text).unwrap_or_else(|_| Text::Plain(text.clone())))
                })
                .collect()
        };
        Self {
            name: name.to_owned(),
            expr: expr.to_owned(),
            for_ms: 0,
            keep_firing_for_ms: 0,
            label_texts: texts(&labels),
            annotation_texts: texts(&annotations),
            labels,
            annotations,
            status: RuleStatus::default(),
            alerts: HashMap::new(),
            restored: true,
            history: History::default(),
        }
    }

    /// The alerts that are pending or firing, by label.
    pub fn active_alerts(&self) -> Vec<&Alert> {
        let mut active: Vec<&Alert> =
            self.alerts.values().filter(|alert| alert.state != AlertState::Inactive).collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels));
        active
    }

    /// The rule's state: that of its furthest alert; `None` before the first evaluation.
    pub fn state(&self) -> Option<AlertState> {
        self.status.last_evaluation?;
        Some(self.alerts.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive))
    }

    /// The latest changes of its alerts since the process began, the oldest first.
    pub fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.history.iter()
    }

    pub(crate) fn await_restore(&mut self) {
        self.restored = false;
    }

    pub(crate) fn needs_restore(&self) -> bool {
        !self.restored
    }

    pub(crate) fn restore_done(&mut self) {
        self.restored = true;
    }

    pub(crate) fn alerts_mut(&mut self) -> impl Iterator<Item = &mut Alert> {
        self.alerts.values_mut()
    }

    /// Takes over the alerts of the same rule before a reload.
    pub(crate) fn adopt(&mut self, old: Self) {
        self.alerts = old.alerts;
        self.restored = old.restored;
        self.status = old.status;
        self.history = old.history;
    }

    pub(crate) fn evaluate(&mut self, inputs: &Inputs<'_>) -> Result<Vec<RuleSample>, EvaluationError> {
        let at = inputs.at;
        let results = inputs.engine.query(&self.expr, at).map_err(EvaluationError::Query)?;
        let mut present: HashSet<Labels> = HashSet::with_capacity(results.len());
        let mut alerts = Vec::with_capacity(results.len());
        for (labels, value) in results {
            let alert = self.alert_of(&labels, value.as_float(), inputs);
            if !present.insert(alert.labels.clone()) {
                return Err(EvaluationError::Duplicate { what: "alert" });
            }
            alerts.push(alert);
        }
        let mut fresh: HashSet<Labels> = HashSet::new();
        for alert in alerts {
            match self.alerts.get_mut(&alert.labels) {
                Some(known) if known.state != AlertState::Inactive => {
                    known.value = alert.value;
                    known.annotations = alert.annotations;
                }
                _ => {
                    fresh.insert(alert.labels.clone());
                    self.alerts.insert(alert.labels.clone(), alert);
                }
            }
        }
        let (for_ms, keep_ms) = (self.for_ms, self.keep_firing_for_ms);
        let mut transitions = Vec::new();
        let mut note = |alert: &Alert, from: AlertState, to: AlertState| {
            if from != to {
                transitions.push(Transition {
                    at,
                    labels: alert.labels.clone(),
                    from,
                    to,
                    value: alert.value,
                });
            }
        };
        self.alerts.retain(|labels, alert| {
            let from = if fresh.contains(labels) { AlertState::Inactive } else { alert.state };
            let kept = advance(alert, present.contains(labels), at, for_ms, keep_ms);
            note(alert, from, if kept { alert.state } else { AlertState::Inactive });
            kept
        });
        let active = self.alerts.values().filter(|alert| alert.state != AlertState::Inactive).count();
        if inputs.limit > 0 && active > inputs.limit {
            self.alerts.values().for_each(|alert| note(alert, alert.state, AlertState::Inactive));
            self.history.add(transitions);
            self.alerts.clear();
            return Err(EvaluationError::Limit { limit: inputs.limit, got: active, what: "alerts" });
        }
        self.history.add(transitions);
        Ok(if self.restored { self.samples(at) } else { Vec::new() })
    }

    fn alert_of(&self, result: &Labels, value: f64, inputs: &Inputs<'_>) -> Alert {
        let rendering = Rendering::new(result, value, inputs.context, inputs.functions);
        let mut labels = LabelsBuilder::from_labels(result);
        labels.remove(METRIC_NAME_LABEL);
        for (name, text) in &self.label_texts {
            labels.set(name, &text.render(&rendering));
        }
        labels.set("alertname", &self.name);
        let mut annotations = LabelsBuilder::new();
        for (name, text) in &self.annotation_texts {
            annotations.set(name, &text.render(&rendering));
        }
        Alert::pending(labels.build(), annotations.build(), value, inputs.at)
    }

    fn samples(&self, at: TimestampMs) -> Vec<RuleSample> {
        let mut samples = Vec::new();
        for alert in self.active_alerts() {
            let sample = |metric: &str, state: Option<AlertState>, value: f64| {
                let mut labels = LabelsBuilder::from_labels(&alert.labels);
                labels.set(METRIC_NAME_LABEL, metric);
                if let Some(state) = state {
                    labels.set("alertstate", state.as_str());
                }
                RuleSample { labels: labels.build(), timestamp: at, value: RuleValue::Float(value) }
            };
            samples.push(sample("ALERTS", Some(alert.state), 1.0));
            samples.push(sample("ALERTS_FOR_STATE", None, alert.active_at.div_euclid(1000) as f64));
        }
        samples
    }

    pub(crate) fn take_for_sending(
        &mut self,
        now: TimestampMs,
        resend_delay_ms: i64,
        interval_ms: i64,
    ) -> Vec<OutgoingAlert> {
        let sending = Sending { now, resend_delay_ms, interval_ms, expr: &self.expr };
        let mut outgoing: Vec<OutgoingAlert> =
            self.alerts.values_mut().filter_map(|alert| alert.take_for_sending(&sending)).collect();
        outgoing.sort_by(|a, b| a.labels.cmp(&b.labels));
        outgoing
    }
}

/// Moves an alert on; whether it is to be kept.
fn advance(alert: &mut Alert, is_present: bool, at: TimestampMs, for_ms: i64, keep_ms: i64) -> bool {
    if is_present {
        alert.keep_firing_since = None;
    } else {
        let keeps_firing = alert.state == AlertState::Firing && keep_ms > 0 && {
            let since = *alert.keep_firing_since.get_or_insert(at);
            at - since < keep_ms
        };
        if !keeps_firing {
            let long_resolved = alert.resolved_at.is_some_and(|resolved| at - resolved > RESOLVED_KEPT_MS);
            if alert.state == AlertState::Pending || long_resolved {
                return false;
            }
            if alert.state != AlertState::Inactive {
                alert.state = AlertState::Inactive;
                alert.resolved_at = Some(at);
            }
            return true;
        }
    }
    let is_due = at - alert.active_at >= for_ms;
    if alert.state == AlertState::Pending && is_due {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(at);
    } else if alert.state == AlertState::Firing && !is_due {
        // `for` was raised by a reload.
        alert.state = AlertState::Pending;
        alert.fired_at = None;
    }
    true
}
