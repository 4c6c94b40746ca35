//! What runs beside: the ticker, the history's writer, forgetting, metrics at scrapes.

use std::sync::Arc;
use std::time::Duration;

use super::Manager;
use crate::dispatch::Event;
use crate::metrics::Upkeep;
use crate::outbox::Lane;
use crate::silences::SilenceState;

/// The longest sleep: a clock that was set back must not stop the ticker.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How often silences are asked what they wish for, and heartbeats whether they are missed.
const SILENCES_EVERY: Duration = Duration::from_secs(5);
/// How often the history is written and synced.
const HISTORY_EVERY: Duration = Duration::from_secs(1);

impl Manager {
    /// Starts the tasks; they end with the service.
    pub fn start(&self) {
        let lifecycle = self.0.lifecycle.clone();
        if let Some(cluster) = self.cluster() {
            cluster.start(self, &lifecycle);
        }
        let (ticker, writer, keeper, postman) = (self.clone(), self.clone(), self.clone(), self.clone());
        lifecycle.spawn("dispatch", async move { ticker.tick().await });
        lifecycle.spawn("outbox", async move { postman.run_outbox().await });
        lifecycle.spawn("history", async move { writer.write_history().await });
        lifecycle.spawn("maintenance", async move { keeper.maintain().await });
    }

    async fn tick(&self) {
        let stopping = self.0.lifecycle.stopping().clone();
        loop {
            let next = self.dispatcher().next_wakeup();
            let left_ns = next.map_or(i64::MAX, |at| at - self.now());
            let sleep = Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)).min(SLEEP_MAX);
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.0.wake.notified() => continue,
                () = stopping.cancelled() => return,
            }
            if next.is_some_and(|at| at <= self.now()) {
                self.step(Event::Tick);
            }
        }
    }

    async fn write_history(&self) {
        let stopping = self.0.lifecycle.stopping().clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(HISTORY_EVERY) => {}
                () = self.0.history_filling.notified() => {}
                () = stopping.cancelled() => {
                    self.flush_history().await;
                    return;
                }
            }
            self.flush_history().await;
        }
    }

    /// Writes the events that wait; when it returns, all that happened before are in the history.
    pub(crate) async fn flush_history(&self) {
        let _writing = self.0.history_writing.lock().await;
        let events = std::mem::take(&mut *self.0.history_queue.lock());
        if events.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.0);
        let writing = tokio::task::spawn_blocking(move || {
            for event in events {
                inner.history.record(&event.into_event())?;
            }
            inner.history.sync()
        });
        if let Ok(Err(error)) = writing.await {
            self.0.metrics.history_errors.inc();
            tracing::error!(error = service::error_chain(&error), "history cannot be written");
        }
    }

    async fn maintain(&self) {
        let stopping = self.0.lifecycle.stopping().clone();
        let settings = self.0.settings.clone();
        let mut alerts = tokio::time::interval(settings.alerts_gc_interval.max(Duration::from_millis(100)));
        let mut silences = tokio::time::interval(SILENCES_EVERY);
        let mut state = tokio::time::interval(settings.maintenance_interval.max(Duration::from_millis(100)));
        loop {
            tokio::select! {
                _ = alerts.tick() => {
                    let now = self.now();
                    self.dispatcher().collect_garbage(now);
                }
                _ = silences.tick() => {
                    self.look_after_heartbeats();
                    self.look_after_silences().await;
                }
                _ = state.tick() => self.forget_old().await,
                () = stopping.cancelled() => return,
            }
        }
    }

    async fn forget_old(&self) {
        let _change = self.0.silence_changes.lock().await;
        let now = self.now();
        let (silences, entries, acks) = {
            let dispatcher = self.dispatcher();
            (
                dispatcher.silences.outdated(now, self.0.settings.retention_ns),
                dispatcher.log.outdated(now),
                dispatcher.acks.outdated(now),
            )
        };
        let old_keys = self.0.link_keys.write().forget_old(now);
        let inner = Arc::clone(&self.0);
        let (gone_silences, gone_entries, gone_acks) = (silences.clone(), entries.clone(), acks.clone());
        let began = self.0.clock.monotonic();
        let work = tokio::task::spawn_blocking(move || {
            if !gone_silences.is_empty() || !gone_entries.is_empty() {
                inner.state.forget(&gone_silences, &gone_entries)?;
            }
            inner.state.forget_acks(&gone_acks)?;
            if !old_keys.is_empty() {
                inner.state.forget_link_keys(&old_keys)?;
            }
            let forgotten = inner.clock.monotonic();
            let snapshot_bytes = inner.state.export()?;
            let upkeep = Upkeep {
                gc: forgotten.saturating_sub(began),
                snapshot: inner.clock.monotonic().saturating_sub(forgotten),
                snapshot_bytes,
            };
            if let Err(error) = inner.history.truncate(now) {
                tracing::error!(error = service::error_chain(&error), "history cannot be truncated");
            }
            Ok::<Upkeep, state_store::Error>(upkeep)
        });
        let metrics = &self.0.metrics;
        match work.await {
            Ok(Ok(upkeep)) => {
                metrics.silences.maintained(upkeep);
                metrics.log.maintained(upkeep);
            }
            Ok(Err(error)) => {
                metrics.silences.failed();
                metrics.log.failed();
                tracing::error!(error = service::error_chain(&error), "maintenance failed");
                return;
            }
            // The service stops.
            Err(_) => return,
        }
        let mut dispatcher = self.dispatcher();
        dispatcher.silences.forget(&silences);
        dispatcher.log.forget(&entries);
        for fingerprint in acks {
            dispatcher.acks.remove(fingerprint);
        }
    }

    /// Metrics whose values are counted when they are asked for.
    pub(super) fn collect_at_scrapes(&self) {
        let inner = Arc::downgrade(&self.0);
        self.0.lifecycle.registry().collector(move |collector| {
            let Some(inner) = inner.upgrade() else {
                return;
            };
            let now = inner.clock.now_ns();
            let dispatcher = inner.dispatcher.lock();
            let (active, suppressed) = dispatcher.count_alerts(now);
            for (state, count) in [("active", active), ("suppressed", suppressed), ("unprocessed", 0)] {
                let help = "Alerts by state.";
                collector.gauge("alertmanager_alerts", help, &[("state", state)], count as f64);
            }
            for state in [SilenceState::Active, SilenceState::Expired, SilenceState::Pending] {
                let count = dispatcher.silences.count(state, now) as f64;
                collector.gauge(
                    "alertmanager_silences",
                    "Silences by state.",
                    &[("state", state.as_str())],
                    count,
                );
            }
            let known = dispatcher.silences.iter().count() as f64;
            for (name, help) in [
                ("state_size", "Silences in memory, in whatever state."),
                ("version_index_size", "Silences that are kept with the time of their last change."),
                ("matcher_index_size", "Silences whose matchers are compiled."),
            ] {
                collector.gauge(&format!("alertmanager_silences_{name}"), help, &[], known);
            }
            let help = "The most alerts of a name; 0: no limit.";
            let limit = dispatcher.options().per_alertname_max as f64;
            collector.gauge("alertmanager_alerts_per_alert_limit", help, &[], limit);
            let acknowledged = dispatcher.acks.list(now).len() as f64;
            let help = "Acknowledgements that are in force.";
            collector.gauge("alertmanager_acknowledgements", help, &[], acknowledged);
            for receiver in &dispatcher.config().receivers {
                for integration in &receiver.integrations {
                    let id = (receiver.name.clone(), integration.kind.name(), integration.idx);
                    let place = integration.idx.to_string();
                    let labels =
                        [("receiver", receiver.name.as_str()), ("integration", id.1), ("index", &place)];
                    let health = inner.health.of(&id);
                    let lane = Lane { receiver: id.0, kind: id.1.to_owned(), idx: id.2 };
                    let waiting = inner.outbox.lock().waiting(&lane) as f64;
                    let help = "Whether an integration's last attempt failed.";
                    let failing = f64::from(u8::from(health.failing_since.is_some()));
                    collector.gauge("alertmanager_receiver_failing", help, &labels, failing);
                    let help = "Notifications that have not arrived yet.";
                    collector.gauge("alertmanager_outbox_notifications", help, &labels, waiting);
                }
            }
            let groups = dispatcher.groups_len() as f64;
            collector.gauge("alertmanager_dispatcher_aggregation_groups", "Groups of alerts.", &[], groups);
        });
    }

    /// Closes the store; the last thing that happens.
    pub fn close(&self) -> state_store::Result<()> {
        self.0.state.close()
    }
}
