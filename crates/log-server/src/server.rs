//! What all endpoints share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use log_store::DiskLogStore;
use logql::{Engine, EngineLimits};
use model::{ErrorCode, TenantId};
use parking_lot::RwLock;
use resources::RequestContext;
use service::{Contexts, Lifecycle, RequestScope};
use tokio::sync::Semaphore;

use crate::config::{Limits, LoadedConfig};
use crate::error::ApiError;
use crate::ingest::Ingester;
use crate::ruler::Ruler;
use crate::tenants::TenantLimits;

/// The state behind the API.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) ingester: Arc<Ingester>,
    /// What of the store the interface that it shares with others has not: deletes, flushes.
    pub(crate) store: Arc<DiskLogStore>,
    pub(crate) contexts: Contexts,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) limits: Arc<TenantLimits>,
    pub(crate) loaded: RwLock<Arc<LoadedConfig>>,
    pub(crate) ruler: Arc<Ruler>,
    /// Queries that may run at a time; more wait.
    pub(crate) queries: Semaphore,
    /// Tails that are open.
    pub(crate) tails: AtomicUsize,
}

impl Server {
    pub(crate) fn limits_of(&self, tenant: &TenantId) -> Arc<Limits> {
        self.limits.of(tenant)
    }

    pub(crate) fn engine(&self, limits: &Limits) -> Engine {
        Engine::new(EngineLimits { series_max: limits.query_series_max })
    }

    pub(crate) fn now_ns(&self) -> i64 {
        self.ingester.clock.now_ns()
    }

    /// Runs a query's work on a thread that may block, one of so many at a time. It ends when the client leaves or the time
    /// is over.
    pub(crate) async fn run_query<T: Send + 'static>(
        &self,
        scope: RequestScope,
        work: impl FnOnce(&RequestContext) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let ctx = scope.context.clone();
        scope
            .run(async {
                // The semaphore is never closed.
                let _turn = self.queries.acquire().await.ok();
                blocking(move || work(&ctx)).await
            })
            .await
    }
}

/// Runs work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::new(ErrorCode::Internal, format!("the request's work ended: {error}"))),
    }
}
