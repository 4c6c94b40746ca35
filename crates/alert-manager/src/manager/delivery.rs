//! One notification from decision to log: attempts, backoff, the store, the state machine's answer.

use std::sync::Arc;
use std::time::Duration;

use model::TimestampNs;

use super::Manager;
use crate::acks::link;
use crate::cluster::Change;
use crate::data::{AlertData, Data, Pairs, common};
use crate::dispatch::{Delivered, Event, Notification};
use crate::history::Happening;
use crate::letter::Letter;
use crate::metrics::Notified;
use crate::notification_log::LogEntry;
use crate::notify::{Message, Notifier, NotifyError, Told};
use crate::outbox::{Lane, Parcel};
use crate::times::rfc3339;

/// The wait after the first failure; it grows by half each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The message of a letter.
pub(super) fn message(letter: &Letter, external_url: &str, secret: &[u8]) -> Message {
    let alerts: Vec<AlertData> =
        letter.alerts().iter().map(|alert| AlertData::of(alert, letter.at)).collect();
    let firing = alerts.iter().any(|alert| alert.status == "firing");
    let token = link::token(secret, &letter.group_key, letter.at);
    let data = Data {
        receiver: letter.receiver.clone(),
        status: if firing { "firing" } else { "resolved" },
        notification_reason: letter.reason.as_str(),
        group_labels: letter.group_labels.clone(),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        route_labels: Pairs::new(),
        external_url: external_url.to_owned(),
        ack_url: format!("{external_url}/api/watchbell/v1/ack?token={token}"),
        alerts,
    };
    Message {
        group_key: letter.group_key.clone(),
        data,
        date: now_date(letter.at),
        timeout: Duration::ZERO,
        now: letter.at,
        idempotency_key: letter.idempotency_key(),
        truncated: 0,
        memory: letter.entry.memory.clone(),
    }
}

/// `2026-11-22`
pub fn now_date(now: TimestampNs) -> String {
    rfc3339(now).chars().take(10).collect()
}

pub(super) struct Outcome {
    pub(super) attempts: u32,
    pub(super) result: Result<Option<Told>, NotifyError>,
}

/// A key that somebody is being told by; others wait until it is dropped.
pub(super) struct Claim {
    manager: Manager,
    key: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.manager.0.busy.lock().remove(&self.key);
        self.manager.0.released.notify_waiters();
    }
}

impl Manager {
    /// Waits until nobody else tells by this key.
    async fn claim(&self, key: &str) -> Claim {
        loop {
            // Made before the look, so that no release is missed.
            let released = self.0.released.notified();
            if let Some(claim) = self.try_claim(key) {
                return claim;
            }
            released.await;
        }
    }

    pub(super) fn try_claim(&self, key: &str) -> Option<Claim> {
        let is_free = self.0.busy.lock().insert(key.to_owned());
        is_free.then(|| Claim { manager: self.clone(), key: key.to_owned() })
    }

    /// Tells, stores that it was told, and answers the state machine.
    pub(super) async fn deliver(&self, notification: Notification, notifier: Option<Arc<Notifier>>) {
        let mut letter = Letter::of(&notification);
        // The peers before this one go first; what they have told by then is not told again.
        let Some(waited_ns) = self.wait_for_peers(&letter).await else {
            return;
        };
        // Logged as of when it is told: of what two tell, the later one is what the receiver knows.
        letter.entry.timestamp = letter.entry.timestamp.saturating_add(waited_ns);
        letter.entry.expires_at = letter.entry.expires_at.saturating_add(waited_ns);
        let claim = self.claim(&letter.entry.key).await;
        let mut entry = letter.told_meanwhile(&self.dispatcher().log);
        if entry.is_some() && self.cluster().is_some() {
            self.0.metrics.told_by_peers.inc();
        }
        if entry.is_none() {
            entry = self.tell(&letter, notification.deadline + waited_ns, notifier).await;
        }
        drop(claim);
        self.step(Event::Delivered(Delivered {
            group: notification.group,
            flush: notification.flush,
            position: notification.position,
            entry,
        }));
    }

    async fn tell(
        &self,
        letter: &Letter,
        deadline: TimestampNs,
        notifier: Option<Arc<Notifier>>,
    ) -> Option<LogEntry> {
        let started = self.0.clock.monotonic();
        let kind = notifier.as_ref().map_or("none", |notifier| notifier.integration().kind.name());
        let outcome = match &notifier {
            Some(notifier) => self.attempts(notifier, letter, deadline).await,
            None => {
                let error = NotifyError::permanent("the receiver has no such integration");
                Outcome { attempts: 0, result: Err(error) }
            }
        };
        let mut entry = None;
        if let Ok(told) = &outcome.result {
            let mut sent = letter.entry.clone();
            if let Some(told) = told {
                sent.memory.clone_from(&told.memory);
            }
            // What was kept back as resolved leaves what still waits alone.
            self.store_told(&sent, told.is_some()).await;
            // It was sent, whether or not that can be stored: within this process it is not sent again.
            entry = Some(sent);
        }
        // Counted once it is logged, so that who sees the count may kill us.
        self.note(kind, letter, &outcome, started);
        entry
    }

    /// Logs that somebody was told; what waited for that is done.
    pub(super) async fn store_told(&self, entry: &LogEntry, arrived: bool) {
        self.tell_peers(Change::Told(entry.clone()));
        let waiting = arrived && self.0.outbox.lock().get(&entry.key).is_some();
        let (state, stored) = (self.0.state.clone(), entry.clone());
        let storing = tokio::task::spawn_blocking(move || state.put_entry(&stored, waiting)).await;
        if let Ok(Err(error)) = &storing {
            let error = service::error_chain(error);
            tracing::error!(error, "a notification was sent but cannot be logged: it may be sent again");
        }
        if waiting {
            // Once it is stored, so that who sees it gone may kill us.
            self.0.outbox.lock().remove(&entry.key);
            self.dispatcher().settle(&entry.key);
        }
    }

    async fn attempts(&self, notifier: &Notifier, letter: &Letter, deadline: TimestampNs) -> Outcome {
        if letter.alerts.is_empty() {
            return Outcome { attempts: 0, result: Ok(None) };
        }
        let mut message = self.message(letter);
        let lane = lane(&letter.receiver, notifier);
        let mut attempts = 0;
        let mut backoff = BACKOFF_FIRST;
        loop {
            let left_ns = deadline - self.now();
            message.timeout = Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0));
            attempts += 1;
            let error = match self.attempt(notifier, &message, &letter.receiver).await {
                Ok(told) => return Outcome { attempts, result: Ok(Some(told)) },
                Err(error) => error,
            };
            if attempts == 1 {
                self.keep(letter, &lane, &error).await;
            }
            let left_ns = deadline - self.now();
            if !error.retry || left_ns <= i64::try_from(backoff.as_nanos()).unwrap_or(i64::MAX) {
                return Outcome { attempts, result: Err(error) };
            }
            tracing::warn!(
                receiver = letter.receiver, integration = lane.kind, attempt = attempts, error = %error,
                "notification failed, it is tried again"
            );
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = self.0.lifecycle.stopping().cancelled() => {
                    return Outcome { attempts, result: Err(NotifyError { reason: "contextCanceled", ..error }) };
                }
            }
            backoff = (backoff * 3 / 2).min(BACKOFF_MAX);
        }
    }

    /// The message of a letter, its route's labels rendered.
    pub(crate) fn message(&self, letter: &Letter) -> Message {
        let mut message = message(letter, &self.0.settings.external_url, self.0.link_keys.read().own());
        self.fill_route_labels(&letter.route_labels, &mut message);
        message
    }

    /// One attempt; counted, timed, noted in the integration's health.
    pub(super) async fn attempt(
        &self,
        notifier: &Notifier,
        message: &Message,
        receiver: &str,
    ) -> Result<Told, NotifyError> {
        let stopping = || NotifyError::passing("stopping");
        // First the integration's own places: one that hangs does not take those of others.
        let _own = notifier.permits().acquire().await.map_err(|_| stopping())?;
        let _permit = self.0.deliveries.acquire().await.map_err(|_| stopping())?;
        let kind = notifier.integration().kind.name();
        let began = self.0.clock.monotonic();
        let result = match tokio::time::timeout(message.timeout, notifier.notify(message)).await {
            Ok(result) => result,
            Err(_) => {
                let late = NotifyError::permanent("no answer before the group's next flush");
                Err(NotifyError { reason: "contextDeadlineExceeded", ..late })
            }
        };
        let took = self.0.clock.monotonic().saturating_sub(began);
        let whose = Notified { kind, receiver, group_key: &message.group_key };
        self.0.metrics.attempted(whose, took, result.is_err());
        let id = (receiver.to_owned(), kind, notifier.integration().idx);
        match &result {
            Ok(_) => self.0.health.succeeded(&id, self.now()),
            Err(error) => {
                self.0.health.failed(&id, &error.message, self.now());
            }
        }
        result
    }

    /// Puts a letter that has not arrived into the outbox, on disk.
    async fn keep(&self, letter: &Letter, lane: &Lane, error: &NotifyError) {
        let now = self.now();
        let parcel = Parcel {
            letter: letter.clone(),
            lane: lane.clone(),
            since: now,
            attempts: 1,
            last_error: error.message.clone(),
            fallback_told: false,
        };
        self.put_parcels(vec![parcel], Vec::new()).await;
    }

    /// Renders the route's labels; one that fails is left out.
    fn fill_route_labels(&self, labels: &Pairs, message: &mut Message) {
        if labels.is_empty() {
            return;
        }
        let Some(templates) = self.0.receivers.read().templates.clone() else {
            return;
        };
        let data = message.data.to_value();
        for (name, text) in labels {
            match templates.text(text, &data) {
                Ok(text) => drop(message.data.route_labels.insert(name.clone(), text)),
                Err(error) => tracing::warn!(label = name, error = %error, "route label cannot be rendered"),
            }
        }
    }

    /// Counts a notification, and writes it into the history.
    pub(super) fn note(&self, kind: &'static str, letter: &Letter, outcome: &Outcome, started: Duration) {
        if matches!(outcome.result, Ok(None)) {
            return;
        }
        let metrics = &self.0.metrics;
        let error = outcome.result.as_ref().err();
        let whose = Notified { kind, receiver: &letter.receiver, group_key: &letter.group_key };
        metrics.notified(whose, error.map(|error| error.reason));
        if let Some(error) = error {
            tracing::error!(
                receiver = letter.receiver, integration = kind, attempts = outcome.attempts, error = %error,
                "notification has not arrived, it stays in the outbox"
            );
        }
        let told = outcome.result.as_ref().ok().and_then(Option::as_ref);
        if let Some(error) = told.and_then(|told| told.template_error.as_ref()) {
            metrics.template_failures.with(&[kind]).inc();
            tracing::error!(
                receiver = letter.receiver,
                integration = kind,
                error,
                "a template has failed, a plain message was sent"
            );
        }
        let (firing, resolved) = letter.counts();
        self.record(
            self.now(),
            Happening::Notification {
                receiver: letter.receiver.clone(),
                integration: kind.to_owned(),
                group_key: letter.group_key.clone(),
                reason: letter.reason.as_str().to_owned(),
                firing,
                resolved,
                attempts: outcome.attempts,
                took_ms: self.0.clock.monotonic().saturating_sub(started).as_millis() as u64,
                answer: told.map(|told| told.answer.clone()),
                template_error: told.and_then(|told| told.template_error.clone()),
                error: error.map(ToString::to_string),
            },
        );
    }
}

pub(super) fn lane(receiver: &str, notifier: &Notifier) -> Lane {
    let integration = notifier.integration();
    Lane { receiver: receiver.to_owned(), kind: integration.kind.name().to_owned(), idx: integration.idx }
}
