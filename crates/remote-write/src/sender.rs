//! A sender: shards with bounded queues towards one server.

mod batch;
mod delivery;
mod rates;
mod shard;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use http_client::{ClientOptions, HttpClient, HttpClientError};
use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, TimestampMs};
use parking_lot::RwLock;
use sys::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{ProtocolVersion, RemoteWriteConfig};
use crate::metrics::{Metrics, SenderMetrics};
use delivery::Delivery;
use rates::Rates;
use shard::Shard;

/// How often the number of shards is thought over.
const RESHARD_INTERVAL: Duration = Duration::from_secs(10);
/// Room that is asked for in vain this long gives the caller a chance to stop.
const PUSH_PATIENCE: Duration = Duration::from_millis(200);

/// What a sender needs of its service.
#[derive(Clone, Debug)]
pub struct SenderEnv {
    /// How it names itself and reaches others.
    pub client: ClientOptions,
    /// What it counts in.
    pub metrics: Metrics,
    /// The wall clock, for the age of samples.
    pub clock: Arc<dyn Clock>,
}

/// One thing to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which series it belongs to, stable while the sender lives: what belongs to one series keeps its order.
    pub series: u64,
    /// The series' labels, as they are to be sent.
    pub labels: Labels,
    /// What its family is, where that is known.
    pub metadata: Option<Arc<MetricMetadata>>,
    /// The value.
    pub value: OutgoingValue,
}

/// A sample, a histogram or an exemplar.
#[derive(Clone, Debug)]
pub enum OutgoingValue {
    /// A float sample.
    Sample(TimestampMs, f64),
    /// A native histogram.
    Histogram(TimestampMs, Arc<FloatHistogram>),
    /// An exemplar.
    Exemplar(Exemplar),
}

impl OutgoingValue {
    /// Samples, histograms and exemplars are counted apart, in this order.
    pub(crate) fn kind(&self) -> usize {
        match self {
            Self::Sample(..) => 0,
            Self::Histogram(..) => 1,
            Self::Exemplar(_) => 2,
        }
    }

    pub(crate) fn timestamp(&self) -> TimestampMs {
        match self {
            Self::Sample(timestamp, _) | Self::Histogram(timestamp, _) => *timestamp,
            Self::Exemplar(exemplar) => exemplar.timestamp,
        }
    }
}

/// A queue that cannot take more now, or never again.
#[derive(Debug)]
pub enum PushError {
    /// Full for a while: try again with what is given back.
    Full(Box<Outgoing>),
    /// The sender stops.
    Stopped,
}

/// Sends to one server until it is stopped.
#[derive(Debug)]
pub struct RemoteWriter {
    core: Arc<Core>,
    tasks: parking_lot::Mutex<JoinSet<()>>,
}

/// What the tasks of a sender share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: RemoteWriteConfig,
    pub(crate) metrics: SenderMetrics,
    pub(crate) clock: Arc<dyn Clock>,
    delivery: Delivery,
    shards: RwLock<Vec<Arc<Shard>>>,
    /// Set while shards are replaced: what comes then waits.
    resharding: AtomicBool,
    pub(crate) rates: Rates,
    stop: watch::Sender<bool>,
    highest_queued: AtomicI64,
    /// Batches up to this sequence were possibly sent before the last stop.
    repeats_until: u64,
}

impl RemoteWriter {
    /// Starts the sender's tasks on the present runtime. What is pushed with a sequence below `repeats_until` may have been
    /// sent before: where the server refuses a batch of it, its parts are tried.
    ///
    /// # Errors
    /// Where a certificate or a secret cannot be read.
    pub fn start(
        config: RemoteWriteConfig,
        env: &SenderEnv,
        repeats_until: u64,
    ) -> Result<Self, HttpClientError> {
        let client = HttpClient::new(config.client.clone(), env.client.clone())?;
        let metrics = env.metrics.of(&config);
        let core = Arc::new(Core {
            delivery: Delivery::new(client, config.clone()),
            metrics,
            clock: Arc::clone(&env.clock),
            shards: RwLock::default(),
            resharding: AtomicBool::new(false),
            rates: Rates::default(),
            stop: watch::Sender::new(false),
            highest_queued: AtomicI64::new(0),
            repeats_until,
            config,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(drive(Arc::clone(&core)));
        core.start_shards(core.config.queue.min_shards);
        Ok(Self { core, tasks: parking_lot::Mutex::new(tasks) })
    }

    /// The configuration.
    pub fn config(&self) -> &RemoteWriteConfig {
        &self.core.config
    }

    /// Whether the sender sends such a value at all; what it does not send counts as dropped.
    pub fn wants(&self, value: &OutgoingValue) -> bool {
        let config = &self.core.config;
        match value {
            OutgoingValue::Sample(..) => true,
            OutgoingValue::Exemplar(_) => config.send_exemplars,
            OutgoingValue::Histogram(_, histogram) => {
                let unknown_there = histogram.uses_custom_buckets() && config.version == ProtocolVersion::V1;
                if config.send_native_histograms && unknown_there {
                    self.core.metrics.drop(1, "nhcb_in_rw1_not_supported", 1);
                }
                config.send_native_histograms && !unknown_there
            }
        }
    }

    /// Counts what is not sent because relabelling dropped its series, or because its series is not known.
    pub fn count_dropped(&self, value: &OutgoingValue, is_known: bool) {
        let reason = if is_known { "dropped_series" } else { "unintentionally_dropped_series" };
        self.core.metrics.drop(value.kind(), reason, 1);
        self.core.rates.note_dropped();
    }

    /// Puts a value into its shard; waits a little where that is full. Blocks. `sequence` never falls.
    ///
    /// # Errors
    /// Where there is no room yet, or the sender stops.
    pub fn push(&self, sequence: u64, item: Outgoing) -> Result<(), PushError> {
        let core = &self.core;
        let (kind, timestamp) = (item.value.kind(), item.value.timestamp());
        if *core.stop.borrow() {
            return Err(PushError::Stopped);
        }
        if core.resharding.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
            return Err(PushError::Full(Box::new(item)));
        }
        let shard = {
            let shards = core.shards.read();
            let Some(shard) = shards.get((item.series % shards.len().max(1) as u64) as usize) else {
                return Err(PushError::Stopped);
            };
            Arc::clone(shard)
        };
        if let Err(item) = shard.push(sequence, item, core.config.queue.capacity, PUSH_PATIENCE) {
            core.metrics.enqueue_retries.inc();
            return Err(PushError::Full(item));
        }
        core.metrics.pending[kind].inc();
        core.rates.note_in();
        if core.highest_queued.fetch_max(timestamp, Ordering::Relaxed) < timestamp {
            core.metrics.highest_queued.set(timestamp as f64 / 1000.0);
        }
        Ok(())
    }

    /// Everything with a lower sequence is done: sent, or dropped for good. `None` where nothing waits.
    pub fn oldest_pending(&self) -> Option<u64> {
        self.core.shards.read().iter().filter_map(|shard| shard.oldest()).min()
    }

    /// Sends what metric families are, where the configuration wants that.
    pub async fn send_metadata(&self, families: &[(String, MetricMetadata)]) {
        let core = &self.core;
        if core.config.version == ProtocolVersion::V2 || !core.config.metadata.send {
            return;
        }
        for part in families.chunks(core.config.metadata.max_samples_per_send) {
            let count = part.len() as u64;
            match core.delivery.send_metadata(part, core.stop.subscribe()).await {
                Ok(bytes) => {
                    core.metrics.total[3].add(count);
                    core.metrics.metadata_bytes.add(bytes);
                }
                Err(reason) => {
                    core.metrics.failed[3].add(count);
                    tracing::error!(remote = core.config.name, reason, "metadata could not be sent");
                }
            }
        }
    }

    /// Sends what waits, at most until the deadline is over; what is left stays unsent.
    pub async fn stop(&self, deadline: Duration) {
        let shards = self.core.shards.read().clone();
        self.core.stop.send_replace(true);
        shards.iter().for_each(|shard| shard.close());
        let ended = async {
            for shard in &shards {
                shard.ended().await;
            }
        };
        tokio::time::timeout(deadline, ended).await.ok();
        shards.iter().for_each(|shard| shard.abort());
        self.tasks.lock().abort_all();
    }
}

impl Core {
    fn start_shards(self: &Arc<Self>, count: usize) {
        let started: Vec<Arc<Shard>> = (0..count).map(|_| Shard::start(Arc::clone(self))).collect();
        *self.shards.write() = started;
        self.metrics.shards.set(count as f64);
    }

    /// Lets all shards send what they hold, then replaces them.
    async fn reshard(self: &Arc<Self>, count: usize) {
        let mut stop = self.stop.subscribe();
        self.resharding.store(true, Ordering::Release);
        let shards = self.shards.read().clone();
        shards.iter().for_each(|shard| shard.close());
        let ended = async {
            for shard in &shards {
                shard.ended().await;
            }
        };
        tokio::select! {
            () = ended => self.start_shards(count),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.resharding.store(false, Ordering::Release);
    }
}

/// Keeps the number of shards in step with the load.
async fn drive(core: Arc<Core>) {
    let mut stop = core.stop.subscribe();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(RESHARD_INTERVAL) => {}
        }
        let queue = core.config.queue;
        let present = core.shards.read().len();
        let pending: usize = core.shards.read().iter().map(|shard| shard.len()).sum();
        let desired = core.rates.desired_shards(RESHARD_INTERVAL, present, pending);
        core.metrics.shards_desired.set(desired);
        let wanted = (desired.ceil() as usize).clamp(queue.min_shards, queue.max_shards);
        // Small changes are not worth the pause, and a server that does not answer is no reason for more.
        let is_near = (0.7..=1.3).contains(&(wanted as f64 / present.max(1) as f64));
        if wanted != present && !is_near && core.rates.has_sent_lately() {
            tracing::info!(remote = core.config.name, from = present, to = wanted, "shards change");
            core.reshard(wanted).await;
        }
    }
}
