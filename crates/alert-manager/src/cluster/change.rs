//! What peers tell one another: silences, notifications that have arrived, acknowledgements, what links are signed with.
//!
//! Protobuf. A change stands for itself, and of two about the same the later one stays (see `merge` of each), so that changes
//! may come in any order, more than once, or by another way.

use std::collections::BTreeMap;

use prost::Message;

use crate::acks::Ack;
use crate::link_keys::LinkKey;
use crate::notification_log::LogEntry;
use crate::silences::{Silence, SilenceMatcher};

/// The most bytes of one change.
pub const CHANGE_BYTES_MAX: usize = 4 << 20;

/// A change of what all peers know.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A silence, as it is now.
    Silence(Silence),
    /// Somebody was told.
    Told(LogEntry),
    /// An acknowledgement, as it is now.
    Ack(Ack),
    /// What a member signs links with. It goes with exchanges of everything only.
    LinkKey(LinkKey),
}

/// Why a change is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeReadError {
    /// It is no protobuf.
    #[error("a peer's change cannot be read")]
    Damaged(#[from] prost::DecodeError),
    /// It says nothing, or nothing that this version knows.
    #[error("a peer's change is of no known kind")]
    Unknown,
    /// It is too large.
    #[error("a peer's change has {0} bytes, at most {CHANGE_BYTES_MAX} are read")]
    TooLarge(usize),
}

#[derive(Clone, PartialEq, Message)]
struct WireMatcher {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bool, tag = "3")]
    is_regex: bool,
    #[prost(bool, tag = "4")]
    is_equal: bool,
}

#[derive(Clone, PartialEq, Message)]
struct WireSilence {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "2")]
    matchers: Vec<WireMatcher>,
    #[prost(sfixed64, tag = "3")]
    starts_at: i64,
    #[prost(sfixed64, tag = "4")]
    ends_at: i64,
    #[prost(sfixed64, tag = "5")]
    updated_at: i64,
    #[prost(string, tag = "6")]
    created_by: String,
    #[prost(string, tag = "7")]
    comment: String,
    #[prost(btree_map = "string, string", tag = "8")]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct WireEntry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(sfixed64, tag = "2")]
    timestamp: i64,
    #[prost(fixed64, repeated, tag = "3")]
    firing: Vec<u64>,
    #[prost(fixed64, repeated, tag = "4")]
    resolved: Vec<u64>,
    #[prost(sfixed64, tag = "5")]
    expires_at: i64,
    #[prost(btree_map = "string, string", tag = "6")]
    memory: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct WireAck {
    #[prost(fixed64, tag = "1")]
    fingerprint: u64,
    #[prost(btree_map = "string, string", tag = "2")]
    labels: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    owner: String,
    #[prost(string, tag = "4")]
    comment: String,
    #[prost(sfixed64, tag = "5")]
    at: i64,
    #[prost(sfixed64, tag = "6")]
    expires_at: i64,
    #[prost(bool, tag = "7")]
    is_withdrawn: bool,
}

#[derive(Clone, PartialEq, Message)]
struct WireLinkKey {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(sfixed64, tag = "2")]
    seen_at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WireChange {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Silence(WireSilence),
    #[prost(message, tag = "2")]
    Told(WireEntry),
    #[prost(message, tag = "3")]
    Ack(WireAck),
    #[prost(message, tag = "4")]
    LinkKey(WireLinkKey),
}

impl Change {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self.clone() {
            Self::Silence(silence) => Kind::Silence(wire_silence(silence)),
            Self::Told(entry) => Kind::Told(WireEntry {
                key: entry.key,
                timestamp: entry.timestamp,
                firing: entry.firing.into_iter().collect(),
                resolved: entry.resolved.into_iter().collect(),
                expires_at: entry.expires_at,
                memory: entry.memory,
            }),
            Self::Ack(ack) => Kind::Ack(WireAck {
                fingerprint: ack.fingerprint,
                labels: ack.labels,
                owner: ack.owner,
                comment: ack.comment,
                at: ack.at,
                expires_at: ack.expires_at,
                is_withdrawn: ack.is_withdrawn,
            }),
            Self::LinkKey(LinkKey { key, seen_at }) => Kind::LinkKey(WireLinkKey { key, seen_at }),
        };
        WireChange { kind: Some(kind) }.encode_to_vec()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChangeReadError> {
        if bytes.len() > CHANGE_BYTES_MAX {
            return Err(ChangeReadError::TooLarge(bytes.len()));
        }
        Ok(match WireChange::decode(bytes)?.kind.ok_or(ChangeReadError::Unknown)? {
            Kind::Silence(silence) => Self::Silence(read_silence(silence)),
            Kind::Told(entry) => Self::Told(LogEntry {
                key: entry.key,
                timestamp: entry.timestamp,
                firing: entry.firing.into_iter().collect(),
                resolved: entry.resolved.into_iter().collect(),
                expires_at: entry.expires_at,
                memory: entry.memory,
            }),
            Kind::Ack(ack) => Self::Ack(Ack {
                fingerprint: ack.fingerprint,
                labels: ack.labels,
                owner: ack.owner,
                comment: ack.comment,
                at: ack.at,
                expires_at: ack.expires_at,
                is_withdrawn: ack.is_withdrawn,
            }),
            Kind::LinkKey(WireLinkKey { key, seen_at }) => Self::LinkKey(LinkKey { key, seen_at }),
        })
    }

    /// What it is about: a later change of the same takes its place.
    pub fn subject(&self) -> String {
        match self {
            Self::Silence(silence) => format!("s{}", silence.id),
            Self::Told(entry) => format!("t{}", entry.key),
            Self::Ack(ack) => format!("a{:016x}", ack.fingerprint),
            Self::LinkKey(LinkKey { key, .. }) => format!("k{key}"),
        }
    }
}

fn wire_silence(silence: Silence) -> WireSilence {
    let matcher = |one: SilenceMatcher| WireMatcher {
        name: one.name,
        value: one.value,
        is_regex: one.is_regex,
        is_equal: one.is_equal,
    };
    WireSilence {
        id: silence.id,
        matchers: silence.matchers.into_iter().map(matcher).collect(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        updated_at: silence.updated_at,
        created_by: silence.created_by,
        comment: silence.comment,
        annotations: silence.annotations,
    }
}

fn read_silence(silence: WireSilence) -> Silence {
    let matcher = |one: WireMatcher| SilenceMatcher {
        name: one.name,
        value: one.value,
        is_regex: one.is_regex,
        is_equal: one.is_equal,
    };
    Silence {
        id: silence.id,
        matchers: silence.matchers.into_iter().map(matcher).collect(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        updated_at: silence.updated_at,
        created_by: silence.created_by,
        comment: silence.comment,
        annotations: silence.annotations,
    }
}

/// Reads any bytes as a change, as the fuzzer wants it: what can be read is written and read as the same again.
pub fn check_change(data: &[u8]) {
    if let Ok(change) = Change::decode(data) {
        assert_eq!(Change::decode(&change.encode()), Ok(change));
    }
}
