//! What the handlers share.

use std::sync::Arc;

use parking_lot::RwLock;
use service::{Contexts, Lifecycle};
use state_store::StateStore;
use sys::Clock;
use tokio::sync::Semaphore;

use crate::attempts::Attempts;
use crate::dashboards::Dashboards;
use crate::options::Options;
use crate::sessions::Sessions;
use crate::status::Statuses;
use crate::upstream::Upstream;
use crate::users::Users;

/// The gateway's parts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gateway(pub(crate) Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: StateStore,
    pub(crate) users: Arc<Users>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) attempts: Attempts,
    /// A password hash takes 19 MiB and a core: so many at a time.
    pub(crate) hashing: Semaphore,
    pub(crate) dashboards: Arc<Dashboards>,
    pub(crate) contexts: Contexts,
    pub(crate) metrics: Upstream,
    pub(crate) logs: Upstream,
    pub(crate) alerts: Upstream,
    pub(crate) agents: Vec<Upstream>,
    pub(crate) statuses: Statuses,
    /// What is wrong with the dashboards' files, for the Status page.
    pub(crate) notices: RwLock<Vec<String>>,
}

impl std::ops::Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
