//! One notification from decision to log: attempts, backoff, the store, the state machine's answer.

use std::sync::Arc;
use std::time::Duration;

use model::TimestampNs;
use sha2::{Digest, Sha256};

use super::Manager;
use crate::data::{AlertData, Data, Pairs, common, pairs};
use crate::dispatch::{Delivered, Event, Notification};
use crate::history::Happening;
use crate::notification_log::LogEntry;
use crate::notify::{Message, Notifier, NotifyError, Told};
use crate::times::rfc3339;

/// The wait after the first failure; it grows by half each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The message of a notification.
fn message(notification: &Notification, external_url: &str) -> Message {
    let now = notification.now;
    let alerts: Vec<AlertData> = notification.alerts.iter().map(|alert| AlertData::of(alert, now)).collect();
    let firing = alerts.iter().any(|alert| alert.status == "firing");
    let data = Data {
        receiver: notification.receiver.clone(),
        status: if firing { "firing" } else { "resolved" },
        notification_reason: notification.reason.as_str(),
        group_labels: pairs(&notification.group_labels),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        route_labels: Pairs::new(),
        external_url: external_url.to_owned(),
        alerts,
    };
    Message {
        group_key: notification.group_key.clone(),
        data,
        date: now_date(now),
        timeout: Duration::ZERO,
        now,
        idempotency_key: idempotency_key(&notification.entry),
        memory: notification.entry.memory.clone(),
    }
}

/// The same for all attempts to tell the same, also after a restart, and another one for what is told next.
fn idempotency_key(entry: &LogEntry) -> String {
    let text = format!("{} {} {:?} {:?}", entry.key, entry.timestamp, entry.firing, entry.resolved);
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// `2026-11-22`
pub fn now_date(now: TimestampNs) -> String {
    rfc3339(now).chars().take(10).collect()
}

struct Outcome {
    attempts: u32,
    result: Result<Option<Told>, NotifyError>,
}

impl Manager {
    /// Tells, stores that it was told, and answers the state machine.
    pub(super) async fn deliver(&self, notification: Notification, notifier: Option<Arc<Notifier>>) {
        let started = self.0.clock.monotonic();
        let kind = notifier.as_ref().map(|notifier| notifier.integration().kind.name());
        let outcome = match &notifier {
            Some(notifier) => self.attempts(notifier, &notification).await,
            None => {
                let error = NotifyError::permanent("the receiver has no such integration");
                Outcome { attempts: 0, result: Err(error) }
            }
        };
        let mut entry = None;
        if let Ok(told) = &outcome.result {
            let mut sent = notification.entry.clone();
            if let Some(told) = told {
                sent.memory.clone_from(&told.memory);
            }
            let (state, stored) = (self.0.state.clone(), sent.clone());
            let storing = tokio::task::spawn_blocking(move || state.put_entry(&stored)).await;
            if let Ok(Err(error)) = &storing {
                let error = service::error_chain(error);
                tracing::error!(error, "a notification was sent but cannot be logged: it may be sent again");
            }
            // It was sent, whether or not that can be stored: within this process it is not sent again.
            entry = Some(sent);
        }
        // Counted once it is logged, so that who sees the count may kill us.
        self.note(kind.unwrap_or("none"), &notification, &outcome, started);
        self.step(Event::Delivered(Delivered {
            group: notification.group,
            flush: notification.flush,
            position: notification.position,
            entry,
        }));
    }

    async fn attempts(&self, notifier: &Notifier, notification: &Notification) -> Outcome {
        if notification.alerts.is_empty() {
            return Outcome { attempts: 0, result: Ok(None) };
        }
        let mut message = message(notification, &self.0.settings.external_url);
        self.fill_route_labels(notification, &mut message);
        let Ok(_permit) = self.0.deliveries.acquire().await else {
            return Outcome { attempts: 0, result: Err(NotifyError::passing("stopping")) };
        };
        let kind = notifier.integration().kind.name();
        let mut attempts = 0;
        let mut backoff = BACKOFF_FIRST;
        loop {
            let left_ns = notification.deadline - self.now();
            message.timeout = Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0));
            attempts += 1;
            let began = self.0.clock.monotonic();
            let result = match tokio::time::timeout(message.timeout, notifier.notify(&message)).await {
                Ok(result) => result,
                Err(_) => {
                    let late = NotifyError::permanent("no answer before the group's next flush");
                    Err(NotifyError { reason: "contextDeadlineExceeded", ..late })
                }
            };
            let took = self.0.clock.monotonic().saturating_sub(began);
            self.0.metrics.requests.with(&[kind]).inc();
            self.0.metrics.latency.with(&[kind]).observe(took.as_secs_f64());
            let id = (notification.receiver.clone(), kind, notifier.integration().idx);
            let error = match result {
                Ok(told) => {
                    self.0.health.succeeded(&id, self.now());
                    return Outcome { attempts, result: Ok(Some(told)) };
                }
                Err(error) => error,
            };
            self.0.health.failed(&id, &error.message, self.now());
            self.0.metrics.requests_failed.with(&[kind]).inc();
            let left_ns = notification.deadline - self.now();
            if !error.retry || left_ns <= i64::try_from(backoff.as_nanos()).unwrap_or(i64::MAX) {
                return Outcome { attempts, result: Err(error) };
            }
            tracing::warn!(
                receiver = notification.receiver, integration = kind, attempt = attempts, error = %error,
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

    /// Renders the route's labels; one that fails is left out.
    fn fill_route_labels(&self, notification: &Notification, message: &mut Message) {
        let Some(templates) = self.0.receivers.read().templates.clone() else {
            return;
        };
        let data = message.data.to_value();
        for (name, text) in &notification.route_labels {
            match templates.text(text, &data) {
                Ok(text) => drop(message.data.route_labels.insert(name.clone(), text)),
                Err(error) => tracing::warn!(label = name, error = %error, "route label cannot be rendered"),
            }
        }
    }

    fn note(&self, kind: &'static str, notification: &Notification, outcome: &Outcome, started: Duration) {
        if matches!(outcome.result, Ok(None)) {
            return;
        }
        let metrics = &self.0.metrics;
        metrics.notifications.with(&[kind]).inc();
        let error = outcome.result.as_ref().err();
        if let Some(error) = error {
            metrics.notifications_failed.with(&[kind, error.reason]).inc();
            tracing::error!(
                receiver = notification.receiver, integration = kind, attempts = outcome.attempts, error = %error,
                "notification given up until the next flush"
            );
        }
        let told = outcome.result.as_ref().ok().and_then(Option::as_ref);
        if let Some(error) = told.and_then(|told| told.template_error.as_ref()) {
            metrics.template_failures.with(&[kind]).inc();
            tracing::error!(
                receiver = notification.receiver,
                integration = kind,
                error,
                "a template has failed, a plain message was sent"
            );
        }
        let resolved = notification.alerts.iter().filter(|alert| alert.is_resolved(notification.now)).count();
        self.record(
            self.now(),
            Happening::Notification {
                receiver: notification.receiver.clone(),
                integration: kind.to_owned(),
                group_key: notification.group_key.clone(),
                reason: notification.reason.as_str().to_owned(),
                firing: notification.alerts.len() - resolved,
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
