//! Rule groups at work: a task for each, PromQL behind them, their alerts to the sender.

mod engine;
mod sink;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alert_sender::{Alert, AlertSender};
use model::TimestampMs;
use parking_lot::Mutex;
use resources::RequestContext;
use rules::{
    Evaluation, Group, GroupOptions, Metrics, Retired, Rule, SampleSink, TemplateContext, table_link,
};
use service::Lifecycle;
use sys::Clock;
use telemetry::Counter;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::LoadedConfig;
use crate::flags::Flags;
use crate::query_log::QueryLog;
use engine::RuleEngine;
pub(crate) use engine::results;
use sink::StoreSink;

/// A group as the API shows it: a copy, so that showing it never waits for an evaluation.
#[derive(Clone, Debug)]
pub(crate) struct GroupView {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) interval_ms: i64,
    pub(crate) limit: usize,
    pub(crate) rules: Vec<Rule>,
    pub(crate) evaluation_time: Duration,
    pub(crate) last_evaluation: Option<TimestampMs>,
}

/// What groups work with.
#[derive(Clone, Debug)]
pub(crate) struct RuleEnv {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) engine: promql::Engine,
    pub(crate) ctx: RequestContext,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sender: Arc<AlertSender>,
    pub(crate) external_url: String,
    pub(crate) query_log: Arc<QueryLog>,
    pub(crate) query_log_failures: Counter,
}

/// Starts and ends groups as the configuration changes.
#[derive(Debug)]
pub(crate) struct RuleManager {
    lifecycle: Lifecycle,
    metrics: Metrics,
    flags: Arc<Flags>,
    running: tokio::sync::Mutex<BTreeMap<String, Running>>,
    views: Mutex<Vec<Arc<Mutex<GroupView>>>>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Option<Group>>,
}

impl RuleManager {
    pub(crate) fn new(lifecycle: &Lifecycle, metrics: Metrics, flags: Arc<Flags>) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            metrics,
            flags,
            running: tokio::sync::Mutex::default(),
            views: Mutex::default(),
        }
    }

    /// All groups, in order of file and place.
    pub(crate) fn groups(&self) -> Vec<GroupView> {
        self.views.lock().iter().map(|view| view.lock().clone()).collect()
    }

    /// Replaces the groups; those that stay keep their state.
    pub(crate) async fn apply(&self, loaded: &LoadedConfig, env: &RuleEnv, is_first: bool) {
        let global = &loaded.config.global;
        let options = GroupOptions {
            interval_ms: global.evaluation_interval.as_millis() as i64,
            query_offset_ms: global.rule_query_offset.as_millis() as i64,
            resend_delay_ms: self.flags.resend_delay_ms,
            outage_tolerance_ms: self.flags.for_outage_tolerance_ms,
            for_grace_period_ms: self.flags.for_grace_period_ms,
            restores: is_first,
            templates: TemplateContext {
                external_labels: global.external_labels.clone(),
                external_url: env.external_url.clone(),
            },
        };
        let mut running = self.running.lock().await;
        let mut old = BTreeMap::new();
        for (key, group) in std::mem::take(&mut *running) {
            group.stop.cancel();
            if let Ok(Some(group)) = group.task.await {
                old.insert(key, group);
            }
        }
        let mut views = Vec::new();
        for file in &loaded.rule_files {
            for spec in &file.groups {
                let mut group = Group::new(&file.path, spec, &options, Arc::clone(&env.clock), &self.metrics);
                if let Some(before) = old.remove(&group.key()) {
                    group.adopt(before);
                }
                let view = Arc::new(Mutex::new(view_of(&group)));
                views.push(Arc::clone(&view));
                running.insert(group.key(), self.start(group, view, env.clone()));
            }
        }
        *self.views.lock() = views;
        for group in old.into_values() {
            self.retire(group.retire(), env.clone());
        }
    }

    /// Ends all groups and waits for evaluations under way.
    pub(crate) async fn stop(&self) {
        for (_, group) in std::mem::take(&mut *self.running.lock().await) {
            group.stop.cancel();
            if let Err(error) = group.task.await {
                tracing::error!(error = %error, "rule group ended badly");
            }
        }
    }

    fn start(&self, group: Group, view: Arc<Mutex<GroupView>>, env: RuleEnv) -> Running {
        let stop = self.lifecycle.stopping().child_token();
        let task = tokio::spawn(drive(group, view, env, stop.clone(), self.lifecycle.clone()));
        Running { stop, task }
    }

    /// Marks the series of a group that is gone as stale, when that is due.
    fn retire(&self, retired: Retired, env: RuleEnv) {
        let stopping = self.lifecycle.stopping().clone();
        self.lifecycle.spawn("retired rule group", async move {
            let wait = (retired.due - env.clock.now_ms()).max(0).unsigned_abs();
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
            let storing = tokio::task::spawn_blocking(move || {
                let markers = retired.stale_markers(retired.due);
                StoreSink { db: &env.db, ctx: &env.ctx }.append(markers)
            });
            if let Ok(Err(error)) = storing.await {
                tracing::warn!(error, "cannot mark a removed rule group's series as stale");
            }
        });
    }
}

fn view_of(group: &Group) -> GroupView {
    GroupView {
        name: group.name().to_owned(),
        file: group.file().to_owned(),
        interval_ms: group.interval_ms(),
        limit: group.limit(),
        rules: group.rules().to_vec(),
        evaluation_time: group.evaluation_time(),
        last_evaluation: group.last_evaluation(),
    }
}

/// Evaluates a group at its slots until it is stopped; gives it back with its state. A panic in an evaluation ends the
/// service: the group's state is lost with it.
async fn drive(
    mut group: Group,
    view: Arc<Mutex<GroupView>>,
    env: RuleEnv,
    stop: CancellationToken,
    lifecycle: Lifecycle,
) -> Option<Group> {
    loop {
        let slot = group.next_slot();
        let wait = (slot - env.clock.now_ms()).max(0).unsigned_abs();
        tokio::select! {
            () = stop.cancelled() => return Some(group),
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
        let (task_env, task_view) = (env.clone(), Arc::clone(&view));
        let evaluating = tokio::task::spawn_blocking(move || {
            let engine: Arc<dyn rules::Engine> =
                Arc::new(RuleEngine::new(&task_env, group.file(), group.name()));
            let mut sink = StoreSink { db: &task_env.db, ctx: &task_env.ctx };
            let evaluation = group.evaluate(slot, &engine, &mut sink);
            send(&task_env, evaluation);
            *task_view.lock() = view_of(&group);
            group
        });
        match evaluating.await {
            Ok(back) => group = back,
            Err(error) => {
                lifecycle.fail(format!("evaluation of a rule group ended badly: {error}"));
                return None;
            }
        }
    }
}

fn send(env: &RuleEnv, evaluation: Evaluation) {
    let alerts: Vec<Alert> = evaluation
        .alerts
        .into_iter()
        .map(|alert| Alert {
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: format!("{}{}", env.external_url.trim_end_matches('/'), table_link(&alert.expr)),
        })
        .collect();
    if !alerts.is_empty() {
        env.sender.send(&alerts);
    }
}
