//! What the parts of the server share.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;

use alert_sender::AlertSender;
use parking_lot::RwLock;
use resources::{CpuClass, RequestContext};
use service::{Contexts, Lifecycle, Readiness};
use sys::Clock;
use tokio::sync::Semaphore;

use crate::api::{MessageBuffers, Notifications, Queries};
use crate::config::LoadedConfig;
use crate::flags::Flags;
use crate::metrics::Metrics;
use crate::query_log::QueryLog;
use crate::remote_storage::RemoteStorage;
use crate::rule_manager::{RuleEnv, RuleManager};
use crate::scrape::ScrapeManager;

/// The server's parts.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) flags: Arc<Flags>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) contexts: Contexts,
    /// For the server's own work: scraping and rules.
    pub(crate) internal: RequestContext,
    /// Set once the log has been replayed.
    pub(crate) db: Arc<OnceLock<Arc<tsdb::Db>>>,
    pub(crate) replay: Arc<tsdb::ReplayProgress>,
    pub(crate) engine: promql::Engine,
    /// The step of subqueries that name none, in ms: the evaluation interval.
    pub(crate) subquery_step_ms: Arc<AtomicI64>,
    pub(crate) query_slots: Arc<Semaphore>,
    pub(crate) read_slots: Arc<Semaphore>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) query_log: Arc<QueryLog>,
    pub(crate) notifications: Arc<Notifications>,
    pub(crate) config: RwLock<Arc<LoadedConfig>>,
    /// When the configuration was loaded last, in ms, and whether the last attempt worked.
    pub(crate) config_loaded: RwLock<(i64, bool)>,
    /// For requests of remote write.
    pub(crate) write_buffers: Arc<MessageBuffers>,
    pub(crate) scrape: Arc<ScrapeManager>,
    pub(crate) rules: RuleManager,
    pub(crate) remote: RemoteStorage,
    pub(crate) alerts: Arc<AlertSender>,
    pub(crate) metrics: Metrics,
    pub(crate) external_url: String,
    pub(crate) started_ms: i64,
}

impl State {
    /// The store, once it is open.
    pub(crate) fn store(&self) -> Option<Arc<tsdb::Db>> {
        self.db.get().filter(|_| self.lifecycle.readiness() == Readiness::Ready).cloned()
    }

    /// What rule groups work with.
    pub(crate) fn rule_env(&self, db: Arc<tsdb::Db>) -> RuleEnv {
        let mut ctx = self.internal.clone();
        ctx.cpu_class = CpuClass::Ingest;
        RuleEnv {
            db,
            engine: self.engine.clone(),
            ctx,
            clock: Arc::clone(&self.clock),
            sender: Arc::clone(&self.alerts),
            external_url: self.external_url.clone(),
            query_log: Arc::clone(&self.query_log),
            query_log_failures: self.metrics.query_log_failures.clone(),
        }
    }
}
