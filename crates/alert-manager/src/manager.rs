//! The state machine with the world around it: store, history, receivers, time.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::TimestampNs;
use parking_lot::{Mutex, MutexGuard, RwLock};
use service::{BoxError, Lifecycle};
use sys::Clock;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore};

use crate::alert::Alert;
use crate::cluster::{Change, Cluster};
use crate::config::Config;
use crate::data::pairs;
use crate::dispatch::{Action, Dispatcher, Event};
use crate::health::Health;
use crate::heartbeats::{Heartbeat, Heartbeats};
use crate::history::{Happening, History, HistoryEvent};
use crate::link_keys::LinkKeys;
use crate::matchers::{MatcherMode, show};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::outbox::{Outbox, Parcel};
use crate::silences::{Silence, SilenceError};
use crate::state::State;
use crate::templates::Templates;
use crate::times::as_seconds;

mod acks;
mod delivery;
mod explain;
mod heartbeats;
mod maintenance;
mod outbox;
mod peers;
mod silences;

pub use acks::{AckBy, AckTarget};
pub use delivery::now_date;
pub use explain::Tested;

/// Notifications that are on their way at a time.
const DELIVERIES_MAX: usize = 500;
/// Events that wait to be written to the history. When half are there, they are written at once.
const HISTORY_QUEUE_MAX: usize = 50_000;

/// What is needed to make a manager.
#[derive(Debug)]
pub struct Parts {
    /// The state machine with what was stored.
    pub dispatcher: Dispatcher,
    /// The store.
    pub state: State,
    /// What has not arrived yet.
    pub parcels: Vec<Parcel>,
    /// The heartbeats that are expected.
    pub heartbeats: Vec<Heartbeat>,
    /// What links are signed with.
    pub link_keys: LinkKeys,
    /// The history.
    pub history: History,
    /// The metrics.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The peers; none where it works alone.
    pub cluster: Option<Cluster>,
    /// The life that tasks belong to.
    pub lifecycle: Lifecycle,
    /// Settings.
    pub settings: Settings,
}

/// Settings that are flags.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration's file.
    pub config_file: PathBuf,
    /// Which grammar matchers are read in.
    pub matcher_mode: MatcherMode,
    /// Where users reach us.
    pub external_url: String,
    /// How long silences and log are kept after their end, in ns.
    pub retention_ns: i64,
    /// How often they are looked through.
    pub maintenance_interval: Duration,
    /// How often resolved alerts are forgotten.
    pub alerts_gc_interval: Duration,
    /// How long it is tried to tell somebody, in ns.
    pub outbox_retention_ns: i64,
    /// After how long a receiver that fails is an alert of its own, in ns; 0: never.
    pub failing_alert_after_ns: i64,
    /// Whether an alert fires always.
    pub self_check: bool,
    /// Whether changes of silences are logged.
    pub log_silences: bool,
}

/// The manager. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dispatcher: Mutex<Dispatcher>,
    state: State,
    history: History,
    metrics: Metrics,
    health: Health,
    clock: Arc<dyn Clock>,
    cluster: Option<Cluster>,
    lifecycle: Lifecycle,
    settings: Settings,
    receivers: RwLock<Receivers>,
    outbox: Mutex<Outbox>,
    /// Keys by which somebody is being told.
    busy: Mutex<HashSet<String>>,
    /// Tells that a key is no longer busy.
    released: Notify,
    link_keys: RwLock<LinkKeys>,
    heartbeats: Mutex<Heartbeats>,
    /// Wakes the ticker when a group is due earlier than it thought.
    wake: Notify,
    deliveries: Semaphore,
    /// One change of silences at a time, so that what is stored and what is known agree.
    silence_changes: AsyncMutex<()>,
    history_queue: Mutex<Vec<Noted>>,
    /// Tells that many events wait.
    history_filling: Notify,
    /// Held while events are written, so that whoever waits for it sees all that were taken before.
    history_writing: tokio::sync::Mutex<()>,
    started_at: TimestampNs,
}

/// An event that waits to be written. Of an alert it holds no copy: a hundred thousand may begin at once.
#[derive(Debug)]
enum Noted {
    Event(Box<HistoryEvent>),
    Transition { at: TimestampNs, alert: Arc<Alert>, resolved: bool },
}

impl Noted {
    fn into_event(self) -> HistoryEvent {
        match self {
            Self::Event(event) => *event,
            Self::Transition { at, alert, resolved } => {
                let (labels, fingerprint) = (pairs(&alert.labels), alert.fingerprint.to_string());
                let happening = match resolved {
                    true => Happening::AlertResolved { labels, fingerprint },
                    false => Happening::AlertFiring { labels, fingerprint },
                };
                HistoryEvent { at, happening }
            }
        }
    }
}

/// What a configuration is made into.
#[derive(Debug, Default)]
pub struct Receivers {
    /// The notifiers of each receiver, in order.
    pub notifiers: HashMap<String, Vec<Arc<Notifier>>>,
    /// The templates.
    pub templates: Option<Arc<Templates>>,
}

impl Receivers {
    /// Reads templates and certificates. Blocks.
    pub fn build(config: &Config) -> Result<Self, BoxError> {
        let templates = Arc::new(Templates::load(&config.template_files()?)?);
        let used = config.used_receivers();
        let mut notifiers = HashMap::new();
        for receiver in config.receivers.iter().filter(|receiver| used.contains(receiver.name.as_str())) {
            let mut built = Vec::new();
            for integration in &receiver.integrations {
                built.push(Arc::new(Notifier::new(integration, &templates)?));
            }
            notifiers.insert(receiver.name.clone(), built);
        }
        Ok(Self { notifiers, templates: Some(templates) })
    }
}

impl Manager {
    /// A manager that does nothing yet.
    pub fn new(parts: Parts, receivers: Receivers) -> Self {
        let started_at = parts.clock.now_ns();
        let mut heartbeats = Heartbeats::new(parts.heartbeats);
        heartbeats.forgive(started_at);
        let manager = Self(Arc::new(Inner {
            dispatcher: Mutex::new(parts.dispatcher),
            state: parts.state,
            history: parts.history,
            metrics: parts.metrics,
            health: Health::default(),
            clock: parts.clock,
            cluster: parts.cluster,
            lifecycle: parts.lifecycle,
            settings: parts.settings,
            receivers: RwLock::new(receivers),
            outbox: Mutex::default(),
            busy: Mutex::default(),
            released: Notify::new(),
            link_keys: RwLock::new(parts.link_keys),
            heartbeats: Mutex::new(heartbeats),
            wake: Notify::new(),
            deliveries: Semaphore::new(DELIVERIES_MAX),
            silence_changes: AsyncMutex::new(()),
            history_queue: Mutex::default(),
            history_filling: Notify::new(),
            history_writing: tokio::sync::Mutex::default(),
            started_at,
        }));
        manager.restore_outbox(parts.parcels);
        manager.count_config();
        manager.collect_at_scrapes();
        manager
    }

    fn restore_outbox(&self, parcels: Vec<Parcel>) {
        let now = self.now();
        let mut dispatcher = self.dispatcher();
        let mut outbox = self.0.outbox.lock();
        for mut parcel in parcels {
            dispatcher.await_arrival(&parcel.letter.group_key, &parcel.letter.entry);
            outbox.put(&mut parcel, now);
        }
    }

    /// What has not arrived yet.
    pub fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.0.outbox.lock()
    }

    /// The time.
    pub fn now(&self) -> TimestampNs {
        self.0.clock.now_ns()
    }

    /// The time that only grows, for what is timed.
    pub fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }

    /// The registry of the service's metrics.
    pub fn registry(&self) -> &telemetry::Registry {
        self.0.lifecycle.registry()
    }

    /// When the manager was made.
    pub fn started_at(&self) -> TimestampNs {
        self.0.started_at
    }

    /// The state machine; held for as short as can be.
    pub fn dispatcher(&self) -> MutexGuard<'_, Dispatcher> {
        self.0.dispatcher.lock()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// How the integrations do.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Why the last reload failed, with file, line and message; none once one has worked.
    pub fn config_error(&self) -> Option<String> {
        self.0.lifecycle.last_reload_error()
    }

    /// Takes alerts in.
    pub fn receive(&self, alerts: Vec<Alert>) {
        let (began, count) = (self.0.clock.monotonic(), alerts.len());
        self.step(Event::Alerts(alerts));
        self.0.metrics.taken_in.add(count as u64);
        self.0.metrics.taking_in.observe_duration(self.0.clock.monotonic().saturating_sub(began));
    }

    fn step(&self, event: Event) {
        let now = self.now();
        let mut dispatcher = self.dispatcher();
        let actions = dispatcher.step(now, event);
        // Under the lock, as a reload replaces the receivers under it.
        let work = self.with_notifiers(actions);
        drop(dispatcher);
        self.carry_out(work, now);
    }

    fn with_notifiers(&self, actions: Vec<Action>) -> Vec<(Action, Option<Arc<Notifier>>)> {
        let find = |action: &Action| match action {
            Action::Notify(notification) => self.notifier(&notification.receiver, notification.position),
            Action::Transition { .. } | Action::Suppressed { .. } | Action::Limited => None,
        };
        actions
            .into_iter()
            .map(|action| (find(&action), action))
            .map(|(notifier, action)| (action, notifier))
            .collect()
    }

    fn carry_out(&self, work: Vec<(Action, Option<Arc<Notifier>>)>, now: TimestampNs) {
        for (action, notifier) in work {
            match action {
                Action::Notify(notification) => {
                    let manager = self.clone();
                    let task = async move { manager.deliver(*notification, notifier).await };
                    self.0.lifecycle.spawn("notification", task);
                }
                Action::Transition { alert, resolved } => {
                    self.enqueue(Noted::Transition { at: now, alert, resolved });
                }
                Action::Suppressed { reason, alerts, group_key } => {
                    self.0.metrics.kept_back(reason, &group_key, alerts as u64);
                }
                Action::Limited => self.0.metrics.limited.inc(),
            }
        }
        self.0.wake.notify_one();
    }

    /// Notes an event; it is written soon.
    fn record(&self, at: TimestampNs, happening: Happening) {
        self.enqueue(Noted::Event(Box::new(HistoryEvent { at, happening })));
    }

    fn enqueue(&self, noted: Noted) {
        let mut queue = self.0.history_queue.lock();
        if queue.len() >= HISTORY_QUEUE_MAX {
            self.0.metrics.history_errors.inc();
            return;
        }
        queue.push(noted);
        if queue.len() == HISTORY_QUEUE_MAX / 2 {
            self.0.history_filling.notify_one();
        }
    }

    /// Makes or changes a silence; gives its id.
    pub async fn set_silence(&self, silence: Silence) -> Result<String, ChangeError> {
        let _change = self.0.silence_changes.lock().await;
        let records = self.dispatcher().silences.prepare(silence, new_id(), self.now())?;
        let id = records.last().map(|record| record.id.clone()).unwrap_or_default();
        self.store_silences(records).await?;
        Ok(id)
    }

    /// Ends a silence.
    pub async fn expire_silence(&self, id: &str) -> Result<(), ChangeError> {
        let _change = self.0.silence_changes.lock().await;
        let records = self.dispatcher().silences.prepare_expire(id, self.now())?;
        self.store_silences(records).await
    }

    async fn store_silences(&self, records: Vec<Silence>) -> Result<(), ChangeError> {
        if records.is_empty() {
            return Ok(());
        }
        let (state, stored) = (self.0.state.clone(), records.clone());
        tokio::task::spawn_blocking(move || state.put_silences(&stored))
            .await
            .map_err(|error| ChangeError::Store(error.to_string()))?
            .map_err(|error| ChangeError::Store(service::error_chain(&error)))?;
        records.iter().for_each(|record| self.note_silence(record));
        self.dispatcher().silences.apply(records.clone());
        records.into_iter().for_each(|record| self.tell_peers(Change::Silence(record)));
        Ok(())
    }

    fn note_silence(&self, record: &Silence) {
        if self.0.settings.log_silences {
            tracing::info!(
                id = record.id,
                created_by = record.created_by,
                comment = record.comment,
                "silence changed"
            );
        }
        self.record(
            self.now(),
            Happening::SilenceChanged {
                id: record.id.clone(),
                matchers: record.matchers.iter().map(|one| show(&one.to_matcher())).collect(),
                created_by: record.created_by.clone(),
                comment: record.comment.clone(),
                ends_at: record.ends_at,
            },
        );
    }

    /// Reads the configuration again; a bad one changes nothing.
    pub async fn reload(&self) -> Result<(), BoxError> {
        let settings = self.0.settings.clone();
        let loading = tokio::task::spawn_blocking(move || -> Result<(Config, Receivers), BoxError> {
            let config = Config::load(&settings.config_file, settings.matcher_mode)?;
            let receivers = Receivers::build(&config)?;
            Ok((config, receivers))
        });
        let (config, receivers) = match loading.await? {
            Ok(loaded) => loaded,
            Err(error) => {
                self.0.metrics.reload_ok.set(0.0);
                return Err(error);
            }
        };
        log_warnings(&config);
        let now = self.now();
        let mut dispatcher = self.dispatcher();
        *self.0.receivers.write() = receivers;
        let actions = dispatcher.step(now, Event::Reload(Arc::new(config)));
        let work = self.with_notifiers(actions);
        drop(dispatcher);
        self.carry_out(work, now);
        self.count_config();
        Ok(())
    }

    fn count_config(&self) {
        let config = Arc::clone(self.dispatcher().config());
        self.0.health.keep(&config);
        let metrics = &self.0.metrics;
        let hash = crate::alert::Fingerprint::of(&model::Labels::from_pairs([("c", &config.masked)])).0;
        // What a float holds exactly.
        metrics.config_hash.set((hash & ((1 << 48) - 1)) as f64);
        metrics.reload_ok.set(1.0);
        metrics.reloaded_at.set(as_seconds(self.now()).floor());
        metrics.receivers.set(config.receivers.len() as f64);
        metrics.inhibition_rules.set(config.inhibit_rules.len() as f64);
        for receiver in &config.receivers {
            metrics.integrations.with(&[&receiver.name]).set(receiver.integrations.len() as f64);
        }
    }

    fn notifier(&self, receiver: &str, position: usize) -> Option<Arc<Notifier>> {
        self.0.receivers.read().notifiers.get(receiver)?.get(position).cloned()
    }
}

/// Says what a configuration has that is without effect.
pub fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!(warning = %warning, "configuration");
    }
}

/// Why a silence was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// What was asked for cannot be done.
    #[error(transparent)]
    Silence(#[from] SilenceError),
    /// It cannot be stored.
    #[error("the silence cannot be stored: {0}")]
    Store(String),
}

/// A random UUID, version 4.
fn new_id() -> String {
    let random: u128 = rand::random();
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
