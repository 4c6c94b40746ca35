//! The connection to the server: what delivery asks of it, what it reports, and its health for people.

use std::sync::Arc;

use parking_lot::Mutex;

use super::delivery::Batch;

/// What a link is told.
#[derive(Debug)]
pub(super) enum LinkCommand {
    Connect,
    Send { sequence: u64, batch: Arc<Batch> },
}

/// Whether the server answers. Says so in the log when that changes, never per attempt: our own lines are read too.
#[derive(Debug, Default)]
pub(super) struct LinkHealth(Mutex<Option<String>>);

impl LinkHealth {
    /// It answers.
    pub(super) fn up(&self, server: &str) {
        if self.0.lock().take().is_some() {
            tracing::info!(server, "log server takes lines again");
        }
    }

    /// It does not.
    pub(super) fn down(&self, server: &str, error: &str) {
        let mut trouble = self.0.lock();
        if trouble.is_none() {
            tracing::warn!(server, error, "log server takes no lines, they wait here");
        }
        *trouble = Some(format!("log server {server} takes no lines: {error}"));
    }

    /// What is wrong at present.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.lock().clone()
    }
}
