//! Loki's push message, read in place: lines stay where they lie in the body.

use std::borrow::Cow;

use log_storage_api::BatchEntry;

use super::decode::nanoseconds;
use super::{IncomingLabels, IncomingStream};
use crate::error::ApiError;

/// Reads a protobuf body.
pub(crate) fn decode_proto(body: &[u8]) -> Result<Vec<IncomingStream<'_>>, ApiError> {
    let mut streams = Vec::new();
    let mut fields = Fields(body);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            streams.push(stream(value.bytes()?)?);
        }
    }
    Ok(streams)
}

fn stream(bytes: &[u8]) -> Result<IncomingStream<'_>, ApiError> {
    let mut labels = "";
    let mut entries = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => labels = value.text()?,
            2 => entries.push(entry(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(IncomingStream { labels: IncomingLabels::Text(labels), entries })
}

fn entry(bytes: &[u8]) -> Result<BatchEntry<'_>, ApiError> {
    let mut entry = BatchEntry::default();
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => entry.timestamp = timestamp(value.bytes()?)?,
            2 => entry.line = Cow::Borrowed(value.text()?),
            3 => entry.structured_metadata.push(pair(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(entry)
}

fn timestamp(bytes: &[u8]) -> Result<i64, ApiError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => seconds = value.varint()? as i64,
            // As protobuf has it: an int32 is the low half of its varint.
            2 => nanos = value.varint()? as i32,
            _ => {}
        }
    }
    nanoseconds(seconds, nanos)
}

fn pair(bytes: &[u8]) -> Result<(String, String), ApiError> {
    let (mut name, mut text) = ("", "");
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((name.to_owned(), text.to_owned()))
}

/// What a field holds.
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes: no field of the message has such a type.
    Fixed,
}

impl<'a> Value<'a> {
    fn varint(&self) -> Result<u64, ApiError> {
        match self {
            Self::Varint(value) => Ok(*value),
            Self::Bytes(_) | Self::Fixed => Err(malformed("unexpected wire type")),
        }
    }

    fn bytes(&self) -> Result<&'a [u8], ApiError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(malformed("unexpected wire type")),
        }
    }

    fn text(&self) -> Result<&'a str, ApiError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("text is not UTF-8"))
    }
}

/// The fields of a message that are left.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, ApiError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 {
            return Err(malformed("field number 0"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(malformed("unknown wire type")),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, ApiError> {
        let mut value = 0;
        for (idx, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * idx);
            if byte & 0x80 == 0 {
                self.0 = &self.0[idx + 1..];
                return Ok(value);
            }
        }
        Err(malformed("varint without an end"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ApiError> {
        let (own, rest) = self.0.split_at_checked(len).ok_or_else(|| malformed("ends too early"))?;
        self.0 = rest;
        Ok(own)
    }
}

fn malformed(reason: &str) -> ApiError {
    ApiError::bad_request(format!("malformed push message: {reason}"))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use wire::loki::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};

    use super::*;

    #[test]
    fn reads_what_the_generated_code_writes() {
        let metadata = vec![LabelPairAdapter { name: "k".to_owned(), value: "v".to_owned() }];
        let entries =
            [(5, 7, "one"), (-1, 0, ""), (0, 999_999_999, "drei ü")].map(|(seconds, nanos, line)| {
                EntryAdapter {
                    timestamp: Some(prost_types::Timestamp { seconds, nanos }),
                    line: line.to_owned(),
                    structured_metadata: metadata.clone(),
                    ..EntryAdapter::default()
                }
            });
        let stream = StreamAdapter {
            labels: "{a=\"b\"}".to_owned(),
            entries: entries.to_vec(),
            ..StreamAdapter::default()
        };
        let body = PushRequest { streams: vec![stream] }.encode_to_vec();
        let streams = decode_proto(&body).expect("well-formed");
        assert!(matches!(streams[0].labels, IncomingLabels::Text("{a=\"b\"}")));
        let shown: Vec<_> = streams[0].entries.iter().map(|e| (e.timestamp, &*e.line)).collect();
        assert_eq!(shown, [(5_000_000_007, "one"), (-1_000_000_000, ""), (999_999_999, "drei ü")]);
        assert_eq!(streams[0].entries[0].structured_metadata, [("k".to_owned(), "v".to_owned())]);
        for end in 1..body.len() {
            decode_proto(&body[..end]).ok();
        }
    }
}
