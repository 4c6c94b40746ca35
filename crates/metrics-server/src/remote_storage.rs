//! Sending on what is stored: for each entry of `remote_write` a reader of the log and a sender.

mod follow;
mod position;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, MetricMetadata};
use parking_lot::{Mutex, RwLock};
use remote_write::{RemoteWriteConfig, RemoteWriter, SenderEnv};
use telemetry::{Counter, Family, Gauge, Registry};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use follow::{Follow, REPEATS_UNTIL};
use position::PositionFile;

/// What targets say of their metrics, by family.
pub(crate) type Families = Arc<RwLock<Arc<BTreeMap<String, Arc<MetricMetadata>>>>>;
/// Gives what targets say of their metrics now.
pub(crate) type FamilySource = Arc<dyn Fn() -> BTreeMap<String, MetricMetadata> + Send + Sync>;

/// What readers of the log count.
#[derive(Clone, Debug)]
pub(crate) struct WatchMetrics {
    pub(super) segment: Family<Gauge>,
    pub(super) records: Family<Counter>,
    pub(super) damaged: Family<Counter>,
    pub(super) skipped: Family<Counter>,
}

/// All senders.
pub(crate) struct RemoteStorage {
    env: SenderEnv,
    metrics: WatchMetrics,
    flush_deadline: Duration,
    source: FamilySource,
    running: Mutex<BTreeMap<String, Running>>,
}

impl std::fmt::Debug for RemoteStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteStorage").field("running", &self.running.lock().keys()).finish_non_exhaustive()
    }
}

/// An entry at work.
struct Running {
    external: Labels,
    writer: Arc<RemoteWriter>,
    gone: CancellationToken,
    reader: JoinHandle<Follow>,
    metadata: JoinHandle<()>,
}

/// A sender that is ready and gets nothing yet.
#[derive(Debug)]
pub(crate) struct PreparedSender {
    external: Labels,
    writer: RemoteWriter,
}

impl WatchMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            segment: registry.gauge_family(
                "prometheus_wal_watcher_current_segment",
                "The segment of the log that is read.",
                &["consumer"],
            ),
            records: registry.counter_family(
                "prometheus_wal_watcher_records_read_total",
                "Records read from the log.",
                &["consumer", "type"],
            ),
            damaged: registry.counter_family(
                "prometheus_wal_watcher_record_decode_failures_total",
                "Records of the log that could not be read.",
                &["consumer"],
            ),
            skipped: registry.counter_family(
                "watchbell_wal_watcher_segments_skipped_total",
                "Segments that were folded away before they were read: their samples are not sent.",
                &["consumer"],
            ),
        }
    }
}

impl RemoteStorage {
    pub(crate) fn new(
        env: SenderEnv,
        metrics: WatchMetrics,
        flush_deadline: Duration,
        source: FamilySource,
    ) -> Self {
        Self { env, metrics, flush_deadline, source, running: Mutex::default() }
    }

    /// Makes senders for the entries that are new or changed. Blocks.
    ///
    /// # Errors
    /// Where a certificate or a secret cannot be read: nothing has changed then.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Vec<PreparedSender>, String> {
        let external = &config.global.external_labels;
        let changed: Vec<&RemoteWriteConfig> = {
            let running = self.running.lock();
            let stays = |entry: &&RemoteWriteConfig| !is_running(&running, entry, external);
            config.remote_write.iter().filter(stays).collect()
        };
        changed
            .into_iter()
            .map(|entry| {
                let writer = RemoteWriter::start(entry.clone(), &self.env, REPEATS_UNTIL)
                    .map_err(|error| format!("remote_write {:?}: {}", entry.name, error.chain()))?;
                Ok(PreparedSender { external: external.clone(), writer })
            })
            .collect()
    }

    /// Ends the senders that are gone or changed, and lets those begin that were prepared.
    pub(crate) async fn apply(&self, config: &Config, prepared: Vec<PreparedSender>, db: &Arc<tsdb::Db>) {
        let external = &config.global.external_labels;
        let (ended, forgotten) = {
            let mut running = self.running.lock();
            let stays = |name: &String, running: &BTreeMap<String, Running>| {
                config
                    .remote_write
                    .iter()
                    .any(|entry| entry.name == *name && is_running(running, entry, external))
            };
            let names: Vec<String> = running.keys().filter(|name| !stays(name, &running)).cloned().collect();
            let ended: Vec<Running> = names.iter().filter_map(|name| running.remove(name)).collect();
            let is_known = |name: &String| config.remote_write.iter().any(|entry| entry.name == *name);
            let forgotten: Vec<String> = names.iter().filter(|name| !is_known(name)).cloned().collect();
            (ended, forgotten)
        };
        for one in ended {
            self.end(one).await;
        }
        for name in forgotten {
            PositionFile::new(db.dir(), &name).forget();
        }
        for sender in prepared {
            let started = self.start(sender, db).await;
            let Some(started) = started else { continue };
            self.running.lock().insert(started.writer.config().name.clone(), started);
        }
    }

    /// Sends what waits and notes how far that came.
    pub(crate) async fn stop(&self) {
        let all = std::mem::take(&mut *self.running.lock());
        futures::future::join_all(all.into_values().map(|one| self.end(one))).await;
    }

    async fn end(&self, one: Running) {
        one.gone.cancel();
        one.metadata.abort();
        let Ok(mut follow) = one.reader.await else { return };
        one.writer.stop(self.flush_deadline).await;
        tokio::task::spawn_blocking(move || follow.save_position()).await.ok();
    }

    /// `None` only where the runtime is shutting down.
    async fn start(&self, sender: PreparedSender, db: &Arc<tsdb::Db>) -> Option<Running> {
        let PreparedSender { external, writer } = sender;
        let (writer, gone) = (Arc::new(writer), CancellationToken::new());
        let families = Families::default();
        let (making, shown) = (Arc::clone(&writer), Arc::clone(&families));
        let (labels, store) = (external.clone(), Arc::clone(db));
        // Its place in the log is taken before anything more is stored on behalf of this configuration.
        let making = tokio::task::spawn_blocking(move || Follow::new(making, labels, shown, &store));
        let follow = making.await.ok()?;
        let (reading, ended, metrics) = (Arc::clone(db), gone.clone(), self.metrics.clone());
        let reader = tokio::task::spawn_blocking(move || follow.drive(&reading, &ended, &metrics));
        let metadata = tokio::spawn(send_families(Arc::clone(&writer), Arc::clone(&self.source), families));
        Some(Running { external, writer, gone, reader, metadata })
    }
}

fn is_running(running: &BTreeMap<String, Running>, entry: &RemoteWriteConfig, external: &Labels) -> bool {
    let same = |one: &Running| one.writer.config() == entry && one.external == *external;
    running.get(&entry.name).is_some_and(same)
}

/// Takes what targets say of their metrics, again and again, and sends it where the protocol wants it apart.
async fn send_families(writer: Arc<RemoteWriter>, source: FamilySource, families: Families) {
    let interval = writer.config().metadata.send_interval;
    loop {
        let (asked, shown) = (Arc::clone(&source), Arc::clone(&families));
        let found = tokio::task::spawn_blocking(move || {
            let found = asked();
            let shared = found.iter().map(|(family, metadata)| (family.clone(), Arc::new(metadata.clone())));
            *shown.write() = Arc::new(shared.collect());
            found.into_iter().collect::<Vec<_>>()
        });
        if let Ok(found) = found.await
            && !found.is_empty()
        {
            writer.send_metadata(&found).await;
        }
        tokio::time::sleep(interval).await;
    }
}

/// The directory of the positions within the data directory.
fn directory(data: &Path) -> std::path::PathBuf {
    data.join("x-remote-write")
}
