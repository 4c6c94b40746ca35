//! CPU pools by class: ingestion and rules before queries before background work.

use std::fmt;
use std::sync::Arc;

/// What kind of CPU work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuClass {
    /// Taking in samples and lines, and evaluating rules: what must never wait for the rest.
    Ingest,
    /// Somebody waits for the answer.
    Query,
    /// Compaction, merging, retention.
    Background,
}

/// A pool per class, or none at all (everything runs where it is called). Cheap to clone.
#[derive(Clone)]
pub struct CpuPools(Option<Arc<Pools>>);

struct Pools {
    ingest: rayon::ThreadPool,
    query: rayon::ThreadPool,
    background: rayon::ThreadPool,
}

impl CpuPools {
    /// Runs everything on the caller's thread: for tests and simulation.
    pub fn inline() -> Self {
        Self(None)
    }

    /// Pools for `cores` cores: as many threads for ingestion and for queries, one thread for background work.
    pub fn with_cores(cores: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = |name: &'static str, threads: usize| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(move |idx| format!("{name}-{idx}"))
                .build()
        };
        let cores = cores.max(1);
        let (ingest, query, background) =
            (pool("ingest", cores)?, pool("query", cores)?, pool("background", 1)?);
        Ok(Self(Some(Arc::new(Pools { ingest, query, background }))))
    }

    /// Runs `work` on the pool of `class` and waits for it; rayon's parallel iterators inside it use that pool.
    pub fn install<R: Send>(&self, class: CpuClass, work: impl FnOnce() -> R + Send) -> R {
        match self.pool(class) {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs `work` on the pool of `class` without waiting for it.
    pub fn spawn(&self, class: CpuClass, work: impl FnOnce() + Send + 'static) {
        match self.pool(class) {
            Some(pool) => pool.spawn(work),
            None => work(),
        }
    }

    /// How many threads the pool of `class` has; 1 where everything runs inline.
    pub fn threads(&self, class: CpuClass) -> usize {
        self.pool(class).map_or(1, rayon::ThreadPool::current_num_threads)
    }

    fn pool(&self, class: CpuClass) -> Option<&rayon::ThreadPool> {
        let pools = self.0.as_deref()?;
        Some(match class {
            CpuClass::Ingest => &pools.ingest,
            CpuClass::Query => &pools.query,
            CpuClass::Background => &pools.background,
        })
    }
}

impl fmt::Debug for CpuPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuPools({})", if self.0.is_some() { "threads" } else { "inline" })
    }
}
