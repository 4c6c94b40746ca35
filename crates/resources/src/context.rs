//! The context of one request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Matcher, TenantId};

use crate::{CancelToken, CpuClass, CpuPools, Interrupted, MemoryBudget};

/// Identifies a running query, in the list of active queries, in logs and over gRPC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryId(pub Arc<str>);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: authentication is off.
    Anonymous,
    /// A user or a token, by name.
    User(Arc<str>),
    /// Watchbell itself: rules, compaction, self-monitoring.
    Internal,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User(name) => f.write_str(name),
            Self::Internal => f.write_str("internal"),
        }
    }
}

/// Everything that a read or a write has to know of its request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Whose data.
    pub tenant: TenantId,
    /// Who asks.
    pub principal: Principal,
    /// Matchers that every selector of the request gets beside its own: a site that may see only its own data.
    pub enforced_matchers: Arc<[Matcher]>,
    /// How much time was left when the request was made; carried over gRPC. Passing it cancels the request.
    pub timeout: Option<Duration>,
    /// Set when the request has ended.
    pub cancel: CancelToken,
    /// What the request's memory is taken from.
    pub memory: MemoryBudget,
    /// Which pool its CPU work runs on.
    pub cpu_class: CpuClass,
    /// The pools.
    pub cpu: CpuPools,
    /// The request's id.
    pub query_id: QueryId,
}

impl RequestContext {
    /// A context of Watchbell's own work: every right, no deadline, memory from `memory`.
    pub fn internal(cpu_class: CpuClass, cpu: CpuPools, memory: MemoryBudget) -> Self {
        Self {
            tenant: TenantId::anonymous(),
            principal: Principal::Internal,
            enforced_matchers: Arc::new([]),
            timeout: None,
            cancel: CancelToken::new(),
            memory,
            cpu_class,
            cpu,
            query_id: QueryId("internal".into()),
        }
    }

    /// A context for tests: one thread, no limits.
    pub fn for_tests() -> Self {
        Self::internal(CpuClass::Query, CpuPools::inline(), MemoryBudget::unlimited("test"))
    }

    /// The error to stop with, once the request has ended. Call it at least every 10 ms of CPU work.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.cancel.check()
    }
}
