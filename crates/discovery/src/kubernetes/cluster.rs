//! Listing the objects of one kind, then following their changes.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::Selector;
use super::objects::Kind;
use crate::api::Api;
use crate::meta::{items, text};
use crate::metrics::Metrics;

const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the server is asked to keep a watch open, in seconds.
const WATCH_SECONDS: &str = "300";
const WATCH_TIMEOUT: Duration = Duration::from_secs(330);
const RETRY: Duration = Duration::from_secs(5);
/// The longest line of a watch: one object.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Objects in one part of a list.
const PAGE: &str = "500";

/// What has become of objects.
#[derive(Debug)]
pub(super) enum Change {
    /// These are all.
    List { kind: Kind, namespace: Option<String>, items: Vec<Value>, is_first: bool },
    /// A new or changed one.
    Set { kind: Kind, object: Box<Value> },
    /// One that is gone.
    Remove { kind: Kind, object: Box<Value> },
}

impl Change {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::List { kind, .. } | Self::Set { kind, .. } | Self::Remove { kind, .. } => *kind,
        }
    }

    pub(super) fn namespace(&self) -> Option<&String> {
        match self {
            Self::List { namespace, .. } => namespace.as_ref(),
            Self::Set { .. } | Self::Remove { .. } => None,
        }
    }
}

/// Follows one kind, in one namespace or in all.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) api: Api,
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) selector: Option<Selector>,
    pub(super) metrics: Metrics,
    pub(super) changes: mpsc::Sender<Change>,
}

impl Follower {
    /// Runs until nobody listens any more.
    pub(super) async fn drive(self) {
        let mut is_first = true;
        while !self.changes.is_closed() {
            match self.list(is_first).await {
                Ok(version) => {
                    is_first = false;
                    if let Err(error) = self.watch(version).await {
                        self.failed(&error);
                        tokio::time::sleep(RETRY).await;
                    }
                }
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn failed(&self, error: &str) {
        self.metrics.kubernetes_failures.inc();
        self.metrics.refresh_failures.with(&["kubernetes"]).inc();
        tracing::error!(kind = self.kind.place().1, error, "cannot follow objects of kubernetes");
    }

    fn path(&self) -> String {
        let (group, name) = self.kind.place();
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{name}"),
            None => format!("{group}/{name}"),
        }
    }

    fn query<'q>(&'q self, more: &[(&'q str, &'q str)]) -> Vec<(&'q str, &'q str)> {
        let mut query = more.to_vec();
        if let Some(selector) = &self.selector {
            query.extend([("labelSelector", selector.label.as_str()), ("fieldSelector", &selector.field)]);
        }
        query.retain(|(_, value)| !value.is_empty());
        query
    }

    /// Sends all objects on; returns the version from which changes follow.
    async fn list(&self, is_first: bool) -> Result<String, String> {
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let query = self.query(&[("limit", PAGE), ("continue", &next)]);
            let (mut answer, _) = self.api.get(&self.path(), &query, LIST_TIMEOUT).await?;
            let version = text(&answer, "/metadata/resourceVersion").to_owned();
            let following = text(&answer, "/metadata/continue").to_owned();
            if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            if following.is_empty() {
                let (kind, namespace) = (self.kind, self.namespace.clone());
                self.changes.send(Change::List { kind, namespace, items: all, is_first }).await.ok();
                return Ok(version);
            }
            next = following;
        }
    }

    /// Follows changes; returns where a new list is needed.
    async fn watch(&self, mut version: String) -> Result<(), String> {
        while !self.changes.is_closed() {
            let query = self.query(&[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", WATCH_SECONDS),
                ("resourceVersion", &version),
            ]);
            let mut response = self.api.open(&self.path(), &query, WATCH_TIMEOUT).await?;
            let mut line = Vec::new();
            let mut seen = None;
            while let Some(chunk) = response.chunk().await.map_err(|error| error.chain())? {
                if !self.take_part(chunk.as_ref(), &mut line, &mut seen).await? {
                    return Ok(());
                }
            }
            if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
                version = seen;
            }
        }
        Ok(())
    }

    /// Takes the events that a part of the answer ends; `false` where the watch is of no more use and a list is needed.
    async fn take_part(
        &self,
        part: &[u8],
        line: &mut Vec<u8>,
        seen: &mut Option<String>,
    ) -> Result<bool, String> {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            let Some(event) = whole_event(line)? else { continue };
            match self.take(event).await {
                Some(version) => *seen = Some(version),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Sends a change on; returns the version that it stands for, or `None` where the watch is of no more use.
    async fn take(&self, mut event: Value) -> Option<String> {
        let object = Box::new(event.get_mut("object").map(Value::take).unwrap_or_default());
        let version = text(&object, "/metadata/resourceVersion").to_owned();
        let kind = self.kind;
        let change = match text(&event, "/type") {
            "ADDED" | "MODIFIED" => Change::Set { kind, object },
            "DELETED" => Change::Remove { kind, object },
            "BOOKMARK" => return Some(version),
            _ => {
                let reasons: Vec<&str> =
                    items(&object, "/details/causes").iter().map(|cause| text(cause, "/message")).collect();
                tracing::debug!(kind = kind.place().1, ?reasons, "watch ended by the server");
                return None;
            }
        };
        self.changes.send(change).await.ok()?;
        Some(version)
    }
}

/// Takes the event out of `line` where it is whole.
fn whole_event(line: &mut Vec<u8>) -> Result<Option<Value>, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("an object has more than {LINE_BYTES_MAX} bytes"));
    }
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    let event = serde_json::from_slice(line).map_err(|error| error.to_string());
    line.clear();
    event.map(Some)
}
