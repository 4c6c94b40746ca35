//! One scrape: host and container metrics and the agent's own, as one page.

use std::sync::Arc;

use telemetry::{Format, Registry};

use crate::containers::ContainerCollectors;
use crate::host::{CollectorSelection, HostCollectors};
use crate::page::Page;

/// How many scrapes run at the same time; more wait.
const SCRAPES_MAX: usize = 4;

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub(crate) struct Exporter {
    host: Arc<HostCollectors>,
    containers: Arc<ContainerCollectors>,
    own: Registry,
    running: tokio::sync::Semaphore,
}

impl Exporter {
    pub(crate) fn new(host: HostCollectors, containers: Arc<ContainerCollectors>, own: Registry) -> Self {
        Self { host: Arc::new(host), containers, own, running: tokio::sync::Semaphore::new(SCRAPES_MAX) }
    }

    /// Collects what `selection` asks for and renders it. The container metrics and the agent's own are there only where no
    /// host collector is asked for by name.
    pub(crate) async fn scrape(&self, selection: CollectorSelection, format: Format) -> String {
        let _permit = self.running.acquire().await;
        if let Some(name) = self.containers.inventory().host_name.clone() {
            self.host.set_nodename(name);
        }
        let whole = selection.only.is_empty();
        let host = Arc::clone(&self.host);
        let collected = tokio::task::spawn_blocking(move || {
            let mut page = Page::new();
            host.collect(&selection, &mut page);
            page
        });
        let mut page = collected.await.unwrap_or_default();
        if whole {
            page = self.containers.collect(page).await;
        }
        let own = whole.then(|| self.own.clone());
        let rendered = tokio::task::spawn_blocking(move || {
            let own = own.map_or_else(String::new, |registry| registry.render(format));
            page.render(format, &own)
        });
        rendered.await.unwrap_or_default()
    }
}
