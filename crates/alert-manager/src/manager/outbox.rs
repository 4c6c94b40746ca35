//! What runs so that nothing that has not arrived is forgotten: attempts, the fallback receiver, the alert that one fails.

use std::sync::Arc;
use std::time::Duration;

use model::Labels;

use super::Manager;
use super::delivery::Outcome;
use crate::alert::{Alert, Fingerprint};
use crate::dispatch::{Delivered, Event, FAILING_ALERT, GroupId};
use crate::history::Happening;
use crate::notification_log::NotificationLog;
use crate::notify::{Notifier, NotifyError};
use crate::outbox::{Lane, Parcel};
use crate::times::{ns, seconds};

/// How often the outbox is looked through.
const TICK: Duration = Duration::from_millis(500);
/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// How often the alert that a receiver fails is renewed, and how long it is believed.
const ALERT_EVERY_NS: i64 = seconds(60);
const ALERT_LIFE_NS: i64 = seconds(300);

impl Manager {
    pub(super) async fn run_outbox(&self) {
        let stopping = self.0.lifecycle.stopping().clone();
        let mut alerted_at = i64::MIN;
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = stopping.cancelled() => return,
            }
            let now = self.now();
            if now.saturating_sub(alerted_at) >= ALERT_EVERY_NS {
                alerted_at = now;
                self.alert_of_failing_receivers();
                self.drop_old_parcels().await;
            }
            self.tell_fallbacks().await;
            let due = {
                let busy = self.0.busy.lock().clone();
                self.0.outbox.lock().take_due(now, &busy)
            };
            for parcel in due {
                let manager = self.clone();
                self.0.lifecycle.spawn("outbox", async move { manager.send_parcel(parcel).await });
            }
        }
    }

    async fn send_parcel(&self, parcel: Parcel) {
        let worked = match self.try_claim(parcel.key()) {
            Some(_claim) => {
                // A newer letter may have taken its place, or arrived, since it was chosen.
                let current = self.0.outbox.lock().get(parcel.key()).cloned();
                match current {
                    Some(parcel) => self.try_parcel(&parcel).await,
                    None => true,
                }
            }
            // It is just being told otherwise.
            None => false,
        };
        self.0.outbox.lock().finished(&parcel.lane, worked, self.now());
    }

    async fn try_parcel(&self, parcel: &Parcel) -> bool {
        let started = self.0.clock.monotonic();
        let Some(notifier) = self.notifier_of(&parcel.lane) else {
            self.lose(parcel, "the configuration has no such integration any more").await;
            return true;
        };
        let mut message = self.message(&parcel.letter);
        message.timeout = ATTEMPT_MAX;
        match self.attempt(&notifier, &message, &parcel.lane.receiver).await {
            Ok(told) => {
                let now = self.now();
                let mut entry = parcel.letter.entry.clone();
                entry.expires_at = entry.expires_at - entry.timestamp + now;
                entry.timestamp = now;
                entry.memory.clone_from(&told.memory);
                self.store_told(&entry, true).await;
                let outcome = Outcome { attempts: parcel.attempts + 1, result: Ok(Some(told)) };
                self.note(notifier.integration().kind.name(), &parcel.letter, &outcome, started);
                let none = GroupId(0);
                let delivered = Delivered { group: none, flush: 0, position: 0, entry: Some(entry) };
                self.step(Event::Delivered(delivered));
                true
            }
            Err(error) => {
                self.failed_again(parcel, &error).await;
                false
            }
        }
    }

    async fn failed_again(&self, parcel: &Parcel, error: &NotifyError) {
        let changed = self.0.outbox.lock().failed(parcel.key(), &error.message);
        if let Some(changed) = changed {
            tracing::warn!(
                receiver = changed.lane.receiver, integration = changed.lane.kind, attempts = changed.attempts,
                error = %error, "a notification still does not arrive"
            );
            let state = self.0.state.clone();
            self.stored(tokio::task::spawn_blocking(move || state.put_parcels(&[changed])).await);
        }
    }

    /// Puts parcels into the outbox, on disk, together with others of it that have changed.
    pub(super) async fn put_parcels(&self, mut parcels: Vec<Parcel>, changed: Vec<Parcel>) {
        let now = self.now();
        let before = parcels.len();
        {
            let mut outbox = self.0.outbox.lock();
            parcels.retain_mut(|parcel| outbox.put(parcel, now));
        }
        if parcels.len() < before {
            self.0.metrics.outbox_dropped.add((before - parcels.len()) as u64);
            tracing::error!("the outbox is full: notifications wait for their groups' next flush");
        }
        {
            let mut dispatcher = self.dispatcher();
            for parcel in &parcels {
                dispatcher.await_arrival(&parcel.letter.group_key, &parcel.letter.entry);
            }
        }
        parcels.extend(changed);
        let state = self.0.state.clone();
        self.stored(tokio::task::spawn_blocking(move || state.put_parcels(&parcels)).await);
    }

    fn stored(&self, outcome: Result<state_store::Result<()>, tokio::task::JoinError>) {
        if let Ok(Err(error)) = outcome {
            self.0.metrics.log.not_stored();
            tracing::error!(error = service::error_chain(&error), "the outbox cannot be stored");
        }
    }

    /// Where somebody has waited for too long, the fallback receiver is told as well.
    async fn tell_fallbacks(&self) {
        let now = self.now();
        let config = Arc::clone(self.dispatcher().config());
        let (mut parcels, mut overdue) = (Vec::new(), Vec::new());
        {
            let outbox = self.0.outbox.lock();
            for parcel in outbox.iter().filter(|parcel| !parcel.fallback_told) {
                let receiver = config.receiver(&parcel.lane.receiver);
                let Some(fallback) = receiver.and_then(|receiver| receiver.fallback.as_ref()) else {
                    continue;
                };
                let Some(other) = config.receiver(&fallback.receiver) else {
                    continue;
                };
                if parcel.since.saturating_add(ns(fallback.after)) > now {
                    continue;
                }
                for integration in &other.integrations {
                    let mut copy = parcel.clone();
                    let address =
                        NotificationLog::key("", &other.name, integration.kind.name(), integration.idx);
                    copy.letter.entry.key =
                        format!("{} for {}", address.trim_start_matches(':'), parcel.key());
                    copy.letter.receiver.clone_from(&other.name);
                    copy.letter.entry.memory.clear();
                    copy.lane = Lane {
                        receiver: other.name.clone(),
                        kind: integration.kind.name().to_owned(),
                        idx: integration.idx,
                    };
                    // A fallback's fallback would go on for ever.
                    (copy.since, copy.attempts, copy.fallback_told) = (now, 0, true);
                    parcels.push(copy);
                }
                tracing::warn!(
                    receiver = parcel.lane.receiver,
                    integration = parcel.lane.kind,
                    "the fallback receiver takes over"
                );
                overdue.push(parcel.key().to_owned());
            }
        }
        if overdue.is_empty() {
            return;
        }
        let told = {
            let mut outbox = self.0.outbox.lock();
            overdue.iter().filter_map(|key| outbox.fallback_told(key)).collect()
        };
        self.put_parcels(parcels, told).await;
    }

    async fn drop_old_parcels(&self) {
        let limit = self.now() - self.0.settings.outbox_retention_ns;
        let old = self.0.outbox.lock().older_than(limit);
        for parcel in old {
            self.lose(&parcel, &format!("given up: {}", parcel.last_error)).await;
        }
    }

    async fn lose(&self, parcel: &Parcel, why: &str) {
        tracing::error!(
            receiver = parcel.lane.receiver,
            integration = parcel.lane.kind,
            attempts = parcel.attempts,
            error = why,
            "a notification is lost"
        );
        self.0.metrics.outbox_dropped.inc();
        self.0.outbox.lock().remove(parcel.key());
        self.dispatcher().settle(parcel.key());
        let (firing, resolved) = parcel.letter.counts();
        self.record(
            self.now(),
            Happening::NotificationLost {
                receiver: parcel.lane.receiver.clone(),
                integration: parcel.lane.kind.clone(),
                group_key: parcel.letter.group_key.clone(),
                firing,
                resolved,
                attempts: parcel.attempts,
                error: why.to_owned(),
            },
        );
        let (state, key) = (self.0.state.clone(), parcel.key().to_owned());
        self.stored(tokio::task::spawn_blocking(move || state.forget_parcel(&key)).await);
    }

    fn notifier_of(&self, lane: &Lane) -> Option<Arc<Notifier>> {
        let receivers = self.0.receivers.read();
        let notifiers = receivers.notifiers.get(&lane.receiver)?;
        let is_it = |one: &&Arc<Notifier>| {
            one.integration().kind.name() == lane.kind && one.integration().idx == lane.idx
        };
        notifiers.iter().find(is_it).cloned()
    }

    /// Says by way of the routing tree that an integration has failed for a while.
    fn alert_of_failing_receivers(&self) {
        let after_ns = self.0.settings.failing_alert_after_ns;
        if after_ns == 0 {
            return;
        }
        let now = self.now();
        let failing = self.0.health.failing_since_before(now - after_ns);
        let alerts = failing.into_iter().map(|((receiver, kind, idx), health)| {
            let integration = format!("{kind}[{idx}]");
            let labels = Labels::from_pairs([
                ("alertname", FAILING_ALERT),
                ("integration", integration.as_str()),
                ("receiver", receiver.as_str()),
                ("severity", "critical"),
            ]);
            let summary = format!("Receiver {receiver} cannot be reached by {integration}.");
            let error = health.last_error.unwrap_or_default();
            Alert {
                fingerprint: Fingerprint::of(&labels),
                labels,
                annotations: Labels::from_pairs([("summary", summary.as_str()), ("error", error.as_str())]),
                starts_at: health.failing_since.unwrap_or(now),
                ends_at: now + ALERT_LIFE_NS,
                updated_at: now,
                timeout: true,
                generator_url: String::new(),
            }
        });
        self.receive(alerts.collect());
    }
}
