//! Push bodies: protobuf and JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use log_storage_api::BatchEntry;
use model::{MatchOp, TimestampNs, parse_rfc3339_ns};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use wire::loki::{EntryAdapter, PushRequest};

use super::{IncomingLabels, IncomingStream};
use crate::error::ApiError;

/// The longest label string.
const LABELS_BYTES_MAX: usize = 16 << 20;

/// Takes a protobuf message apart.
pub(crate) fn from_proto(request: PushRequest) -> Result<Vec<IncomingStream<'static>>, ApiError> {
    request
        .streams
        .into_iter()
        .map(|stream| {
            let labels = IncomingLabels::Pairs(parse_labels(&stream.labels)?);
            let entries = stream.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
            Ok(IncomingStream { labels, entries })
        })
        .collect()
}

fn entry(entry: EntryAdapter) -> Result<BatchEntry<'static>, ApiError> {
    let timestamp = entry.timestamp.unwrap_or_default();
    let timestamp = nanoseconds(timestamp.seconds, timestamp.nanos)?;
    let metadata = entry.structured_metadata.into_iter().map(|pair| (pair.name, pair.value)).collect();
    Ok(BatchEntry { timestamp, line: Cow::Owned(entry.line), structured_metadata: metadata })
}

pub(super) fn nanoseconds(seconds: i64, nanos: i32) -> Result<TimestampNs, ApiError> {
    let total = seconds.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(i64::from(nanos)));
    total.ok_or_else(|| ApiError::bad_request("a timestamp is out of range"))
}

/// Reads `{a="b", c="d"}`.
pub(super) fn parse_labels(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    if text.len() > LABELS_BYTES_MAX {
        let message = format!("a label string is longer than {LABELS_BYTES_MAX} bytes");
        return Err(ApiError::bad_request(message).with_status(http::StatusCode::PAYLOAD_TOO_LARGE));
    }
    let fail = |reason: String| ApiError::bad_request(format!("error parsing labels {text}: {reason}"));
    let log = logql_syntax::parse_log(text).map_err(|error| fail(error.to_string()))?;
    if !log.stages.is_empty() {
        return Err(fail("labels alone are expected".to_owned()));
    }
    log.matchers
        .into_iter()
        .map(|matcher| match matcher.op {
            MatchOp::Equal => Ok((matcher.name, matcher.value)),
            _ => Err(fail(format!("unexpected {}, expecting =", matcher.op.as_str()))),
        })
        .collect()
}

#[derive(Deserialize)]
struct JsonPush {
    streams: Vec<JsonStream>,
}

/// A stream of the present form, or of the first one.
#[derive(Deserialize)]
struct JsonStream {
    stream: Option<BTreeMap<String, String>>,
    #[serde(default)]
    values: Vec<JsonEntry>,
    labels: Option<String>,
    #[serde(default)]
    entries: Vec<OldEntry>,
}

#[derive(Deserialize)]
struct OldEntry {
    ts: String,
    line: String,
}

/// `["<ns>", "line", {metadata}?]`
struct JsonEntry {
    timestamp: TimestampNs,
    line: String,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for JsonEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = JsonEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp in nanoseconds and a line, both as strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonEntry, A::Error> {
        let missing = |what: &str| A::Error::custom(format_args!("an entry has no {what}"));
        let timestamp: String = seq.next_element()?.ok_or_else(|| missing("timestamp"))?;
        let line = seq.next_element()?.ok_or_else(|| missing("line"))?;
        let metadata = seq.next_element()?.unwrap_or_default();
        if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an entry has more than three elements"));
        }
        let timestamp = timestamp.parse().map_err(|_| {
            A::Error::custom(format_args!("timestamp {timestamp:?} is no number of nanoseconds"))
        })?;
        Ok(JsonEntry { timestamp, line, metadata })
    }
}

/// Reads a JSON body.
pub(crate) fn decode_json(body: &[u8]) -> Result<Vec<IncomingStream<'static>>, ApiError> {
    let push: JsonPush =
        serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    push.streams
        .into_iter()
        .map(|stream| {
            let labels = match (stream.stream, stream.labels) {
                (Some(labels), _) => labels.into_iter().collect(),
                (None, Some(text)) => parse_labels(&text)?,
                (None, None) => return Err(ApiError::bad_request("a stream has no labels")),
            };
            let mut entries: Vec<BatchEntry<'static>> = stream
                .values
                .into_iter()
                .map(|entry| BatchEntry {
                    timestamp: entry.timestamp,
                    line: Cow::Owned(entry.line),
                    structured_metadata: entry.metadata.into_iter().collect(),
                })
                .collect();
            for old in stream.entries {
                let Some(timestamp) = parse_rfc3339_ns(&old.ts) else {
                    return Err(ApiError::bad_request(format!("timestamp {:?} is not RFC 3339", old.ts)));
                };
                let line = Cow::Owned(old.line);
                entries.push(BatchEntry { timestamp, line, structured_metadata: Vec::new() });
            }
            Ok(IncomingStream { labels: IncomingLabels::Pairs(labels), entries })
        })
        .collect()
}
