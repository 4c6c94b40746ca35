//! A group of rules that are evaluated in order, at its own pace.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, STALE_NAN, TimestampMs};
use sys::Clock;

use crate::alerting::Inputs;
use crate::restore::restore;
use crate::schedule::Schedule;
use crate::{
    AlertingRule, Engine, EvaluationError, GroupSpec, Metrics, OutgoingAlert, RecordingRule, RuleSample,
    RuleSpec, RuleStatus, RuleValue, SampleSink, TemplateContext, template,
};

/// What a server sets for all of its groups.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The interval of groups that set none, in ms.
    pub interval_ms: i64,
    /// The query offset of groups that set none, in ms.
    pub query_offset_ms: i64,
    /// How often a firing alert is sent again, in ms.
    pub resend_delay_ms: i64,
    /// How far back a restart looks for `ALERTS_FOR_STATE`, in ms.
    pub outage_tolerance_ms: i64,
    /// The least that is left of `for` after a restart, in ms; rules with a shorter `for` are not restored.
    pub for_grace_period_ms: i64,
    /// Whether a new group looks for its state before a restart.
    pub restores: bool,
    /// What templates see.
    pub templates: TemplateContext,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            query_offset_ms: 0,
            resend_delay_ms: 60_000,
            outage_tolerance_ms: 3_600_000,
            for_grace_period_ms: 600_000,
            restores: true,
            templates: TemplateContext::default(),
        }
    }
}

/// A rule of either kind.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Records a metric.
    Recording(RecordingRule),
    /// Makes alerts.
    Alerting(Box<AlertingRule>),
}

impl Rule {
    fn new(spec: &RuleSpec, group_labels: &BTreeMap<String, String>) -> Self {
        let mut labels = group_labels.clone();
        labels.extend(spec.labels.clone());
        match spec.record.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Self::Recording(RecordingRule {
                name: name.to_owned(),
                expr: spec.expr.clone(),
                labels,
                status: RuleStatus::default(),
            }),
            None => {
                let name = spec.alert.as_deref().unwrap_or_default();
                let mut rule = AlertingRule::new(name, &spec.expr, labels, spec.annotations.clone());
                rule.for_ms = spec.for_ms.unwrap_or(0);
                rule.keep_firing_for_ms = spec.keep_firing_for_ms.unwrap_or(0);
                Self::Alerting(Box::new(rule))
            }
        }
    }

    /// The metric or the alert that the rule makes.
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.name,
            Self::Alerting(rule) => &rule.name,
        }
    }

    /// The rule's expression.
    pub fn expr(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.expr,
            Self::Alerting(rule) => &rule.expr,
        }
    }

    /// How the last evaluation went.
    pub fn status(&self) -> &RuleStatus {
        match self {
            Self::Recording(rule) => &rule.status,
            Self::Alerting(rule) => &rule.status,
        }
    }

    fn status_mut(&mut self) -> &mut RuleStatus {
        match self {
            Self::Recording(rule) => &mut rule.status,
            Self::Alerting(rule) => &mut rule.status,
        }
    }

    /// What makes a rule the same one after a reload.
    fn identity(&self) -> (bool, &str, &BTreeMap<String, String>) {
        match self {
            Self::Recording(rule) => (false, &rule.name, &rule.labels),
            Self::Alerting(rule) => (true, &rule.name, &rule.labels),
        }
    }
}

/// What an evaluation brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Alerts to be sent now.
    pub alerts: Vec<OutgoingAlert>,
    /// How many rules failed; the rules' status says why.
    pub failures: usize,
    /// How many samples were recorded, stale markers included.
    pub samples: usize,
    /// How many slots before this one were left out as late.
    pub missed: u64,
}

/// The series of a group that is gone; they are marked stale once its readers can have noticed.
#[derive(Clone, Debug)]
pub struct Retired {
    /// From when on to store the samples.
    pub due: TimestampMs,
    series: HashSet<Labels>,
}

impl Retired {
    /// Stale markers for the group's series, at `at`.
    pub fn stale_markers(&self, at: TimestampMs) -> Vec<RuleSample> {
        let mut series: Vec<&Labels> = self.series.iter().collect();
        series.sort();
        series.into_iter().map(|labels| stale(labels, at)).collect()
    }
}

/// A rule group with its state.
#[derive(Debug)]
pub struct Group {
    file: String,
    name: String,
    interval_ms: i64,
    query_offset_ms: i64,
    limit: usize,
    rules: Vec<Rule>,
    /// Per rule, the series of its last good evaluation.
    recorded: Vec<HashSet<Labels>>,
    /// Series of rules that a reload removed; marked stale at the next evaluation.
    orphaned: HashSet<Labels>,
    schedule: Schedule,
    last_slot: Option<TimestampMs>,
    last_evaluation: Option<TimestampMs>,
    evaluation_time: Duration,
    evaluations: u64,
    options: GroupOptions,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Group {
    /// A group that has not been evaluated. The file's content has passed [`crate::validate`].
    pub fn new(
        file: &str,
        spec: &GroupSpec,
        options: &GroupOptions,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Self {
        let interval_ms = spec.interval_ms.filter(|ms| *ms > 0).unwrap_or(options.interval_ms);
        let mut rules: Vec<Rule> = spec.rules.iter().map(|rule| Rule::new(rule, &spec.labels)).collect();
        if options.restores {
            for rule in &mut rules {
                if let Rule::Alerting(rule) = rule {
                    rule.await_restore();
                }
            }
        }
        let group = Self {
            file: file.to_owned(),
            name: spec.name.clone(),
            interval_ms,
            query_offset_ms: spec.query_offset_ms.unwrap_or(options.query_offset_ms),
            limit: spec.limit,
            recorded: vec![HashSet::new(); rules.len()],
            rules,
            orphaned: HashSet::new(),
            schedule: Schedule::new(file, &spec.name, interval_ms),
            last_slot: None,
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
            evaluations: 0,
            options: options.clone(),
            clock,
            metrics: metrics.clone(),
        };
        let key = group.key();
        metrics.interval.with(&[&key]).set(interval_ms as f64 / 1000.0);
        metrics.rules.with(&[&key]).set(group.rules.len() as f64);
        group
    }

    /// The file that the group comes from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// File and name, as metrics show them.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }

    /// How often the group is evaluated, in ms.
    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// How far in the past its queries look, in ms.
    pub fn query_offset_ms(&self) -> i64 {
        self.query_offset_ms
    }

    /// The most results that one rule may have; 0: no limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// When the last evaluation started.
    pub fn last_evaluation(&self) -> Option<TimestampMs> {
        self.last_evaluation
    }

    /// How long the last evaluation took.
    pub fn evaluation_time(&self) -> Duration {
        self.evaluation_time
    }

    /// When the group is due next: call [`Group::evaluate`] with that slot once it has come. Slots that have passed
    /// meanwhile are left out: the last one that is not in the future is given.
    pub fn next_slot(&self) -> TimestampMs {
        let now = self.clock.now_ms();
        match self.last_slot {
            // The clock was set back: begin anew from where it stands.
            Some(last) if last > now + self.interval_ms => self.schedule.after(now),
            Some(last) => (last + self.interval_ms).max(self.schedule.at_or_before(now)),
            None => self.schedule.after(now),
        }
    }

    /// Takes over the state of the same group before a reload: alerts, and what has to be marked stale.
    pub fn adopt(&mut self, mut old: Self) {
        let mut olds: Vec<Option<(Rule, HashSet<Labels>)>> =
            old.rules.drain(..).zip(std::mem::take(&mut old.recorded)).map(Some).collect();
        for (rule, recorded) in self.rules.iter_mut().zip(&mut self.recorded) {
            let same = olds.iter_mut().find(|slot| {
                slot.as_ref().is_some_and(|(old_rule, _)| old_rule.identity() == rule.identity())
            });
            let Some((old_rule, old_recorded)) = same.and_then(Option::take) else {
                if let Rule::Alerting(rule) = rule {
                    // It is new: there is nothing to be restored.
                    rule.restore_done();
                }
                continue;
            };
            *recorded = old_recorded;
            match (rule, old_rule) {
                (Rule::Alerting(rule), Rule::Alerting(old_rule)) => rule.adopt(*old_rule),
                (Rule::Recording(rule), Rule::Recording(old_rule)) => rule.status = old_rule.status,
                _ => {}
            }
        }
        self.orphaned = old.orphaned;
        self.orphaned.extend(olds.into_iter().flatten().flat_map(|(_, recorded)| recorded));
        if self.schedule == old.schedule {
            self.last_slot = old.last_slot;
        }
        self.last_evaluation = old.last_evaluation;
        self.evaluation_time = old.evaluation_time;
        self.evaluations = old.evaluations;
    }

    /// Ends the group; its series are to be marked stale after two intervals.
    pub fn retire(self) -> Retired {
        self.metrics.remove(&self.key());
        let due = self.clock.now_ms() + 2 * self.interval_ms;
        Retired { due, series: self.recorded.into_iter().flatten().chain(self.orphaned).collect() }
    }

    /// Evaluates all rules for a slot. Blocks for as long as the queries do.
    pub fn evaluate(
        &mut self,
        slot: TimestampMs,
        engine: &Arc<dyn Engine>,
        sink: &mut dyn SampleSink,
    ) -> Evaluation {
        let started = self.clock.monotonic();
        let at = slot - self.query_offset_ms;
        let missed = self.last_slot.map_or(0, |last| self.schedule.between(last, slot));
        let mut evaluation = Evaluation { missed, ..Evaluation::default() };
        self.last_slot = Some(slot);
        self.last_evaluation = Some(self.clock.now_ms());
        for idx in 0..self.rules.len() {
            self.evaluate_rule(idx, at, engine, sink, &mut evaluation);
        }
        let orphaned = std::mem::take(&mut self.orphaned);
        if !orphaned.is_empty() {
            let present: HashSet<&Labels> = self.recorded.iter().flatten().collect();
            let markers: Vec<RuleSample> = orphaned
                .iter()
                .filter(|labels| !present.contains(labels))
                .map(|labels| stale(labels, at))
                .collect();
            let count = markers.len();
            match sink.append(markers) {
                Ok(()) => evaluation.samples += count,
                Err(_) => self.orphaned = orphaned,
            }
        }
        self.evaluations += 1;
        // Alerts are pending again only after an evaluation; a second one lets scrapes come in first.
        if self.evaluations >= 2 {
            self.restore(slot, engine.as_ref());
        }
        self.evaluation_time = self.clock.monotonic().saturating_sub(started);
        self.count(&evaluation, slot);
        evaluation
    }

    fn evaluate_rule(
        &mut self,
        idx: usize,
        at: TimestampMs,
        engine: &Arc<dyn Engine>,
        sink: &mut dyn SampleSink,
        evaluation: &mut Evaluation,
    ) {
        let started = self.clock.monotonic();
        let interval_ms = self.interval_ms;
        let result = match &mut self.rules[idx] {
            Rule::Recording(rule) => rule.evaluate(at, self.limit, engine.as_ref()),
            Rule::Alerting(rule) => {
                let context = &self.options.templates;
                let functions = template::bind(engine, at, context);
                let inputs =
                    Inputs { at, limit: self.limit, engine: engine.as_ref(), functions: &functions, context };
                let samples = rule.evaluate(&inputs);
                if samples.is_ok() {
                    let alerts = rule.take_for_sending(at, self.options.resend_delay_ms, interval_ms);
                    evaluation.alerts.extend(alerts);
                }
                samples
            }
        };
        let error = match result {
            Ok(samples) => self.store(idx, at, samples, sink, evaluation).err(),
            Err(error) => Some(error),
        };
        evaluation.failures += usize::from(error.is_some());
        let took = self.clock.monotonic().saturating_sub(started);
        let now = self.clock.now_ms();
        self.rules[idx].status_mut().record(now, took, error);
    }

    fn store(
        &mut self,
        idx: usize,
        at: TimestampMs,
        mut samples: Vec<RuleSample>,
        sink: &mut dyn SampleSink,
        evaluation: &mut Evaluation,
    ) -> Result<(), EvaluationError> {
        let present: HashSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        let mut vanished: Vec<&Labels> = self.recorded[idx].difference(&present).collect();
        vanished.sort();
        samples.extend(vanished.into_iter().map(|labels| stale(labels, at)));
        let count = samples.len();
        if count > 0 {
            sink.append(samples).map_err(EvaluationError::Store)?;
        }
        evaluation.samples += count;
        self.recorded[idx] = present;
        Ok(())
    }

    fn restore(&mut self, now: TimestampMs, engine: &dyn Engine) {
        for rule in &mut self.rules {
            if let Rule::Alerting(rule) = rule
                && rule.needs_restore()
            {
                // A store that cannot be asked must not keep the rule from being recorded for ever.
                let _outcome = restore(rule, now, &self.options, engine);
                rule.restore_done();
            }
        }
    }

    fn count(&self, evaluation: &Evaluation, slot: TimestampMs) {
        let key = self.key();
        let labels: &[&str] = &[&key];
        self.metrics.evaluations.with(labels).add(self.rules.len() as u64);
        self.metrics.failures.with(labels).add(evaluation.failures as u64);
        self.metrics.iterations.with(labels).add(1 + evaluation.missed);
        self.metrics.missed.with(labels).add(evaluation.missed);
        self.metrics.last_samples.with(labels).set(evaluation.samples as f64);
        self.metrics.last_duration.with(labels).set(self.evaluation_time.as_secs_f64());
        self.metrics.last_evaluation.with(labels).set(slot as f64 / 1000.0);
    }
}

fn stale(labels: &Labels, at: TimestampMs) -> RuleSample {
    RuleSample { labels: labels.clone(), timestamp: at, value: RuleValue::Float(f64::from_bits(STALE_NAN)) }
}
