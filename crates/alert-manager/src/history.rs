//! What has happened: alerts, notifications, silences, in an append log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::TimestampNs;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sys::Fs;
use wal::{Wal, WalError, WalOptions};

/// How long events are kept, in ns: 90 days.
const RETENTION_NS: i64 = 90 * 86_400 * 1_000_000_000;
/// The unit in which old events go.
const SEGMENT_BYTES: u64 = 4 << 20;
/// The most bytes of events.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// An alert began to fire.
    AlertFiring {
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// The hash of its labels.
        fingerprint: String,
    },
    /// An alert ended.
    AlertResolved {
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// The hash of its labels.
        fingerprint: String,
    },
    /// A notification went out, or was given up.
    Notification {
        /// The receiver.
        receiver: String,
        /// The kind of integration.
        integration: String,
        /// The group's key.
        group_key: String,
        /// Why it was sent.
        reason: String,
        /// How many alerts it told as firing.
        firing: usize,
        /// How many alerts it told as resolved.
        resolved: usize,
        /// How many attempts it took.
        attempts: u32,
        /// How long it took, in ms.
        took_ms: u64,
        /// The provider's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
        /// Why a plain message was sent instead of the template's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template_error: Option<String>,
        /// Why it was given up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A notification was given up for good.
    NotificationLost {
        /// The receiver.
        receiver: String,
        /// The kind of integration.
        integration: String,
        /// The group's key.
        group_key: String,
        /// How many alerts it told as firing.
        firing: usize,
        /// How many alerts it told as resolved.
        resolved: usize,
        /// How many attempts were made.
        attempts: u32,
        /// Why.
        error: String,
    },
    /// Somebody has taken an alert on.
    Acknowledged {
        /// The alert's hash.
        fingerprint: String,
        /// The alert's labels.
        labels: BTreeMap<String, String>,
        /// Who.
        owner: String,
        /// What is said about it.
        comment: String,
        /// Until when, in ns since the epoch.
        expires_at: TimestampNs,
    },
    /// An acknowledgement was taken back.
    AcknowledgementRemoved {
        /// The alert's hash.
        fingerprint: String,
    },
    /// A silence was made or changed.
    SilenceChanged {
        /// Its id.
        id: String,
        /// What it mutes.
        #[serde(default)]
        matchers: Vec<String>,
        /// Who.
        created_by: String,
        /// Why.
        comment: String,
        /// Until when, in ns since the epoch.
        ends_at: TimestampNs,
    },
}

/// An event with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// When, in ns since the epoch.
    pub at: TimestampNs,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

/// The log.
#[derive(Debug)]
pub struct History {
    wal: Wal,
    /// For some sequence numbers, when they were appended: for finding times and for forgetting.
    marks: Mutex<BTreeMap<u64, TimestampNs>>,
}

/// A mark is kept for every so many events.
const MARK_EVERY: u64 = 256;

impl History {
    /// Opens the log. Blocks.
    pub fn open(dir: &Path, fs: Arc<dyn Fs>) -> Result<Self, WalError> {
        let mut marks = BTreeMap::new();
        let options = WalOptions { segment_bytes: SEGMENT_BYTES, ..WalOptions::default() };
        let mut take = |seq: u64, payload: &[u8]| {
            if (seq.is_multiple_of(MARK_EVERY) || marks.is_empty())
                && let Ok(event) = serde_json::from_slice::<HistoryEvent>(payload)
            {
                marks.insert(seq, event.at);
            }
        };
        let (wal, _report) = Wal::open(fs, dir, options, &mut take)?;
        Ok(Self { wal, marks: Mutex::new(marks) })
    }

    /// Appends an event. Blocks for a write.
    pub fn record(&self, event: &HistoryEvent) -> Result<(), WalError> {
        // Only a map with keys that are no text could fail to be written, and there are none.
        let payload = serde_json::to_vec(event).unwrap_or_default();
        let seq = self.wal.append(&payload)?;
        if seq.is_multiple_of(MARK_EVERY) {
            self.marks.lock().insert(seq, event.at);
        }
        Ok(())
    }

    /// The newest events from `from` to `to`, newest first, at most `limit`. Blocks.
    pub fn query(
        &self,
        from: TimestampNs,
        to: TimestampNs,
        limit: usize,
    ) -> Result<Vec<HistoryEvent>, WalError> {
        let marks = self.marks.lock();
        let start = marks.iter().take_while(|(_, at)| **at < from).last().map_or(0, |(seq, _)| *seq);
        drop(marks);
        let mut reader = self.wal.reader(start);
        let mut events = std::collections::VecDeque::new();
        while let Some(record) = reader.read_next()? {
            let Ok(event) = serde_json::from_slice::<HistoryEvent>(&record.payload) else {
                continue;
            };
            if (from..=to).contains(&event.at) {
                events.push_back(event);
                if events.len() > limit {
                    events.pop_front();
                }
            }
        }
        Ok(events.into_iter().rev().collect())
    }

    /// Makes what was appended durable. Blocks.
    pub fn sync(&self) -> Result<(), WalError> {
        self.wal.sync()
    }

    /// Forgets events that are too old or too many. Blocks.
    pub fn truncate(&self, now: TimestampNs) -> Result<(), WalError> {
        let mut marks = self.marks.lock();
        let too_large = self.wal.stats().segment_bytes > LOG_BYTES_MAX;
        let middle = marks.keys().nth(marks.len() / 10).copied().filter(|_| too_large);
        let old = marks.iter().take_while(|(_, at)| **at < now - RETENTION_NS).last().map(|(seq, _)| *seq);
        if let Some(seq) = old.max(middle) {
            self.wal.truncate_before(seq)?;
            *marks = marks.split_off(&seq);
        }
        Ok(())
    }
}
