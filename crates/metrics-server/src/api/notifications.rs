//! `/api/v1/notifications` and `/api/v1/notifications/live`: what whoever looks at this server should know of it now.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State as AxumState;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use model::TimestampMs;
use parking_lot::Mutex;
use serde_json::{Value, json};
use telemetry::{Counter, Gauge, Registry};
use tokio::sync::mpsc;

use super::answer;
use super::targets::rfc3339;
use crate::state::State;

/// So many events wait for a slow subscriber; what comes then is dropped.
const WAITING_MAX: usize = 10;

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    ReloadFailed,
    Starting,
    Stopping,
}

impl Notice {
    fn text(self) -> &'static str {
        match self {
            Self::ReloadFailed => "The configuration could not be reloaded; the one before it stays in use.",
            Self::Starting => "The server is starting: it reads its write-ahead log.",
            Self::Stopping => "The server is shutting down.",
        }
    }
}

/// Notifications that stand, and who follows them.
#[derive(Debug)]
pub(crate) struct Notifications {
    inner: Mutex<Inner>,
    subscribers_max: usize,
    subscribers: Gauge,
    sent: Counter,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Inner {
    standing: Vec<(Notice, TimestampMs)>,
    subscribers: Vec<mpsc::Sender<Value>>,
}

/// Events for one subscriber; dropping it ends the subscription.
#[derive(Debug)]
struct Subscription {
    events: mpsc::Receiver<Value>,
    notifications: Arc<Notifications>,
}

impl Notifications {
    pub(crate) fn new(registry: &Registry, subscribers_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            subscribers_max,
            subscribers: registry.gauge(
                "prometheus_api_notification_active_subscribers",
                "Clients that follow notifications.",
            ),
            sent: registry.counter(
                "prometheus_api_notification_updates_sent_total",
                "Changes of notifications sent to clients.",
            ),
            dropped: registry.counter(
                "prometheus_api_notification_updates_dropped_total",
                "Changes of notifications that a client was too slow for.",
            ),
        }
    }

    /// Adds a notification, or renews its time.
    pub(crate) fn add(&self, notice: Notice, now: TimestampMs) {
        let mut inner = self.inner.lock();
        inner.standing.retain(|(standing, _)| *standing != notice);
        inner.standing.push((notice, now));
        self.tell(&inner, &to_json(notice, now, true));
    }

    /// Takes a notification away, where it is there.
    pub(crate) fn remove(&self, notice: Notice) {
        let mut inner = self.inner.lock();
        let Some(at) = inner.standing.iter().position(|(standing, _)| *standing == notice) else { return };
        let (_, since) = inner.standing.remove(at);
        self.tell(&inner, &to_json(notice, since, false));
    }

    fn tell(&self, inner: &Inner, event: &Value) {
        for subscriber in &inner.subscribers {
            self.sent.inc();
            if subscriber.try_send(event.clone()).is_err() {
                self.dropped.inc();
            }
        }
    }

    fn list(&self) -> Vec<Value> {
        let inner = self.inner.lock();
        inner.standing.iter().map(|(notice, since)| to_json(*notice, *since, true)).collect()
    }

    /// `None` where there are as many subscribers as allowed.
    fn subscribe(self: &Arc<Self>) -> Option<Subscription> {
        let mut inner = self.inner.lock();
        inner.subscribers.retain(|subscriber| !subscriber.is_closed());
        if inner.subscribers.len() >= self.subscribers_max {
            return None;
        }
        let (sender, events) = mpsc::channel(WAITING_MAX);
        for (notice, since) in &inner.standing {
            // There are fewer notices than places.
            sender.try_send(to_json(*notice, *since, true)).ok();
        }
        inner.subscribers.push(sender);
        self.subscribers.set(inner.subscribers.len() as f64);
        Some(Subscription { events, notifications: Arc::clone(self) })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.close();
        let mut inner = self.notifications.inner.lock();
        inner.subscribers.retain(|subscriber| !subscriber.is_closed());
        self.notifications.subscribers.set(inner.subscribers.len() as f64);
    }
}

fn to_json(notice: Notice, since: TimestampMs, active: bool) -> Value {
    json!({ "text": notice.text(), "date": rfc3339(since), "active": active })
}

pub(crate) async fn list(AxumState(state): AxumState<Arc<State>>) -> Response {
    answer::success(&state.notifications.list())
}

/// Events as they happen, the standing ones first; ends when the server does.
pub(crate) async fn live(AxumState(state): AxumState<Arc<State>>) -> Response {
    let Some(subscription) = state.notifications.subscribe() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let draining = state.lifecycle.draining().clone();
    let events = futures::stream::unfold((subscription, draining), |(mut subscription, draining)| async {
        let event = tokio::select! {
            // What is waiting is sent before the end.
            biased;
            event = subscription.events.recv() => event?,
            () = draining.cancelled() => return None,
        };
        let line = Bytes::from(format!("data: {event}\n\n"));
        Some((Ok::<_, Infallible>(line), (subscription, draining)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_hear_what_stands_and_what_changes() {
        let notifications = Arc::new(Notifications::new(&Registry::new(), 2));
        notifications.add(Notice::Starting, 1000);
        let mut first = notifications.subscribe().expect("room");
        let second = notifications.subscribe().expect("room");
        assert!(notifications.subscribe().is_none());
        notifications.add(Notice::ReloadFailed, 2000);
        notifications.add(Notice::ReloadFailed, 3000);
        notifications.remove(Notice::Starting);
        notifications.remove(Notice::Stopping);
        let mut heard = Vec::new();
        while let Ok(event) = first.events.try_recv() {
            heard.push(event);
        }
        let expected = [
            (Notice::Starting, 1000, true),
            (Notice::ReloadFailed, 2000, true),
            (Notice::ReloadFailed, 3000, true),
            (Notice::Starting, 1000, false),
        ];
        assert_eq!(heard, expected.map(|(notice, since, active)| to_json(notice, since, active)));
        assert_eq!(notifications.list(), [to_json(Notice::ReloadFailed, 3000, true)]);
        drop(second);
        assert!(notifications.subscribe().is_some());
    }
}
