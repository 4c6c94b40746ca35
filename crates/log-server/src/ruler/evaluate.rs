//! Expressions of rules over the log store.

use std::sync::Arc;
use std::time::Duration;

use log_storage_api::LogStore;
use logql::{Engine, EngineLimits, MetricAnswer};
use logql_syntax::parse_metric;
use model::{Labels, TenantId, TimestampMs};
use resources::{CancelReason, CpuClass, CpuPools, MemoryBudget, RequestContext};
use rules::RuleValue;

use crate::tenants::TenantLimits;

/// Evaluates rules' expressions for one tenant.
#[derive(Clone, Debug)]
pub(crate) struct LogqlEngine {
    store: Arc<dyn LogStore>,
    limits: Arc<TenantLimits>,
    memory: MemoryBudget,
    cpu: CpuPools,
    tenant: TenantId,
}

impl LogqlEngine {
    pub(crate) fn new(
        store: Arc<dyn LogStore>,
        limits: Arc<TenantLimits>,
        memory: MemoryBudget,
        cpu: CpuPools,
    ) -> Self {
        Self { store, limits, memory, cpu, tenant: TenantId::anonymous() }
    }

    pub(crate) fn for_tenant(&self, tenant: &TenantId) -> Self {
        Self { tenant: tenant.clone(), ..self.clone() }
    }
}

impl rules::Engine for LogqlEngine {
    fn query(&self, expr: &str, at_ms: TimestampMs) -> Result<Vec<(Labels, RuleValue)>, String> {
        let expr = parse_metric(expr).map_err(|error| error.to_string())?;
        let limits = self.limits.of(&self.tenant);
        let mut ctx = RequestContext::internal(CpuClass::Ingest, self.cpu.clone(), self.memory.clone());
        ctx.tenant = self.tenant.clone();
        let _deadline = Deadline::start(&ctx, limits.query_timeout);
        let engine = Engine::new(EngineLimits { series_max: limits.query_series_max });
        let time = at_ms.saturating_mul(1_000_000);
        let (answer, _) =
            engine.instant(&ctx, &*self.store, &expr, time).map_err(|error| error.to_string())?;
        Ok(match answer {
            MetricAnswer::Scalar(point) => vec![(Labels::empty(), RuleValue::Float(point.value))],
            MetricAnswer::Vector(points) => {
                points.into_iter().map(|(labels, point)| (labels, RuleValue::Float(point.value))).collect()
            }
            // An instant query has no other answers.
            MetricAnswer::Matrix(_) => Vec::new(),
        })
    }
}

/// Cancels a context when its time is up, from the runtime's timer.
struct Deadline(Option<tokio::task::JoinHandle<()>>);

impl Deadline {
    fn start(ctx: &RequestContext, timeout: Duration) -> Self {
        let cancel = ctx.cancel.clone();
        let timer = tokio::runtime::Handle::try_current().ok().map(|runtime| {
            runtime.spawn(async move {
                tokio::time::sleep(timeout).await;
                cancel.cancel(CancelReason::TimedOut);
            })
        });
        Self(timer)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(timer) = &self.0 {
            timer.abort();
        }
    }
}
