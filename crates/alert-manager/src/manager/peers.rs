//! What this member shares with its peers.

use std::time::Duration;

use model::TimestampNs;

use super::Manager;
use crate::cluster::{Change, Cluster, Ledger};
use crate::letter::Letter;
use crate::notification_log::{LogEntry, says_all};
use crate::silences::Silence;
use crate::state::Changes;

impl Manager {
    /// The peers; none where it works alone.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.0.cluster.as_ref()
    }

    pub(super) fn tell_peers(&self, change: Change) {
        if let Some(cluster) = self.cluster() {
            cluster.tell(change);
        }
    }

    /// Waits until it is this member's turn; gives how long that was, in ns. None where the service stops meanwhile.
    pub(super) async fn wait_for_peers(&self, letter: &Letter) -> Option<i64> {
        let (Some(cluster), false) = (self.cluster(), letter.alerts.is_empty()) else {
            return Some(0);
        };
        let began = self.0.clock.monotonic();
        let turn = async {
            cluster.settled().await;
            let turn = cluster.turn();
            if turn > Duration::ZERO {
                tokio::time::sleep(turn).await;
            }
        };
        tokio::select! {
            () = turn => {}
            () = self.0.lifecycle.stopping().cancelled() => return None,
        }
        let waited = self.0.clock.monotonic().saturating_sub(began);
        Some(i64::try_from(waited.as_nanos()).unwrap_or(i64::MAX))
    }

    /// What is still news of what has come.
    fn news(&self, changes: Vec<Change>) -> Changes {
        let (now, retention_ns) = (self.now(), self.0.settings.retention_ns);
        let mut news = Changes::default();
        let dispatcher = self.dispatcher();
        for change in changes {
            match change {
                Change::Silence(silence) => {
                    if silence.ends_at.saturating_add(retention_ns) > now
                        && dispatcher.silences.is_news(&silence)
                    {
                        news.silences.push(silence);
                    }
                }
                Change::Told(entry) => {
                    if entry.expires_at > now && dispatcher.log.is_news(&entry) {
                        news.entries.push(entry);
                    }
                }
                Change::Ack(ack) => {
                    if ack.expires_at > now && dispatcher.acks.is_news(&ack) {
                        news.acks.push(ack);
                    }
                }
                Change::LinkKey(key) => {
                    if self.0.link_keys.read().is_news(&key, now) {
                        news.link_keys.push(key);
                    }
                }
            }
        }
        drop(dispatcher);
        let outbox = self.0.outbox.lock();
        let has_arrived = |entry: &&LogEntry| {
            outbox.get(&entry.key).is_some_and(|parcel| {
                parcel.letter.at <= entry.timestamp && says_all(entry, &parcel.letter.entry)
            })
        };
        news.arrived = news.entries.iter().filter(has_arrived).map(|entry| entry.key.clone()).collect();
        news
    }
}

impl Ledger for Manager {
    fn snapshot(&self) -> Vec<Change> {
        let now = self.now();
        let dispatcher = self.dispatcher();
        let is_kept = |silence: &&Silence| silence.ends_at.saturating_add(self.0.settings.retention_ns) > now;
        let is_valid = |expires_at: TimestampNs| expires_at > now;
        let silences = dispatcher.silences.iter().filter(is_kept).cloned().map(Change::Silence);
        let entries = dispatcher.log.iter().filter(|entry| is_valid(entry.expires_at)).cloned();
        let acks = dispatcher.acks.iter().filter(|ack| is_valid(ack.expires_at)).cloned();
        let keys = self.0.link_keys.read().shared(now).into_iter().map(Change::LinkKey);
        silences.chain(entries.map(Change::Told)).chain(acks.map(Change::Ack)).chain(keys).collect()
    }

    async fn merge(&self, changes: Vec<Change>) {
        let _change = self.0.silence_changes.lock().await;
        let news = self.news(changes);
        if news.is_empty() {
            return;
        }
        let (state, stored) = (self.0.state.clone(), news.clone());
        let storing = tokio::task::spawn_blocking(move || state.put_changes(&stored)).await;
        if let Ok(Err(error)) = &storing {
            // It is known all the same, and peers bring it again after a restart.
            tracing::error!(error = service::error_chain(error), "what a peer has told cannot be stored");
        }
        {
            let mut outbox = self.0.outbox.lock();
            for key in &news.arrived {
                outbox.remove(key);
            }
        }
        news.silences.iter().for_each(|silence| self.note_silence(silence));
        {
            let (mut keys, now) = (self.0.link_keys.write(), self.now());
            news.link_keys.into_iter().for_each(|key| keys.merge(key, now));
        }
        let mut dispatcher = self.dispatcher();
        for silence in news.silences {
            dispatcher.silences.merge(silence);
        }
        for entry in news.entries {
            dispatcher.log.merge(entry);
        }
        dispatcher.acks.apply(news.acks);
        for key in news.arrived {
            dispatcher.settle(&key);
        }
    }
}
